"""Learner profiles: which zone and rollover hour were in force when, as the log knew them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple


class ProfileEntry(NamedTuple):
    """One change, in force from `effective_at` on; `None` leaves a value as it was."""

    effective_at: datetime
    position: int
    time_zone: str | None
    rollover_hour: int | None

    def order(self) -> tuple[datetime, int]:
        """Entries take effect by time, then by position."""
        return (self.effective_at, self.position)


class Calendar(NamedTuple):
    """How a learner's instants become learning days: an IANA zone and the hour a day begins."""

    time_zone: str
    rollover_hour: int


def calendar_at(entries: Sequence[ProfileEntry], moment: datetime, default: Calendar) -> Calendar:
    """The calendar in force at `moment`.

    `entries` are ordered by (effective_at, position). Before the first entry that names a value
    that entry holds, since a clock that runs early must not throw an event into another zone;
    where no entry names it, the default does.
    """
    if not entries:
        return default
    zone: str | None = None
    hour: int | None = None
    for entry in entries:
        due = entry.effective_at <= moment
        if entry.time_zone is not None and (due or zone is None):
            zone = entry.time_zone
        if entry.rollover_hour is not None and (due or hour is None):
            hour = entry.rollover_hour
    return Calendar(
        default.time_zone if zone is None else zone,
        default.rollover_hour if hour is None else hour,
    )
