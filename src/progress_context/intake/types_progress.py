"""The events that this service sends itself; from anyone else they are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from progress_context.intake.event_type import Count, Event, Id

Day = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$", extra_json_schema={"format": "date"})]


class StreakUpdated(Event, type="progress.StreakUpdated", version=1):
    """A streak has a new length in learning days; `day` is its last one, `previous` what was told before."""

    current: Count
    previous: Count
    longest: Count
    day: Day


class MilestoneAchieved(Event, type="progress.MilestoneAchieved", version=1):
    """A learner reached a milestone; `type` says which kind, `details` which one, and on which day."""

    type: Id
    details: dict[str, Any]


class ReportGenerated(Event, type="progress.ReportGenerated", version=1):
    """A report of some learning days; `position` is that of the read models the figures were taken from."""

    period: Literal["daily", "weekly", "monthly"]
    first_day: Day
    last_day: Day
    position: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    figures: dict[str, Any]
