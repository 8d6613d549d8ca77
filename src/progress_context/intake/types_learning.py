"""What learners do."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from progress_context.intake.event_type import (
    Count,
    Domain,
    Event,
    Id,
    Iri,
    Milliseconds,
    Note,
    Seconds,
    Share,
    check_name,
    field_error,
)


class SessionStarted(Event, type="learning.SessionStarted", version=1):
    """A learner opened a session."""

    session_id: Id
    item_count: Annotated[int, Meta(ge=1, le=100)] | None = None
    strategy: Literal["new_items_first", "due_for_review", "weak_items_first", "mixed"] | None = None


class CorrectnessJudged(Event, type="learning.CorrectnessJudged", version=1):
    """One answer was judged, by the learner or by three seconds without objection."""

    item_id: Id
    judgment: Literal["AutoConfirmed", "UserConfirmedCorrect", "UserConfirmedIncorrect"]
    session_id: Id | None = None
    response_time_ms: Milliseconds | None = None
    domain: Domain | None = None


class SessionCompleted(Event, type="learning.SessionCompleted", version=1):
    """A session came to its end; `correct_count` is at most `total_items`."""

    session_id: Id
    total_items: Count | None = None
    correct_count: Count | None = None
    duration_seconds: Seconds | None = None
    reason: Literal["all_items_completed", "user_request", "timeout"] | None = None

    def __post_init__(self) -> None:
        if self.correct_count is None or self.total_items is None:
            return
        if self.correct_count > self.total_items:
            raise field_error("correct_count", f"More than total_items, {self.total_items}")


class SessionAbandoned(Event, type="learning.SessionAbandoned", version=1):
    """A session broke off."""

    session_id: Id
    completed_count: Count
    reason: Literal["user_left", "inactivity", "technical_error"] | None = None


class ItemMasteryUpdated(Event, type="learning.ItemMasteryUpdated", version=1):
    """The mastery of an item was estimated anew."""

    item_id: Id
    mastery_level: Share
    mastered: bool


class EventVoided(Event, type="learning.EventVoided", version=1):
    """An earlier event of this learner no longer counts, from here on."""

    source: Iri
    id: Id
    reason: Note | None = None

    def __post_init__(self) -> None:
        if reason := check_name(self.source, self.id):
            raise field_error("source", reason)

    def voids(self) -> tuple[str, str] | None:
        """The (source, id) of the event that this one takes back."""
        return self.source, self.id


class ActivityRecorded(Event, type="learning.ActivityRecorded", version=1):
    """Any other learning act: a video watched, a page read."""

    activity_id: Iri
    verb: Iri
    duration_seconds: Seconds | None = None
    session_id: Id | None = None
