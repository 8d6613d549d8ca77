"""Append events: identity, learning day, contiguous positions, one outcome per event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal

import asyncpg
import structlog

from progress_context.errors import LogUnavailable
from progress_context.log.database import UNAVAILABLE, Connection, Pool, fetch_one, statement
from progress_context.log.event import NewEvent, Outcome
from progress_context.log.learners import Learners
from progress_context.log.profiles import Calendar, ProfileEntry, calendar_at

DayOf = Callable[[datetime, str, int], date]
Name = tuple[str, str]

COLUMNS = (
    "position", "source", "id", "type", "version", "learner_key", "occurred_at", "learning_day",
    "recorded_at", "data", "context",
)  # fmt: skip
PAUSES = (0.05, 0.25)  # seconds before a group is tried again on a new connection

log = structlog.get_logger(__name__)


class Appender:
    """Appends groups of events in one commit each.

    `day_of(occurred_at, zone, rollover_hour)` gives the learning day; `default` is the calendar of
    learners whose events and profile name none. One instance per process; calls may overlap, the
    database puts them in order.
    """

    def __init__(self, pool: Pool, day_of: DayOf, default: Calendar) -> None:
        self._pool = pool
        self._day_of = day_of
        self._default = default
        self._learners = Learners()

    async def append(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """Outcomes in the order of `events`; whatever says `stored` is on disk.

        Raises LogUnavailable when nothing can be said: the server is away, full, or broke off during
        the commit and stayed away, so that reading back was impossible.
        """
        ours: set[Name] = set()
        for pause in PAUSES:
            try:
                return await self._append_or_bisect(events, ours)
            except UNAVAILABLE as error:
                log.warning("append_interrupted", outcome_unknown=bool(ours), error=str(error))
                await asyncio.sleep(pause)
        try:
            return await self._append_or_bisect(events, ours)
        except UNAVAILABLE as error:
            raise LogUnavailable(f"PostgreSQL is not available: {error}") from error

    async def _append_or_bisect(self, events: Sequence[NewEvent], ours: set[Name]) -> list[Outcome]:
        """Append the group; one event that PostgreSQL refuses is set apart, the others go on."""
        try:
            return await self._append(events, ours)
        except asyncpg.DataError as error:
            if len(events) == 1:
                reason = f"PostgreSQL cannot hold this event: {error}"
                return [Outcome("invalid", path="data", reason=reason)]
        half = len(events) // 2
        first = await self._append_or_bisect(events[:half], ours)
        return first + await self._append_or_bisect(events[half:], ours)

    async def _append(self, events: Sequence[NewEvent], ours: set[Name]) -> list[Outcome]:
        async with self._pool.acquire(timeout=10) as connection:
            group = _Group(events, self._day_of, self._default)
            learner_ids = (e.learner_id for e in events if e.learner_id is not None)
            group.keys = await self._learners.keys(connection, learner_ids)
            known = self._learners.profile_position
            group.profiles = await self._learners.profiles(connection, group.keys.values())
            async with connection.transaction():
                await self._write(connection, group, known, ours)
            return group.outcomes()

    async def _write(self, connection: Connection, group: _Group, known: int, ours: set[Name]) -> None:
        head = await fetch_one(connection, statement(__package__, "lock_head"))
        if head["profile_position"] > known:
            await self._learners.refresh(connection, head["profile_position"])
            group.profiles = await self._learners.profiles(connection, group.keys.values())
        stored = await connection.fetch(statement(__package__, "find_stored"), *group.identity_columns())
        group.set_apart(stored, ours)
        ours.update(group.new)
        if not group.new:
            return
        records = group.records(head["position"], head["recorded_at"])
        await connection.copy_records_to_table("events", schema_name="log", columns=COLUMNS, records=records)
        for name, columns in group.side_effects():
            await connection.execute(statement(__package__, name), *columns)


class _Group:
    """One group of events on its way through one transaction."""

    def __init__(self, events: Sequence[NewEvent], day_of: DayOf, default: Calendar) -> None:
        self.events = events
        self.keys: dict[str, int] = {}
        self.profiles: dict[int, tuple[ProfileEntry, ...]] = {}
        self.new: dict[Name, NewEvent] = {}
        self._day_of = day_of
        self._default = default
        self._settled: dict[Name, Outcome] = {}
        self._firsts: dict[Name, NewEvent] = {}
        for event in events:
            self._firsts.setdefault((event.source, event.id), event)

    def identity_columns(self) -> tuple[list[object], ...]:
        """Name and content of every distinct event, as the columns `find_stored.sql` compares."""
        firsts = self._firsts.values()
        return (
            [e.source for e in firsts],
            [e.id for e in firsts],
            [e.type for e in firsts],
            [e.version for e in firsts],
            [self._key(e) for e in firsts],
            [e.occurred_at for e in firsts],
            [e.data for e in firsts],
        )

    def set_apart(self, stored: Sequence[asyncpg.Record], ours: set[Name]) -> None:
        """Split the group into new events and those the log holds already."""
        for row in stored:
            name = (row["source"], row["id"])
            if not row["same"]:
                outcome = _conflict(row["position"], row["differs"])
            else:
                outcome = Outcome("stored" if name in ours else "duplicate", row["position"])
            self._settled[name] = outcome
        self.new = {n: e for n, e in self._firsts.items() if n not in self._settled}

    def records(self, position: int, recorded_at: datetime) -> list[tuple[object, ...]]:
        """Rows for `log.events`, positions from `position` + 1 on."""
        rows: list[tuple[object, ...]] = []
        for name, event in self.new.items():
            position += 1
            key = self._key(event)
            occurred_at = event.occurred_at or recorded_at
            if key is not None and event.profile is not None:
                self._change_profile(key, position, occurred_at, event)
            day = None if key is None else self._learning_day(key, occurred_at, event.zone)
            rows.append((
                position, event.source, event.id, event.type, event.version, key, occurred_at, day,
                recorded_at, event.data, event.context,
            ))  # fmt: skip
            self._settled[name] = Outcome("stored", position)
        return rows

    def side_effects(self) -> list[tuple[str, tuple[list[object], ...]]]:
        """Statements beside the copy: (file name, columns) for profiles, voids, unknown types."""
        effects: list[tuple[str, tuple[list[object], ...]]] = []
        placed = [(self._settled[n].position, self._key(e), e) for n, e in self.new.items()]
        if rows := [p for p in placed if p[2].profile is not None and p[1] is not None]:
            effects.append(("add_profiles", (
                [key for _, key, _ in rows],
                [position for position, _, _ in rows],
                [e.occurred_at for _, _, e in rows],
                [e.profile.time_zone for _, _, e in rows if e.profile],
                [e.profile.rollover_hour for _, _, e in rows if e.profile],
            )))  # fmt: skip
        if rows := [p for p in placed if p[2].voids is not None and p[1] is not None]:
            effects.append(("add_voids", (
                [key for _, key, _ in rows],
                [e.voids[0] for _, _, e in rows if e.voids],
                [e.voids[1] for _, _, e in rows if e.voids],
                [position for position, _, _ in rows],
            )))  # fmt: skip
        if rows := [p for p in placed if not p[2].known]:
            effects.append(("count_unknown_types", (
                [e.type for _, _, e in rows],
                [e.version for _, _, e in rows],
                [position for position, _, _ in rows],
            )))  # fmt: skip
        return effects

    def outcomes(self) -> list[Outcome]:
        """One outcome per event; a repetition within the group is judged against the first."""
        seen: set[Name] = set()
        outcomes: list[Outcome] = []
        for event in self.events:
            name = (event.source, event.id)
            outcome = self._settled[name]
            if name in seen and outcome.position is not None:
                differs = _difference(self._firsts[name], event)
                outcome = (
                    _conflict(outcome.position, differs)
                    if differs
                    else Outcome("duplicate", outcome.position)
                )
            seen.add(name)
            outcomes.append(outcome)
        return outcomes

    def _key(self, event: NewEvent) -> int | None:
        return None if event.learner_id is None else self.keys[event.learner_id]

    def _change_profile(self, key: int, position: int, moment: datetime, event: NewEvent) -> None:
        if event.profile is None:
            return
        entry = ProfileEntry(moment, position, event.profile.time_zone, event.profile.rollover_hour)
        self.profiles[key] = tuple(sorted((*self.profiles[key], entry), key=ProfileEntry.order))

    def _learning_day(self, key: int, moment: datetime, zone: str | None) -> date:
        calendar = calendar_at(self.profiles[key], moment, self._default)
        return self._day_of(moment, zone or calendar.time_zone, calendar.rollover_hour)


def _difference(first: NewEvent, second: NewEvent) -> str | None:
    """The first attribute in which two events of one name differ, `None` when they are the same."""
    for field in ("type", "version", "learner_id", "occurred_at"):
        if getattr(first, field) != getattr(second, field):
            return {"learner_id": "subject", "occurred_at": "time"}.get(field, field)
    if first.data != second.data and _json_value(first.data) != _json_value(second.data):
        return "data"
    return None


def _json_value(text: str) -> object:
    """The value of a JSON text, numbers exact: two texts of one value are the same content."""
    return json.loads(text, parse_float=Decimal)


def _conflict(position: int, path: str) -> Outcome:
    reason = f"position {position} holds an event of this source and id with another {path}"
    return Outcome("conflict", path=path, reason=reason)
