"""What there is to learn: the item catalogue."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from progress_context.intake.event_type import Domain, Event, Id, Level

Spelling = Annotated[str, Meta(min_length=1, max_length=1_000)]


class ItemPublished(Event, type="vocabulary.ItemPublished", version=1, subject="item"):
    """An item entered the catalogue."""

    item_id: Id
    spelling: Spelling
    level: Level | None = None
    domains: list[Domain] | None = None


class ItemUpdated(Event, type="vocabulary.ItemUpdated", version=1, subject="item"):
    """Some fields of a catalogue item changed; those not named stay as they were."""

    item_id: Id
    spelling: Spelling | None = None
    level: Level | None = None
    domains: list[Domain] | None = None
