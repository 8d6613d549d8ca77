"""Every read model, recounted from the whole log: slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from oracle.counted import counted_events
from oracle.days import count_days, is_active, ratio
from oracle.folds import Policy, Row, Rows, fold_catalogue, fold_items, fold_sessions
from oracle.streaks import find_runs, streak_of
from progress_context.log.event import StoredEvent

__all__ = ["DEFAULT_POLICY", "Policy", "Recount", "recount"]


@dataclass(frozen=True)
class Recount:
    """The stored read models of one log, each {grain: columns}, and the answers built on them."""

    item_catalogue: Rows
    sessions: Rows
    item_progress: Rows
    daily_stats: Rows
    active_days: Rows
    streak_runs: Rows

    def item_stats(self, learner_key: int, at: datetime) -> Rows:
        """The learner's items as seen at an instant: {(learner_key, item_id): columns}."""
        return {
            grain: _item_stats_row(row, self.item_catalogue.get((grain[1],), {}), at)
            for grain, row in self.item_progress.items()
            if grain[0] == learner_key
        }

    def streak(self, learner_key: int, today: date) -> Row:
        """The learner's streak on `today`, the learner's own learning day."""
        return streak_of(
            [(day, row) for (key, day), row in self.streak_runs.items() if key == learner_key], today
        )

    def user_summary(self, learner_key: int, today: date) -> Row:
        """The learner's totals over all days and items, with the streak on `today`."""
        days = [row for grain, row in self.daily_stats.items() if grain[0] == learner_key]
        items = [row for grain, row in self.item_progress.items() if grain[0] == learner_key]
        mastered = sum(row["mastered"] is True for row in items)
        totals = ("sessions", "reviews", "correct", "activities", "study_ms")
        return {
            **{name: sum(row[name] for row in days) for name in totals},
            "items_seen": len(items),
            "items_learned": sum(row["first_review_day"] is not None for row in items),
            "items_mastered": mastered,
            "items_in_progress": len(items) - mastered,
            **self.streak(learner_key, today),
        }


DEFAULT_POLICY = Policy()


def recount(log: Sequence[StoredEvent], policy: Policy = DEFAULT_POLICY) -> Recount:
    """All read models of a whole log."""
    events = counted_events(log)
    sessions = fold_sessions(events, policy)
    items = fold_items(events)
    days = count_days(events, sessions, items, policy)
    active = sorted(grain for grain, row in days.items() if is_active(row))
    return Recount(
        item_catalogue=fold_catalogue(events),
        sessions=sessions,
        item_progress=items,
        daily_stats=days,
        active_days={grain: {} for grain in active},
        streak_runs={
            (learner, first_day): row
            for learner in {learner for learner, _ in active}
            for first_day, row in find_runs([d for key, d in active if key == learner], policy.streak_grace)
        },
    )


def _item_stats_row(item: Row, catalogue: Row, at: datetime) -> Row:
    next_review_at = item["next_review_at"]
    copied = (
        "first_seen_at", "last_reviewed_at", "reviews", "correct", "mastery_level", "mastered",
        "next_review_at", "easiness", "last_answer_correct",
    )  # fmt: skip
    return {
        **{name: item[name] for name in copied},
        "accuracy": ratio(item["correct"], item["reviews"]),
        "average_response_time_ms": ratio(item["response_time_ms"], item["timed_reviews"]),
        "overdue": next_review_at is not None and next_review_at < at,
        "struggling": item["reviews"] >= 5 and item["correct"] * 100 < item["reviews"] * 60,
        "spelling": catalogue.get("spelling"),
        "level": catalogue.get("level"),
    }
