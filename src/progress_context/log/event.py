"""What goes into the log and what comes back from an append."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

Status = Literal["stored", "duplicate", "conflict", "invalid"]


class ProfileChange(msgspec.Struct, frozen=True, gc=False):
    """What a `user.*` event says about a learner's calendar; `None` leaves a value as it was."""

    time_zone: str | None = None
    rollover_hour: int | None = None


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """A validated event on its way into the log.

    `learner_id` is the public id, `None` for events about no learner. `occurred_at` is aware, `None`
    when the sender named no time (the log then uses the moment of recording). `zone` is the IANA
    name, or the `+HH:MM` offset, that the event itself states, else `None`. `data` and `context` are
    JSON texts: the payload as sent and the remaining CloudEvents attributes. `known` is false for
    types nobody described.
    """

    source: str
    id: str
    type: str
    version: int
    learner_id: str | None
    occurred_at: datetime | None
    zone: str | None
    data: str
    context: str | None = None
    known: bool = True
    profile: ProfileChange | None = None
    voids: tuple[str, str] | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one event of an append.

    `position` is set for stored and duplicate events; `path` and `reason` for conflict and invalid.
    """

    status: Status
    position: int | None = None
    path: str | None = None
    reason: str | None = None


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """One event as the log keeps it; `data` and `context` are JSON texts."""

    position: int
    source: str
    id: str
    type: str
    version: int
    learner_key: int | None
    occurred_at: datetime
    learning_day: date | None
    recorded_at: datetime
    data: str
    context: str | None
