"""Which events of a log count, and in which order they happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from progress_context.log.event import StoredEvent

STARTED = "learning.SessionStarted"
JUDGED = "learning.CorrectnessJudged"
COMPLETED = "learning.SessionCompleted"
ABANDONED = "learning.SessionAbandoned"
MASTERY_UPDATED = "learning.ItemMasteryUpdated"
ACTIVITY = "learning.ActivityRecorded"
SCHEDULED = "algorithm.ReviewScheduled"
ADJUSTED = "algorithm.DifficultyAdjusted"
MASTERED = "algorithm.ItemMastered"
PUBLISHED = "vocabulary.ItemPublished"
UPDATED = "vocabulary.ItemUpdated"
AI_USED = "ai.UsageRecorded"
VOID = "learning.EventVoided"


@dataclass(frozen=True)
class CountedEvent:
    """One event that counts; `fields` is its payload, numbers with a point as Decimal."""

    position: int
    type: str
    learner_key: int | None
    occurred_at: datetime
    learning_day: date | None
    fields: dict[str, Any]


def counted_events(log: Sequence[StoredEvent]) -> list[CountedEvent]:
    """The events that nothing voids, first to last: by `occurred_at`, then by position.

    Every void takes effect, one that is named by another void too. A version other than 1 of a type is
    a type nobody described, so it neither counts nor voids.
    """
    described = [event for event in log if event.version == 1]
    voided = {_named_by(event) for event in described if event.type == VOID}
    counted = [_read(event) for event in described if _name(event) not in voided]
    return sorted(counted, key=lambda event: (event.occurred_at, event.position))


def of_types(events: Iterable[CountedEvent], *types: str) -> list[CountedEvent]:
    """The events of these types, in their order."""
    return [event for event in events if event.type in types]


def sent(events: Iterable[CountedEvent], field: str) -> list[Any]:
    """The values of a field where it was sent and is not null, in the order of the events."""
    return [value for event in events if (value := event.fields.get(field)) is not None]


def last_or_none(values: Sequence[Any]) -> Any:
    """The last value, None when there is none."""
    return values[-1] if values else None


def first_or_none(values: Sequence[Any]) -> Any:
    """The first value, None when there is none."""
    return values[0] if values else None


def _named_by(void: StoredEvent) -> tuple[int | None, str, str]:
    fields = _payload(void)
    return void.learner_key, fields["source"], fields["id"]


def _name(event: StoredEvent) -> tuple[int | None, str, str]:
    return event.learner_key, event.source, event.id


def _read(event: StoredEvent) -> CountedEvent:
    return CountedEvent(
        event.position,
        event.type,
        event.learner_key,
        event.occurred_at,
        event.learning_day,
        _payload(event),
    )


def _payload(event: StoredEvent) -> dict[str, Any]:
    payload = json.loads(event.data, parse_float=Decimal)
    return payload if isinstance(payload, dict) else {}
