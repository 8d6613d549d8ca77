"""How well a learner did: retention, reviews on time, and the periods up to a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from oracle.achievements import days_of
from oracle.counted import JUDGED, SCHEDULED, CountedEvent, of_types
from oracle.days import is_active, ratio
from oracle.folds import Row, Rows
from oracle.recount import Recount
from progress_context.intake.instant import read_instant

RECORDED = "algorithm.ReviewRecorded"
PERIODS = {"DAY": 1, "WEEK": 7, "MONTH": 30, "QUARTER": 90, "YEAR": 365}
RETENTION = ("young_reviews", "young_passed", "mature_reviews", "mature_passed")
TIMELINESS = ("reviews_due", "reviews_on_time")
DAY_LATE = timedelta(hours=24)


def count_retention(events: Sequence[CountedEvent]) -> Rows:
    """retention: {(learner_key, day): columns}."""
    days: Rows = defaultdict(lambda: dict.fromkeys(RETENTION, 0))
    for event in of_types(events, RECORDED):
        interval = event.fields.get("previous_interval_days")
        if interval is None or interval < 1:
            continue
        age = "young" if interval < 21 else "mature"
        day = days[event.learner_key, event.learning_day]
        day[f"{age}_reviews"] += 1
        day[f"{age}_passed"] += event.fields["is_correct"]
    return dict(days)


def count_timeliness(events: Sequence[CountedEvent]) -> Rows:
    """review_timeliness: {(learner_key, day): columns}, from events in the order in which they happened."""
    days: Rows = defaultdict(lambda: dict.fromkeys(TIMELINESS, 0))
    due: dict[tuple[int | None, str], datetime] = {}
    for event in of_types(events, JUDGED, SCHEDULED):
        item = event.learner_key, event.fields["item_id"]
        if event.type == SCHEDULED:
            due[item] = read_instant(event.fields["next_review_at"])[0]
        elif item in due:
            day = days[event.learner_key, event.learning_day]
            day["reviews_due"] += 1
            day["reviews_on_time"] += event.occurred_at <= due[item] + DAY_LATE
    return dict(days)


def performance(counts: Recount, events: Sequence[CountedEvent], learner: int, today: date) -> Rows:
    """performance of a learner: {(learner_key, period): columns}."""
    done = days_of(counts, learner)
    kept = _of_learner(count_retention(events), learner)
    timely = _of_learner(count_timeliness(events), learner)
    if not done and not kept:
        return {}
    rows: Rows = {}
    for period, length in PERIODS.items():
        begin = today - timedelta(days=length)
        before = _between(done, begin - timedelta(days=length), begin)
        known = [
            *_between(done, begin, today),
            *_between(kept, begin, today),
            *_between(timely, begin, today),
        ]
        rows[learner, period] = _row(length, known, before)
    active = [day for day, row in done.items() if is_active(row) and day <= today]
    length = (today - active[0]).days + 1 if active else None
    known = [row for part in (done, kept, timely) for day, row in part.items() if day <= today]
    rows[learner, "ALL"] = _row(length, known, [])
    return rows


def _of_learner(rows: Rows, learner: int) -> dict[date, Row]:
    return {day: row for (key, day), row in rows.items() if key == learner}


def _between(days: dict[date, Row], after: date, upto: date) -> list[Row]:
    return [row for day, row in days.items() if after < day <= upto]


def _row(length: int | None, known: list[Row], before: list[Row]) -> dict[str, object]:
    """One period of `length` days, from all that is known of its days and of the time before."""
    sums = {
        name: _sum(known, name) for name in ("reviews", "correct", "items_mastered", *RETENTION, *TIMELINESS)
    }
    active = sum(is_active(row) for row in known if "sessions" in row)
    rested = sums["young_reviews"] + sums["mature_reviews"]
    passed = sums["young_passed"] + sums["mature_passed"]
    accuracy, retention = ratio(sums["correct"], sums["reviews"]), ratio(passed, rested)
    on_time = ratio(sums["reviews_on_time"], sums["reviews_due"])
    consistency = None if length is None else active / length
    return {
        **sums,
        "days": length,
        "accuracy": accuracy,
        "previous_accuracy": ratio(_sum(before, "correct"), _sum(before, "reviews")),
        "accuracy_trend": _trend(sums, before),
        "learning_velocity": None if length is None else sums["items_mastered"] / length,
        "retention_reviews": rested,
        "retention_passed": passed,
        "retention": retention,
        "retention_young": ratio(sums["young_passed"], sums["young_reviews"]),
        "retention_mature": ratio(sums["mature_passed"], sums["mature_reviews"]),
        "on_time": on_time,
        "active_days": active,
        "consistency": consistency,
        "score": _score((40, accuracy if retention is None else retention), (30, consistency), (30, on_time)),
    }


def _sum(rows: Sequence[Row], column: str) -> int:
    return sum(row.get(column, 0) for row in rows)


def _trend(sums: dict[str, int], rows_before: list[Row]) -> str | None:
    reviews_before = _sum(rows_before, "reviews")
    if not sums["reviews"] or not reviews_before:
        return None
    now, before = sums["correct"] * reviews_before, _sum(rows_before, "correct") * sums["reviews"]
    if now > before and (now - before) * 20 >= before:
        return "UP"
    if now < before and (before - now) * 20 >= before:
        return "DOWN"
    return "STABLE"


def _score(*parts: tuple[int, float | None]) -> float | None:
    known = [(weight, value) for weight, value in parts if value is not None]
    if not known:
        return None
    return 100 * sum(weight * value for weight, value in known) / sum(weight for weight, _ in known)
