"""What the spaced-repetition algorithm decided."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from progress_context.intake.event_type import (
    Count,
    Days,
    Event,
    Id,
    Label,
    Milliseconds,
    Note,
    Share,
    field_error,
)
from progress_context.intake.instant import INSTANT, read_instant

Instant = Annotated[str, Meta(pattern=f"^{INSTANT}$", extra_json_schema={"format": "date-time"})]

Easiness = Annotated[float, Meta(ge=1.3, le=2.5)]
# Other algorithms than SM-2 go beyond its range when they adjust.
AnyEasiness = Annotated[float, Meta(ge=0, le=1_000)]


class ReviewRecorded(Event, type="algorithm.ReviewRecorded", version=1):
    """The algorithm took note of a review, with the quality of the answer on the SM-2 scale."""

    item_id: Id
    quality: Annotated[int, Meta(ge=0, le=5)]
    is_correct: bool
    review_type: Literal["new", "learning", "review"]
    response_time_ms: Milliseconds | None = None
    previous_interval_days: Days | None = None


class ReviewScheduled(Event, type="algorithm.ReviewScheduled", version=1):
    """The next review of an item was put on the calendar."""

    item_id: Id
    next_review_at: Instant
    interval_days: Days
    easiness_factor: Easiness | None = None
    repetition_count: Count | None = None
    algorithm_version: Label | None = None

    def __post_init__(self) -> None:
        try:
            read_instant(self.next_review_at)
        except ValueError as error:
            raise field_error("next_review_at", str(error)) from None


class DifficultyAdjusted(Event, type="algorithm.DifficultyAdjusted", version=1):
    """An item turned out easier or harder than thought."""

    item_id: Id
    old_easiness_factor: AnyEasiness
    new_easiness_factor: AnyEasiness
    reason: Note | None = None


class ItemMastered(Event, type="algorithm.ItemMastered", version=1):
    """An item is mastered by the algorithm's own measure."""

    item_id: Id
    total_reviews: Count
    accuracy_rate: Share
    retention_days: Days


class StatisticsUpdated(Event, type="algorithm.StatisticsUpdated", version=1):
    """Metrics of the algorithm, stored and shown as sent."""


class PerformanceAnalyzed(Event, type="algorithm.PerformanceAnalyzed", version=1):
    """An analysis of the algorithm, stored and shown as sent."""
