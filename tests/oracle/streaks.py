"""Runs of active days, and the streak on a given day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

Run = tuple[date, dict[str, Any]]

ONE_DAY = timedelta(days=1)
BETWEEN_FREEZES = timedelta(days=7)


def find_runs(active_days: Sequence[date], streak_grace: bool) -> list[Run]:
    """(first day, columns) of every run of one learner's active days, which come in ascending order.

    With `streak_grace` the earliest single missed days are bridged, never two within seven days.
    """
    runs: list[Run] = []
    last_freeze = date.min
    for day in active_days:
        run = runs[-1][1] if runs else None
        missed = day - ONE_DAY
        if run is not None and run["last_day"] == missed:
            run.update(last_day=day, days=run["days"] + 1)
        elif (
            run is not None
            and streak_grace
            and run["last_day"] == missed - ONE_DAY
            and missed - last_freeze >= BETWEEN_FREEZES
        ):
            run.update(last_day=day, days=run["days"] + 1, freezes_used=run["freezes_used"] + 1)
            last_freeze = missed
        else:
            runs.append((day, {"last_day": day, "days": 1, "freezes_used": 0}))
    return runs


def streak_of(runs: Sequence[Run], today: date) -> dict[str, Any]:
    """One learner's streak on `today`; without any run its days are None and its numbers 0.

    When events from the future leave several runs alive, the latest is the current one.
    """
    ordered = sorted(runs, key=lambda run: run[0])
    alive = [row for _, row in ordered if row["last_day"] >= today - ONE_DAY]
    return {
        "current": alive[-1]["days"] if alive else 0,
        "longest": max((row["days"] for _, row in ordered), default=0),
        "last_active_day": ordered[-1][1]["last_day"] if ordered else None,
        "first_active_day": ordered[0][0] if ordered else None,
        "total_active_days": sum(row["days"] for _, row in ordered),
        "alive": bool(alive),
        "active_today": any(first <= today <= row["last_day"] for first, row in ordered),
        "freezes_used": sum(row["freezes_used"] for _, row in ordered),
    }
