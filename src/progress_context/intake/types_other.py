"""The use of AI."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from progress_context.intake.event_type import Count, Event, Id


class UsageRecorded(Event, type="ai.UsageRecorded", version=1):
    """An AI model worked for a learner; `cost` is in the currency of the installation."""

    task_type: Id
    tokens_used: Count
    cost: Annotated[float, Meta(ge=0, le=1_000_000_000)] | None = None
