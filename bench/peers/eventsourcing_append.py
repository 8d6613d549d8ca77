"""Append with `eventsourcing`: events are triggered on aggregates and saved, some per call.

Its own environment runs this file, so nothing of ours is imported.
"""
# pyright: basic, reportMissingImports=false
# (the peer's packages are installed for a run only, never beside ours)

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Learner(Aggregate):
    """One learner's answers."""

    @event("AnswerJudged")
    def judge(self, facts: dict) -> None:
        """Ten facts."""


def save_all(application: Application, lines: list[str], per_call: int, learners: list[Learner]) -> None:
    """Save all events, `per_call` on one learner in each call."""
    remaining = iter(lines)
    number = 0
    while chunk := list(islice(remaining, per_call)):
        learner = learners[number % len(learners)]
        for line in chunk:
            learner.judge(json.loads(line))
        application.save(learner)
        number += 1


def save_in_threads(
    pool: ThreadPoolExecutor, application: Application, lines: list[str], task: dict, learners: list[Learner]
) -> None:
    """Every thread saves its part, on learners of its own."""
    threads = task["threads"]

    def save_part(thread: int) -> None:
        save_all(application, lines[thread::threads], task["per_call"], learners[thread::threads])

    list(pool.map(save_part, range(threads)))


def main(task: dict) -> None:
    """Warm up, then measure the saving of `events` events."""
    with open(task["file"]) as file:  # noqa: PTH123 - a script of its own
        lines = list(islice(file, task["warm_up"] + task["events"]))
    with Application(env=task["environment"]) as application:
        learners = [Learner() for _ in range(task["learners"])]
        for start in range(0, len(learners), 200):
            application.save(*learners[start : start + 200])
        warm_up, timed = lines[: task["warm_up"]], lines[task["warm_up"] :]
        with ThreadPoolExecutor(task["threads"]) as pool:
            save_in_threads(pool, application, warm_up, task, learners)
            began = time.perf_counter()
            save_in_threads(pool, application, timed, task, learners)
            print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
