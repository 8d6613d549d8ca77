"""The question everybody answers, 30 days by 6 fields of a learner, and what a recount says to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from bench.history import Counts, Day
from bench.http_client import Asker, post

DAYS = 30
PATH = "/graphql"
JSON = "application/json"
CONNECTIONS = 16
SHOWN = 500  # characters of a wrong answer
FIELDS = "date reviews correct incorrect accuracy activities"
COUNTED = '"reviews":'  # once in an answer for each of its days

OURS = f"""
query Days($user: ID!, $from: Date!, $to: Date!) {{
  dailyStats(userId: $user, dateRange: {{from: $from, to: $to}}) {{ {FIELDS} }}
}}
"""
ALL_DAYS = f"""
query Days($user: String!, $from: Date!, $to: Date!) {{
  dailyStats: learnerDaysList(userId: $user, dayFrom: $from, dayTo: $to) {{ {FIELDS} }}
}}
"""
STORED_DAYS = f"""
query Days($user: String!, $from: Date!, $to: Date!) {{
  dailyStats: allDailyStatsList(
    condition: {{userId: $user, dayFrom: $from, dayTo: $to}}, orderBy: DATE_ASC
  ) {{ {FIELDS} }}
}}
"""


class Questions:
    """The `DAYS` days up to `last` of random learners; `recounted` has every day that counts anything."""

    def __init__(self, recounted: Mapping[Day, Counts], last: date) -> None:
        self._recounted = recounted
        self._range = [last - timedelta(days=before) for before in reversed(range(DAYS))]
        self._totals: dict[str, Counts] = {}
        for (learner, _), counts in recounted.items():
            before = self._totals.get(learner, (0, 0, 0))
            self._totals[learner] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
        self.learners = sorted(self._totals)

    def totals(self, learner: str) -> Counts:
        """Reviews, correct ones and activities over all days."""
        return self._totals[learner]

    def draw(self, count: int, seed: int = 1) -> list[str]:
        """`count` learners, each as likely as any other."""
        return random.Random(seed).choices(self.learners, k=count)

    def body(self, query: str, learner: str) -> bytes:
        """A request about a learner."""
        variables = {"user": learner, "from": self._range[0], "to": self._range[-1]}
        return msgspec.json.encode({"query": query, "variables": variables})

    def write(self, query: str, learners: Iterable[str], file: Path) -> None:
        """One request a line."""
        with file.open("wb") as lines:
            lines.writelines(self.body(query, learner) + b"\n" for learner in learners)

    def answer(self, learner: str, *, quiet: bool) -> list[dict[str, Any]]:
        """The days of the right answer, with or without those that count nothing."""
        days = ((day, self._recounted.get((learner, day))) for day in self._range)
        return [_row(day, counts or (0, 0, 0)) for day, counts in days if quiet or (counts and any(counts))]

    def days(self, learners: Iterable[str], *, quiet: bool) -> int:
        """How many days all their right answers have together."""
        each = {learner: len(self.answer(learner, quiet=quiet)) for learner in self.learners}
        return sum(each[learner] for learner in learners)

    async def wrong(
        self, port: int, query: str, learners: Sequence[str], *, headers: Mapping[str, str], quiet: bool
    ) -> list[str]:
        """What is not right about the answers about `learners`, asked for over all connections."""
        host = f"127.0.0.1:{port}"
        wrong: list[str] = []

        async def ask(some: Sequence[str]) -> None:
            asker = await Asker().open("127.0.0.1", port)
            for learner in some:
                status, answer = await asker.ask(post(PATH, host, JSON, self.body(query, learner), headers))
                expected = self.answer(learner, quiet=quiet)
                if status != 200 or _days(answer) != expected:
                    wrong.append(f"{learner}: HTTP {status} {answer.decode()[:SHOWN]}")
            asker.close()

        await asyncio.gather(*(ask(learners[start::CONNECTIONS]) for start in range(CONNECTIONS)))
        return wrong


def _days(answer: bytes) -> object:
    return (msgspec.json.decode(answer).get("data") or {}).get("dailyStats")


def _row(day: date, counts: Counts) -> dict[str, Any]:
    reviews, correct, activities = counts
    return {
        "date": day.isoformat(),
        "reviews": reviews,
        "correct": correct,
        "incorrect": reviews - correct,
        "accuracy": correct / reviews if reviews else None,
        "activities": activities,
    }
