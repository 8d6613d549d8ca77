"""Time as whole milliseconds since 1970 in UTC, and the clocks on learners' walls."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EASTERNMOST = 14 * HOUR
"""No clock is further ahead of UTC: a calendar day begins nowhere earlier than this before it."""

_EPOCH = date(1970, 1, 1)


def midnight(day: date) -> int:
    """The first instant of a day of UTC."""
    return (day - _EPOCH).days * DAY


@lru_cache(maxsize=8_192)
def _minute(number: int) -> str:
    """The minutes since 1970, as the beginning of an RFC 3339 text."""
    return (datetime.min.replace(year=1970) + timedelta(minutes=number)).isoformat()[:17]


def instant(at: int) -> str:
    """An instant as RFC 3339 text in UTC, with milliseconds."""
    minute, rest = divmod(at, MINUTE)
    return f"{_minute(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=1_024)
def offset(zone: str, day: date) -> int:
    """How far the zone's clocks are ahead of UTC at noon of that day."""
    ahead = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset()
    return int(ahead.total_seconds()) * SECOND if ahead else 0
