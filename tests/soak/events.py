"""What the soak sends: events of several learners, late ones among them, each remembered as a fact."""

from __future__ import annotations

import itertools
from collections import deque
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

SOURCE = "urn:soak"
LEARNERS = 200
ITEMS = 100
ZONES = ("UTC", "Asia/Tokyo", "America/New_York")
LEVELS = ("A1", "B1", "C1")
SKILLS = ("reading", "writing", "listening", "speaking")
JUDGMENTS = ("AutoConfirmed", "UserConfirmedCorrect", "UserConfirmedIncorrect")
TYPES = {
    "learning.CorrectnessJudged": 8_000,
    "learning.SessionCompleted": 900,
    "learning.ItemMasteryUpdated": 500,
    "algorithm.ReviewScheduled": 400,
    "learning.ActivityRecorded": 190,
    "learning.EventVoided": 8,
    "vocabulary.ItemUpdated": 2,
}
LATE = 0.05
LATEST_DAYS = 30

Event = dict[str, Any]


class Fact(NamedTuple):
    """What the log must say of an event that was acknowledged."""

    type: str
    learner: str | None
    occurred_at: datetime
    learning_day: date | None


class Maker:
    """Makes events, the same for the same seed but for the clock; `facts` tells by id what was made."""

    def __init__(self, seed: int) -> None:
        self.facts: dict[str, Fact] = {}
        self._dice = Random(seed)
        self._numbers = itertools.count(1)
        self._acknowledged: deque[str] = deque(maxlen=1_000)

    def beginnings(self) -> list[Event]:
        """The learners and the catalogue."""
        learners = [self._event("user.UserCreated", {"locale": "en"}, f"l{n}") for n in range(LEARNERS)]
        return learners + [
            self._item_event(
                "vocabulary.ItemPublished", f"i{n}", level=LEVELS[n % 3], domains=[SKILLS[n % 4]]
            )
            for n in range(ITEMS)
        ]

    def some(self, count: int) -> list[Event]:
        """As many events of all types as asked for."""
        return [self._any(*self._dice.choices(list(TYPES), list(TYPES.values()))) for _ in range(count)]

    def was_acknowledged(self, event_id: str) -> None:
        """This event is in the log, so another may take it back."""
        if self.facts[event_id].type == "learning.CorrectnessJudged":
            self._acknowledged.append(event_id)

    def _any(self, kind: str) -> Event:
        if kind == "learning.EventVoided":
            return self._void()
        item = f"i{self._dice.randrange(ITEMS)}"
        if kind == "vocabulary.ItemUpdated":
            return self._item_event(kind, item)
        return self._event(kind, self._data(kind, item), f"l{self._dice.randrange(LEARNERS)}")

    def _data(self, kind: str, item: str) -> dict[str, Any]:
        dice = self._dice
        match kind:
            case "learning.SessionCompleted":
                return {
                    "session_id": f"s{dice.randrange(5_000)}",
                    "duration_seconds": dice.randrange(60, 3_000),
                }
            case "learning.ItemMasteryUpdated":
                share = dice.randrange(101) / 100
                return {"item_id": item, "mastery_level": share, "mastered": share > 0.8}
            case "algorithm.ReviewScheduled":
                at = datetime.now(UTC) + timedelta(days=dice.randrange(1, 60))
                return {"item_id": item, "next_review_at": at.isoformat(), "interval_days": 3}
            case "learning.ActivityRecorded":
                return {"activity_id": "urn:video", "verb": "urn:watched", "duration_seconds": 60}
            case _:
                judgment = dice.choice(JUDGMENTS)
                return {"item_id": item, "judgment": judgment, "response_time_ms": dice.randrange(300, 4_000)}

    def _void(self) -> Event:
        """Takes back an event that is in the log; while there is none, another activity."""
        if not self._acknowledged:
            return self._any("learning.ActivityRecorded")
        event_id = self._acknowledged.popleft()
        return self._event(
            "learning.EventVoided", {"source": SOURCE, "id": event_id}, self.facts[event_id].learner
        )

    def _event(self, kind: str, data: dict[str, Any], learner: str | None) -> Event:
        late = self._dice.random() < LATE
        back = timedelta(days=self._dice.randint(1, LATEST_DAYS)) if late else timedelta()
        at, zone = datetime.now(UTC) - back, self._dice.choice(ZONES)
        event = self._named(kind, learner, at, data) | {"timezone": zone}
        self.facts[event["id"]] = Fact(kind, learner, at, at.astimezone(ZoneInfo(zone)).date())
        return event

    def _item_event(self, kind: str, item: str, **more: Any) -> Event:
        at = datetime.now(UTC)
        number = next(self._numbers)
        event = self._named(kind, item, at, {"item_id": item, "spelling": f"word {number}", **more})
        self.facts[event["id"]] = Fact(kind, None, at, None)
        return event

    def _named(self, kind: str, subject: str | None, at: datetime, data: dict[str, Any]) -> Event:
        return {
            "specversion": "1.0", "source": SOURCE, "id": f"e{next(self._numbers)}", "type": kind,
            "subject": subject, "time": at.isoformat(), "data": data,
        }  # fmt: skip
