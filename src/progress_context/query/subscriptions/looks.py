"""What changed for learners behind given positions, for many subscriptions in one statement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from progress_context.log.database import Pool, acquire, statement
from progress_context.query import access

MILESTONES_AT_ONCE = 100

Point = tuple[str, int | None]  # a learner's id, and a position


@dataclass(frozen=True, slots=True)
class Look:
    """What is visible at `position`; `learner_key` is None for who is unknown.

    `newest` is the learner's newest event; `first_day` … `last_day` are the learning days that events behind
    the position asked about may have changed, None where there are none.
    """

    position: int
    learner_key: int | None
    newest: int
    first_day: date | None
    last_day: date | None


class Looker:
    """Asks the database; `on_position` hears which position is visible.

    Everything raises LogUnavailable, or what PostgreSQL says.
    """

    def __init__(self, pool: Pool, on_position: Callable[[int], None]) -> None:
        self._pool = pool
        self._on_position = on_position
        position = statement("progress_context.query", "position")
        self._looks = (
            statement(__package__, "looks")
            .replace(":position", position)
            .replace(":learner", access.learner("asked.learner_id"))
        )
        self._newest = statement(__package__, "newest").replace(":position", position)

    async def looks(self, points: Collection[Point]) -> dict[Point, Look]:
        """What there is behind each point."""
        askable = [point for point in points if "\0" not in point[0]]
        found = {point: Look(0, None, 0, None, None) for point in points}
        if not askable:
            return found
        async with acquire(self._pool) as connection:
            users, afters = [user for user, _ in askable], [after for _, after in askable]
            rows = await connection.fetch(self._looks, users, afters)
        self._on_position(rows[0]["position"])
        for point, row in zip(askable, rows, strict=True):
            found[point] = Look(
                row["position"], row["learner_key"], row["newest"] or 0, row["first_day"], row["last_day"]
            )
        return found

    async def newest(self, learner_keys: Sequence[int]) -> dict[int, int]:
        """The newest visible event of each learner who has any."""
        async with acquire(self._pool) as connection:
            rows = await connection.fetch(self._newest, learner_keys)
        return {row["learner_key"]: row["position"] for row in rows}

    async def milestones(self, learner_key: int, after: int, upto: int) -> list[dict[str, Any]]:
        """The first MILESTONES_AT_ONCE milestones told behind `after`: a position and an Achievement."""
        query = statement(__package__, "milestones")
        async with acquire(self._pool) as connection:
            rows = await connection.fetch(query, learner_key, after, upto, MILESTONES_AT_ONCE)
        return [dict(row) for row in rows]
