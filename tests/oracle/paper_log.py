"""The log without a database, for tests of the oracle itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

from progress_context.intake.learning_day import learning_day_in
from progress_context.log.event import NewEvent, StoredEvent
from progress_context.log.profiles import Calendar, ProfileEntry, calendar_at

RECORDED_AT = datetime(2026, 4, 20, tzinfo=UTC)
DEFAULT_CALENDAR = Calendar("UTC", 0)


class PaperLog:
    """Events get positions 1, 2, 3 …; the first event of a name stays, later ones leave no trace."""

    def __init__(self, default: Calendar = DEFAULT_CALENDAR) -> None:
        self.events: list[StoredEvent] = []
        self.keys: dict[str, int] = {}
        self._default = default
        self._names: set[tuple[str, str]] = set()
        self._profiles: dict[int, list[ProfileEntry]] = {}

    def append(self, events: Iterable[NewEvent]) -> None:
        """Store what is new, with its learning day by the profile known so far."""
        for event in events:
            if (event.source, event.id) not in self._names:
                self._names.add((event.source, event.id))
                self.events.append(self._stored(event))

    def _stored(self, event: NewEvent) -> StoredEvent:
        position = len(self.events) + 1
        moment = event.occurred_at or RECORDED_AT
        key = self._key(event.learner_id)
        return StoredEvent(
            position=position,
            source=event.source,
            id=event.id,
            type=event.type,
            version=event.version,
            learner_key=key,
            occurred_at=moment,
            learning_day=None if key is None else self._learning_day(event, key, position, moment),
            recorded_at=RECORDED_AT,
            data=event.data,
            context=event.context,
        )

    def _key(self, learner_id: str | None) -> int | None:
        return None if learner_id is None else self.keys.setdefault(learner_id, len(self.keys) + 1)

    def _learning_day(self, event: NewEvent, key: int, position: int, moment: datetime) -> date:
        entries = self._profiles.setdefault(key, [])
        if event.profile is not None:
            change = event.profile
            entries.append(ProfileEntry(moment, position, change.time_zone, change.rollover_hour))
            entries.sort(key=ProfileEntry.order)
        calendar = calendar_at(entries, moment, self._default)
        return learning_day_in(moment, event.zone or calendar.time_zone, calendar.rollover_hour)
