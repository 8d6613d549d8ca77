"""What a learner did on each learning day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

from oracle.counted import ACTIVITY, AI_USED, JUDGED, CountedEvent, sent
from oracle.folds import Policy, Row, Rows, is_correct

SUMS = (
    "sessions", "sessions_abandoned", "reviews", "correct", "response_time_ms", "timed_reviews",
    "study_ms", "new_items", "items_mastered", "activities", "ai_tokens", "ai_cost",
)  # fmt: skip
BEHIND_A_ROW = (
    "reviews", "activities", "ai_uses", "new_items", "items_mastered", "sessions", "sessions_abandoned",
)  # fmt: skip


def count_days(events: Sequence[CountedEvent], sessions: Rows, items: Rows, policy: Policy) -> Rows:
    """daily_stats: {(learner_key, day): columns}, from events and the folded sessions and items."""
    days: Rows = defaultdict(lambda: dict.fromkeys((*SUMS, "ai_uses"), 0))
    for event in events:
        if event.type in _TALLIES:
            _TALLIES[event.type](days[event.learner_key, event.learning_day], event, policy)
    for (learner, _), row in sessions.items():
        _tally_session(days, learner, row)
    for (learner, _), row in items.items():
        if row["first_review_day"] is not None:
            days[learner, row["first_review_day"]]["new_items"] += 1
        if row["first_mastered_day"] is not None:
            days[learner, row["first_mastered_day"]]["items_mastered"] += 1
    return {grain: _finished_day(day) for grain, day in days.items()}


def _tally_judged(day: Row, event: CountedEvent, _: Policy) -> None:
    day["reviews"] += 1
    day["correct"] += is_correct(event)
    for milliseconds in sent([event], "response_time_ms"):
        day["response_time_ms"] += milliseconds
        day["timed_reviews"] += 1


def _tally_activity(day: Row, event: CountedEvent, policy: Policy) -> None:
    day["activities"] += 1
    for seconds in sent([event], "duration_seconds"):
        day["study_ms"] += _whole_milliseconds(min(seconds, policy.cap_seconds))


def _tally_ai_use(day: Row, event: CountedEvent, _: Policy) -> None:
    day["ai_uses"] += 1
    day["ai_tokens"] += event.fields["tokens_used"]
    day["ai_cost"] += sum(sent([event], "cost"))


_TALLIES = {JUDGED: _tally_judged, ACTIVITY: _tally_activity, AI_USED: _tally_ai_use}


def _tally_session(days: Rows, learner: int, session: Row) -> None:
    if session["completed_day"] is not None:
        day = days[learner, session["completed_day"]]
        day["sessions"] += 1
    elif session["abandoned_day"] is not None:
        day = days[learner, session["abandoned_day"]]
        day["sessions_abandoned"] += 1
    else:
        return
    day["study_ms"] += _whole_milliseconds(session["study_seconds"])


def _whole_milliseconds(seconds: Decimal | int) -> int:
    return int((Decimal(seconds) * 1_000).to_integral_value(ROUND_HALF_UP))


def _finished_day(day: Row) -> Row:
    return {
        **{name: day[name] for name in SUMS},
        "incorrect": day["reviews"] - day["correct"],
        "accuracy": ratio(day["correct"], day["reviews"]),
        "row_count": sum(day[name] for name in BEHIND_A_ROW),
    }


def is_active(day: Row) -> bool:
    """Whether a DailyStats row makes its day an active day."""
    return day["reviews"] + day["sessions"] + day["activities"] > 0


def ratio(numerator: int, denominator: int) -> float | None:
    """The quotient of two sums, None when there is nothing to divide by."""
    return numerator / denominator if denominator else None
