"""The use of AI, and the events that this service sends itself."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from progress_context.intake.event_type import Count, Event, Id


class UsageRecorded(Event, type="ai.UsageRecorded", version=1):
    """An AI model worked for a learner; `cost` is in the currency of the installation."""

    task_type: Id
    tokens_used: Count
    cost: Annotated[float, Meta(ge=0, le=1_000_000_000)] | None = None


class StreakUpdated(Event, type="progress.StreakUpdated", version=1):
    """A learner's streak has a new length, in learning days."""

    current: Count
    previous: Count
    longest: Count


class MilestoneAchieved(Event, type="progress.MilestoneAchieved", version=1):
    """A learner reached a milestone; `type` says which kind, `details` which one."""

    type: Id
    details: dict[str, Any] | None = None


class ReportGenerated(Event, type="progress.ReportGenerated", version=1):
    """A progress report was made for a learner; its data are kept as sent."""
