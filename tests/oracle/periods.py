"""Weeks and months of one learner, counted from the days in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from fractions import Fraction

from oracle.days import is_active, ratio
from oracle.folds import Row

ONE_DAY = timedelta(days=1)
NOTICEABLE = Fraction(5, 100)
SUMMED = ("sessions", "reviews", "correct", "new_items", "items_mastered", "activities", "study_ms")

Days = Mapping[date, Row]
FirstDay = Callable[[date], date]


def monday(day: date) -> date:
    """The first day of the ISO week of a day."""
    year, week, _ = day.isocalendar()
    return date.fromisocalendar(year, week, 1)


def first_of_month(day: date) -> date:
    """The first day of the month of a day."""
    return day.replace(day=1)


def count_periods(days: Days, first_day: FirstDay) -> dict[date, Row]:
    """{first day: sums} of the periods with any row in `days`."""
    return {start: _sums(days, first_day, start) for start in sorted(set(map(first_day, days)))}


def period_stats(days: Days, first_day: FirstDay, today: date) -> dict[date, Row]:
    """{first day: columns} of the same periods as they look on `today`."""
    return {start: _stats(days, first_day, start, today) for start in count_periods(days, first_day)}


def _sums(days: Days, first_day: FirstDay, start: date) -> Row:
    rows = [row for day, row in days.items() if first_day(day) == start]
    return {
        "row_count": len(rows),
        "active_days": sum(map(is_active, rows)),
        **{name: sum(row[name] for row in rows) for name in SUMMED},
    }


def _stats(days: Days, first_day: FirstDay, start: date, today: date) -> Row:
    sums = _sums(days, first_day, start)
    calendar_days = _days_of(first_day, start)
    daily = _reviews_a_day(days, first_day, start, today)
    daily_before = _reviews_a_day(days, first_day, first_day(start - ONE_DAY), today)
    copied = ("active_days", "sessions", "activities", "reviews", "correct", "new_items", "items_mastered")
    return {
        **{name: sums[name] for name in copied},
        "days_elapsed": len(_elapsed(calendar_days, today)),
        "accuracy": ratio(sums["correct"], sums["reviews"]),
        "reviews_per_day": float(daily),
        "items_mastered_so_far": sum(
            row["items_mastered"] for day, row in days.items() if day <= calendar_days[-1]
        ),
        "study_seconds": sums["study_ms"] / 1_000,
        "consistency": sums["active_days"] / len(calendar_days),
        "trend": trend(daily_before, daily),
    }


def trend(before: Fraction, now: Fraction) -> str:
    """UP, STABLE or DOWN; from nothing to something is UP."""
    if before == 0:
        return "UP" if now > 0 else "STABLE"
    change = now / before - 1
    if change >= NOTICEABLE:
        return "UP"
    return "DOWN" if change <= -NOTICEABLE else "STABLE"


def _reviews_a_day(days: Days, first_day: FirstDay, start: date, today: date) -> Fraction:
    reviews = _sums(days, first_day, start)["reviews"]
    return Fraction(reviews, len(_elapsed(_days_of(first_day, start), today)))


def _days_of(first_day: FirstDay, start: date) -> list[date]:
    following = (start + n * ONE_DAY for n in range(31))
    return [day for day in following if first_day(day) == start]


def _elapsed(calendar_days: Iterable[date], today: date) -> list[date]:
    """Those up to today; all of them when today is not one of them."""
    whole = list(calendar_days)
    return [day for day in whole if day <= today] if today in whole else whole
