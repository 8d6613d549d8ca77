"""The moment asked about, and what date it is for the learner then."""

from __future__ import annotations

from progress_context.engine.as_of import AsOf
from progress_context.engine.catalog import Catalog
from progress_context.engine.template import literal, quote
from progress_context.log.database import statement
from progress_context.log.profiles import Calendar

CALENDAR = "learner_calendar"  # the read model that knows where a learner is


def asked(default: Calendar, learner: str, at: str, *, calendar: str = f"read.{CALENDAR}") -> str:
    """The relation `asked`, given the SQL of a learner's key and of an instant; see `asked.sql`.

    `calendar` holds the rows of the read model; where it says nothing the default does.
    """
    return (
        statement(__package__, "asked")
        .replace(":at", at)
        .replace(":learner", learner)
        .replace(":calendar", calendar)
        .replace(":zone", literal(default.time_zone))
        .replace(":rollover_hour", str(int(default.rollover_hour)))
    )


def as_of(catalog: Catalog, default: Calendar) -> AsOf:
    """Questions about the past, with the learner's date by what was known of their calendar then."""
    rows = quote(f"{CALENDAR}.rows")
    return AsOf(catalog, lambda learner, at: asked(default, learner, at, calendar=rows), [CALENDAR])
