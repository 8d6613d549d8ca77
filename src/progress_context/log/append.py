"""Append events: identity, learning day, contiguous positions, one outcome per event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import asyncpg
import structlog

from progress_context.errors import LogUnavailable
from progress_context.log.database import UNAVAILABLE, Connection, Pool, fetch_one, in_words, statement
from progress_context.log.event import NewEvent, Outcome
from progress_context.log.group import DayOf, Group
from progress_context.log.learners import Learners
from progress_context.log.profiles import Calendar
from progress_context.log.read import head

PAUSES = (0.05, 0.25)  # seconds before a group is tried again on a new connection

log = structlog.get_logger(__name__)


class Appender:
    """Appends groups of events in one commit each.

    `day_of(occurred_at, zone, rollover_hour)` gives the learning day; `default` is the calendar of
    learners whose events and profile name none. One instance per process; calls may overlap, the
    database puts them in order.
    """

    def __init__(
        self,
        pool: Pool,
        day_of: DayOf,
        default: Calendar,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._day_of = day_of
        self._default = default
        self._clock = clock
        self._learners = Learners()
        self._last: int | None = None  # the last position this process knows to be taken

    async def append(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Outcomes in the order of `events`; whatever says `stored` is on disk.

        A commit whose outcome is unknown is tried again: what is found in the log then, behind the
        position known before, is what that commit stored. Raises LogUnavailable when nothing can be
        said, because the server is away, full, or stays away after the commit.
        """
        last, before = self._last, None
        for pause in (*PAUSES, None):
            try:
                if last is None:
                    last = await self._look()
                return await self._append_or_bisect(events, before)
            except UNAVAILABLE as error:
                if pause is None:
                    raise LogUnavailable(f"PostgreSQL is not available: {in_words(error)}") from error
                log.warning("append_interrupted", error=in_words(error))
                before = last
                await asyncio.sleep(pause)
        raise AssertionError("the last round returns or raises")

    async def _look(self) -> int:
        async with self._pool.acquire(timeout=10) as connection:
            return await head(connection)

    async def _append_or_bisect(self, events: Sequence[NewEvent], before: int | None) -> list[Outcome]:
        """Append the group; one event that PostgreSQL refuses is set apart, the others go on."""
        try:
            return await self._append(events, before)
        except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as error:
            if len(events) == 1:
                reason = f"PostgreSQL cannot hold this event: {error}"
                return [Outcome("invalid", path="data", reason=reason)]
        half = len(events) // 2
        first = await self._append_or_bisect(events[:half], before)
        return first + await self._append_or_bisect(events[half:], before)

    async def _append(self, events: Sequence[NewEvent], before: int | None) -> list[Outcome]:
        async with self._pool.acquire(timeout=10) as connection:
            learner_ids = {e.learner_id for e in events if e.learner_id is not None}
            keys = await self._learners.keys(connection, learner_ids)
            group = Group(events, keys, self._day_of, self._default, self._clock())
            while not await self._write(connection, group):
                pass  # a profile changed meanwhile; now it is known
            outcomes = group.outcomes(before)
            self._last = max(self._last or 0, *(outcome.position or 0 for outcome in outcomes))
            return outcomes

    async def _write(self, connection: Connection, group: Group) -> bool:
        """Whether the group is in the log; if not, profiles it depends on had changed."""
        known_at = self._learners.profile_position
        profiles = await self._learners.profiles(connection, group.learner_keys())
        taken = await self._names_taken(connection, group.profile_names())
        arguments = (known_at, *group.columns(profiles, taken))
        if not group.has_side_effects:
            row = await fetch_one(connection, statement(__package__, "append"), *arguments)
            group.settle(row)
        else:
            async with connection.transaction():
                row = await fetch_one(connection, statement(__package__, "append"), *arguments)
                group.settle(row)
                for name, columns in group.side_effects():
                    await connection.execute(statement(__package__, name), *columns)
        if row["first_position"] is None:
            await self._learners.refresh(connection, row["profile_position"])
            return False
        return True

    @staticmethod
    async def _names_taken(connection: Connection, names: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these events are stored already: a profile event counts only once."""
        if not names:
            return set()
        sources, ids = zip(*names, strict=True)
        rows = await connection.fetch(statement(__package__, "names_taken"), sources, ids)
        return {(row["source"], row["id"]) for row in rows}
