"""Project with `eventsourcing`: its ProjectionRunner keeps daily statistics in PostgreSQL.

Its own environment runs this file, so nothing of ours is imported.
"""
# pyright: basic, reportMissingImports=false
# (the peer's packages are installed for a run only, never beside ours)

from __future__ import annotations

import json
import sys
import time
from itertools import islice

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import get_topic
from psycopg.sql import SQL

CREATE = """
    CREATE TABLE IF NOT EXISTS daily_stats (
      learner text, day date, reviews bigint NOT NULL, correct bigint NOT NULL, activities bigint NOT NULL,
      PRIMARY KEY (learner, day))
"""
COUNT = """
    INSERT INTO daily_stats AS stored VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (learner, day) DO UPDATE
    SET reviews = stored.reviews + EXCLUDED.reviews, correct = stored.correct + EXCLUDED.correct,
        activities = stored.activities + EXCLUDED.activities
"""


class Learner(Aggregate):
    """One learner's history."""

    @event("Happened")
    def record(self, facts: dict) -> None:
        """What happened, and what it counts for."""


class DailyStats(PostgresTrackingRecorder):
    """The rows of the projection; row and position change in one commit."""

    def __init__(self, datastore, **options) -> None:
        super().__init__(datastore, **options)
        self.sql_create_statements.append(SQL(CREATE))

    def count(self, facts: dict, tracking) -> None:
        """Add one event to its day."""
        values = [facts[n] for n in ("learner", "day", "reviews", "correct", "activities")]
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(COUNT, values, prepare=True)


class DailyStatsProjection(Projection[DailyStats]):
    """Hands every event to the rows."""

    name = "daily"
    topics = (get_topic(Learner.Happened),)

    @singledispatchmethod
    def process_event(self, domain_event, tracking) -> None:
        """Nothing else is counted."""

    @process_event.register
    def happened(self, domain_event: Learner.Happened, tracking) -> None:
        """One event of a learner."""
        self.view.count(domain_event.facts, tracking)


def save_history(lines: list[str], environment: dict) -> int:
    """Store the events, 100 per call, and return the last notification id."""
    learner = Learner()
    last = 0
    with Application(env=environment) as application:
        for number, line in enumerate(lines, start=1):
            learner.record(json.loads(line))
            if number % 100 == 0 or number == len(lines):
                last = application.save(learner)[-1].notification.id
                learner = Learner()
    return last


def main(task: dict) -> None:
    """Measure from the start of the runner to the last event projected."""
    with open(task["file"]) as file:  # noqa: PTH123 - a script of its own
        lines = list(islice(file, task["events"]))
    last = save_history(lines, task["environment"])
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Application, projection_class=DailyStatsProjection, view_class=DailyStats,
        env=task["environment"],
    ) as runner:  # fmt: skip
        runner.wait(last, timeout=600)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
