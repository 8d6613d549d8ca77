"""A group of events on its way through one commit: as columns, with days, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

import asyncpg

from progress_context.log.event import NewEvent, Outcome
from progress_context.log.profiles import Calendar, ProfileEntry, calendar_at

DayOf = Callable[[datetime, str, int], date]
Name = tuple[str, str]
Profiles = Mapping[int, tuple[ProfileEntry, ...]]


class Group:
    """`keys` are the keys of all learners of `events`; `received_at` is the time of events without one."""

    def __init__(
        self,
        events: Sequence[NewEvent],
        keys: Mapping[str, int],
        day_of: DayOf,
        default: Calendar,
        received_at: datetime,
    ) -> None:
        self._events = events
        self._keys = keys
        self._day_of = day_of
        self._default = default
        self._received_at = received_at
        self._firsts: dict[Name, NewEvent] = {}
        for event in events:
            self._firsts.setdefault((event.source, event.id), event)
        self._settled: dict[Name, Outcome] = {}
        self.has_side_effects = any(
            event.profile is not None or event.voids is not None or not event.known
            for event in self._firsts.values()
        )

    def learner_keys(self) -> Iterable[int]:
        """All learners of the group."""
        return self._keys.values()

    def profile_names(self) -> list[Name]:
        """The names of the events that change a profile."""
        if not self.has_side_effects:
            return []
        return [name for name, event in self._firsts.items() if event.profile is not None]

    def columns(self, profiles: Profiles, taken: set[Name]) -> tuple[object, ...]:
        """The arguments of `log.append` after the first: each distinct event once, column by column.

        A profile event whose name is not `taken` is in force for the events behind it in the group.
        """
        firsts = self._firsts.values()
        keys = [None if e.learner_id is None else self._keys[e.learner_id] for e in firsts]
        return (
            self._received_at,
            [e.source for e in firsts],
            [e.id for e in firsts],
            [e.type for e in firsts],
            [e.version for e in firsts],
            keys,
            [e.occurred_at for e in firsts],
            self._learning_days(keys, dict(profiles), taken),
            [e.data for e in firsts],
            [e.context for e in firsts],
        )

    def settle(self, row: asyncpg.Record) -> None:
        """Note what the database says of each distinct event."""
        if row["first_position"] is None:
            return
        names = list(self._firsts)
        known = zip(
            row["known_numbers"] or (), row["known_positions"] or (), row["known_differs"] or (), strict=True
        )
        for number, position, differs in known:
            settled = _conflict(position, differs) if differs else Outcome("duplicate", position)
            self._settled[names[number - 1]] = settled
        position = row["first_position"]
        for name in names:
            if name not in self._settled:
                self._settled[name] = Outcome("stored", position)
                position += 1

    def side_effects(self) -> list[tuple[str, tuple[list[object], ...]]]:
        """Statements beside the append: (file name, columns) for profiles, voids, unknown types."""
        stored = [(name, event) for name, event in self._firsts.items() if self._is_new(name)]
        placed = [(self._settled[name].position, event) for name, event in stored]
        effects: list[tuple[str, tuple[list[object], ...]]] = []
        if profiles := [(p, e, e.profile) for p, e in placed if e.profile and e.learner_id]:
            effects.append(("add_profiles", (
                [self._keys[e.learner_id] for _, e, _ in profiles if e.learner_id],
                [position for position, _, _ in profiles],
                [e.occurred_at or self._received_at for _, e, _ in profiles],
                [profile.time_zone for _, _, profile in profiles],
                [profile.rollover_hour for _, _, profile in profiles],
            )))  # fmt: skip
        if voids := [(p, e, e.voids) for p, e in placed if e.voids and e.learner_id]:
            effects.append(("add_voids", (
                [self._keys[e.learner_id] for _, e, _ in voids if e.learner_id],
                [source for _, _, (source, _) in voids],
                [event_id for _, _, (_, event_id) in voids],
                [position for position, _, _ in voids],
            )))  # fmt: skip
        if unknown := [(p, e) for p, e in placed if not e.known]:
            effects.append(("count_unknown_types", (
                [e.type for _, e in unknown],
                [e.version for _, e in unknown],
                [position for position, _ in unknown],
            )))  # fmt: skip
        return effects

    def outcomes(self, before: int | None) -> list[Outcome]:
        """One outcome per event; a repetition within the group is judged against the first.

        After a commit of unknown outcome, `before` is a position from before it: what is found
        behind it was stored by that commit.
        """
        if len(self._firsts) == len(self._events) and before is None:
            return [self._settled[event.source, event.id] for event in self._events]
        seen: set[Name] = set()
        outcomes: list[Outcome] = []
        for event in self._events:
            name = (event.source, event.id)
            outcome = self._settled[name]
            if name in seen and outcome.position is not None:
                outcome = _repeated(outcome.position, _difference(self._firsts[name], event))
            elif before is not None and outcome.status == "duplicate" and (outcome.position or 0) > before:
                outcome = Outcome("stored", outcome.position)
            seen.add(name)
            outcomes.append(outcome)
        return outcomes

    def _is_new(self, name: Name) -> bool:
        return name in self._settled and self._settled[name].status == "stored"

    def _learning_days(
        self, keys: list[int | None], profiles: dict[int, tuple[ProfileEntry, ...]], taken: set[Name]
    ) -> list[date | None]:
        days: list[date | None] = []
        for number, (key, (name, event)) in enumerate(zip(keys, self._firsts.items(), strict=True)):
            if key is None:
                days.append(None)
                continue
            moment = event.occurred_at or self._received_at
            if event.profile is not None and name not in taken:
                # its position is not known yet, but it lies behind every stored one
                entry = ProfileEntry(
                    moment, 2**62 + number, event.profile.time_zone, event.profile.rollover_hour
                )
                profiles[key] = tuple(sorted((*profiles[key], entry), key=ProfileEntry.order))
            calendar = calendar_at(profiles[key], moment, self._default)
            days.append(self._day_of(moment, event.zone or calendar.time_zone, calendar.rollover_hour))
        return days


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


def _repeated(position: int, differs: str | None) -> Outcome:
    return _conflict(position, differs) if differs else Outcome("duplicate", position)


def _conflict(position: int, path: str) -> Outcome:
    reason = f"position {position} holds an event of this source and id with another {path}"
    return Outcome("conflict", path=path, reason=reason)
