"""Milestones, and what the summary makes of them, found by going through the days once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from oracle.days import is_active
from oracle.folds import Row, Rows
from oracle.recount import Recount

CUMULATIVE = {
    "FIRST_SESSION": ("sessions", 1, (1,)),
    "ITEMS_MASTERED": ("items_mastered", 1, (100, 500, 1_000)),
    "STUDY_HOURS": ("study_ms", 3_600_000, (10, 100, 1_000)),
}
CONSECUTIVE_DAYS = (7, 30, 100, 365)
LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
ONE_DAY = timedelta(days=1)


def milestones(counts: Recount, learner: int, today: date) -> Rows:
    """milestones of a learner: {(learner_key, type, threshold): columns}."""
    days = days_of(counts, learner)
    items = _items_of(counts, learner)
    if not days and not items:
        return {}
    active = [day for day, row in days.items() if is_active(row)]
    found = [
        *_cumulative(days),
        *_consecutive(active, _runs_of(counts, learner), today),
        _perfect_week(active, today),
        *_levels(counts, items),
    ]
    return {(learner, row["type"], row["threshold"]): row for row in found}


def summary(counts: Recount, learner: int, today: date) -> Row:
    """What user_summary says beyond plain totals; its recent achievements as (type, threshold, day)."""
    days, items = days_of(counts, learner), _items_of(counts, learner)
    active = [day for day, row in days.items() if is_active(row)]
    month = [row for day, row in days.items() if today - 30 * ONE_DAY < day <= today]
    hours = sum(row["study_ms"] for row in days.values()) / 3_600_000
    days_since = (today - active[0]).days + 1 if active else 0
    rows = list(milestones(counts, learner, today).values())
    coming = _next_milestone(rows)
    achieved = sorted(
        (row for row in rows if row["achieved"]),
        key=lambda row: (-row["achieved_on"].toordinal(), row["type"], row["threshold"]),
    )
    return {
        "study_hours": hours,
        "average_daily_minutes": hours * 60 / days_since if days_since > 0 else None,
        "consistency": sum(map(is_active, month)) / 30,
        "progress_score": _progress_score(counts, items, month),
        **{f"next_milestone_{name}": coming[name] for name in ("type", "threshold", "level", "target")},
        "next_milestone_progress": coming["progress"],
        "recent_achievements": [
            {name: row[name] for name in ("type", "threshold", "level", "achieved_on")}
            for row in achieved[:3]
        ],
    }


def days_of(counts: Recount, learner: int) -> dict[date, Row]:
    """The learner's days in daily_stats, first to last."""
    return {day: row for (key, day), row in sorted(counts.daily_stats.items()) if key == learner}


def _items_of(counts: Recount, learner: int) -> dict[str, Row]:
    return {item: row for (key, item), row in counts.item_progress.items() if key == learner}


def _runs_of(counts: Recount, learner: int) -> list[tuple[date, date]]:
    runs = counts.streak_runs.items()
    return [(first, row["last_day"]) for (key, first), row in runs if key == learner]


def _milestone(
    type_: str,
    threshold: int,
    target: int,
    progress: float,
    achieved_on: date | None,
    level: str | None = None,
) -> dict[str, Any]:
    return {
        "type": type_,
        "threshold": threshold,
        "level": level,
        "target": target,
        "progress": progress if achieved_on is None else target,
        "achieved": achieved_on is not None,
        "achieved_on": achieved_on,
    }


def _cumulative(days: dict[date, Row]) -> Iterator[dict[str, Any]]:
    for type_, (column, unit, thresholds) in CUMULATIVE.items():
        for threshold in thresholds:
            total = 0
            achieved_on = None
            for day, row in days.items():
                total += row[column]
                if achieved_on is None and total >= threshold * unit:
                    achieved_on = day
            yield _milestone(type_, threshold, threshold, total / unit, achieved_on)


def _consecutive(
    active: Sequence[date], runs: Sequence[tuple[date, date]], today: date
) -> Iterator[dict[str, Any]]:
    days_of_runs = [[day for day in active if first <= day <= last] for first, last in runs]
    alive = [len(run) for run in days_of_runs if run[-1] >= today - ONE_DAY]
    for threshold in CONSECUTIVE_DAYS:
        reached_on = [run[threshold - 1] for run in days_of_runs if len(run) >= threshold]
        achieved_on = min(reached_on, default=None)
        yield _milestone("CONSECUTIVE_DAYS", threshold, threshold, max(alive, default=0), achieved_on)


def _perfect_week(active: Sequence[date], today: date) -> dict[str, Any]:
    weeks: dict[tuple[int, int], list[date]] = defaultdict(list)
    for day in active:
        weeks[day.isocalendar()[:2]].append(day)
    perfect = [week[-1] for week in weeks.values() if len(week) == 7]
    present = [len(week) for number, week in weeks.items() if number >= today.isocalendar()[:2]]
    return _milestone("PERFECT_WEEK", 1, 7, max(present, default=0), min(perfect, default=None))


def _levels(counts: Recount, items: dict[str, Row]) -> Iterator[dict[str, Any]]:
    for number, level in enumerate(LEVELS, start=1):
        names = [item for (item,), row in counts.item_catalogue.items() if row["level"] == level]
        mastered = [items[name] for name in names if name in items and items[name]["mastered"]]
        if not names:
            continue
        days = [row["first_mastered_day"] for row in mastered]
        achieved_on = max(days) if len(mastered) == len(names) else None
        yield _milestone("LEVEL_COMPLETE", number, len(names), len(mastered), achieved_on, level)


def _next_milestone(rows: Sequence[Row]) -> Row:
    missing = [row for row in rows if not row["achieved"]]
    order = sorted(missing, key=lambda row: (-row["progress"] / row["target"], row["type"], row["threshold"]))
    return order[0] if order else dict.fromkeys(("type", "threshold", "level", "target", "progress"))


def _progress_score(counts: Recount, items: dict[str, Row], month: Sequence[Row]) -> float:
    learned = sum(row["first_review_day"] is not None for row in items.values())
    mastered = sum(row["mastered"] is True for row in items.values())
    reviews, correct = sum(row["reviews"] for row in month), sum(row["correct"] for row in month)
    catalogue = len(counts.item_catalogue)
    score = 0.0
    if learned:
        score += 40 * min(1.0, mastered / learned)
    if reviews:
        score += 30 * correct / reviews
    if catalogue:
        score += 30 * min(1.0, learned / catalogue)
    return score
