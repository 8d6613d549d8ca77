"""The learning day: which calendar day of the learner an instant belongs to."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

from progress_context.intake.instant import OFFSET

_ONE_DAY = timedelta(days=1)
_OFFSET = re.compile(OFFSET)
_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})


def learning_day(occurred_at: datetime, zone: tzinfo, rollover_hour: int) -> date:
    """The learner's calendar day of an instant: wall clock in `zone`, less `rollover_hour` hours.

    Works on the wall clock, so 23- and 25-hour days come out right. Raises ValueError for a naive
    `occurred_at` and for an hour outside 0 to 23.
    """
    if occurred_at.tzinfo is None:
        raise ValueError("occurred_at must be aware")
    if not 0 <= rollover_hour <= 23:
        raise ValueError(f"rollover_hour must be 0 to 23, not {rollover_hour}")
    wall_clock = occurred_at.astimezone(zone)
    if wall_clock.hour >= rollover_hour:
        return wall_clock.date()
    return wall_clock.date() - _ONE_DAY


def learning_day_in(occurred_at: datetime, zone: str, rollover_hour: int) -> date:
    """`learning_day` for the name of a zone. Raises ValueError for a zone that does not exist."""
    return learning_day(occurred_at, zone_of(zone), rollover_hour)


@lru_cache(maxsize=4096)
def zone_of(text: str) -> tzinfo:
    """The zone of an IANA name ("Europe/Paris") or of a fixed offset ("+05:30").

    Rules come from the tzdata package, never from the server, so every copy of every service knows
    the same history. Raises ValueError for any other text.
    """
    return _fixed_offset(text) if _OFFSET.fullmatch(text) else iana_zone(text)


@lru_cache(maxsize=1024)
def iana_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises ValueError for any other text, an offset for example."""
    if name not in zone_names():
        raise ValueError(f"{name[:80]!r} is not an IANA time zone such as 'Europe/Paris'")
    rules = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with rules.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every IANA name there is: the index of the tzdata package, less its placeholders."""
    index = resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(index.split()) - _NOT_PLACES


def _fixed_offset(text: str) -> timezone:
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
