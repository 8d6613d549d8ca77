"""Instants and spans of time as senders write them: RFC 3339 times, ISO 8601 durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# PostgreSQL reads offsets up to 15:59; every offset ever in force on earth is smaller.
OFFSET = r"[+-](?:0[0-9]|1[0-5]):[0-5][0-9]"
INSTANT = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]{1,30})?"
    rf"([Zz]|{OFFSET})"
)
_INSTANT = re.compile(INSTANT)
_DURATION = re.compile(
    r"P(?:(\d+(?:[.,]\d+)?)Y)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?",
    re.ASCII,
)
_SECONDS = (None, None, 604_800, 86_400, 3_600, 60, 1)


def read_instant(text: str) -> tuple[datetime, str | None]:
    """The aware datetime of an RFC 3339 time, and the local offset it states.

    The offset is `None` for `Z` and for `-00:00`, which both say that the local offset is unknown.
    Digits beyond microseconds are cut off; a leap second reads as the last microsecond before it.
    Raises ValueError for everything else, a time without an offset first of all.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with an offset, such as 2026-03-01T12:00:00+01:00")
    to_minute, second, fraction, offset = match.groups()
    is_leap_second = second == "60"
    if is_leap_second:
        second, fraction = "59", ".999999"
    if offset in ("Z", "z"):
        stated, offset = None, "+00:00"
    else:
        stated = None if offset == "-00:00" else offset
    try:
        moment = datetime.fromisoformat(f"{to_minute}{second}{fraction or ''}{offset}")
    except ValueError as error:
        raise ValueError(f"no such date or time: {error}") from None
    if is_leap_second:
        _check_leap_second(moment)
    return moment, stated


def _check_leap_second(moment: datetime) -> None:
    utc = moment.astimezone(UTC)
    if (utc.hour, utc.minute) != (23, 59):
        raise ValueError("second 60 exists only at 23:59 UTC")


def read_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration such as `PT1H4.5S` or `P2W`.

    A day is 24 hours. Raises ValueError for anything else: years and months, unless they are zero,
    because they have no length in seconds.
    """
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise ValueError("not an ISO 8601 duration, such as PT4M30.5S")
    numbers = [float(part.replace(",", ".")) if part else 0.0 for part in match.groups()]
    if numbers[0] or numbers[1]:
        raise ValueError("years and months have no length in seconds")
    return sum(
        number * length for number, length in zip(numbers, _SECONDS, strict=True) if length is not None
    )
