"""What is known about a learner's calendar and wishes; e-mail and names never enter the log."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from progress_context.intake.event_type import Event, Note, field_error
from progress_context.intake.learning_day import iana_zone
from progress_context.log.event import ProfileChange

Hour = Annotated[int, Meta(ge=0, le=23)]
ZoneName = Annotated[str, Meta(max_length=80)]
Locale = Annotated[str, Meta(max_length=64)]


class _Profile(Event):
    time_zone: ZoneName | None = None
    day_rollover_hour: Hour | None = None
    locale: Locale | None = None
    goals: Any = None

    def __post_init__(self) -> None:
        if self.time_zone is not None:
            try:
                iana_zone(self.time_zone)
            except ValueError as error:
                raise field_error("time_zone", str(error)) from None

    def profile(self) -> ProfileChange | None:
        """What this event changes in the learner's calendar."""
        if self.time_zone is None and self.day_rollover_hour is None:
            return None
        return ProfileChange(self.time_zone, self.day_rollover_hour)


class UserCreated(_Profile, type="user.UserCreated", version=1, private=True):
    """A learner joined; `time_zone` is an IANA name."""


class PreferencesUpdated(_Profile, type="user.PreferencesUpdated", version=1, private=True):
    """A learner's preferences, from now on; what is not named stays as it was."""


class UserDeleted(Event, type="user.UserDeleted", version=1, private=True):
    """A learner is to be forgotten."""

    deletion_type: Literal["self", "admin"] | None = None
    reason: Note | None = None
