"""Every read model, recounted from the whole log: slow and obvious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from oracle.counted import counted_events
from oracle.days import count_days, is_active, ratio
from oracle.folds import Policy, Row, Rows, fold_catalogue, fold_items, fold_sessions
from oracle.periods import count_periods, first_of_month, monday, period_stats
from oracle.standings import (
    Catalogue,
    count_items,
    count_level_items,
    count_skill_items,
    count_skill_reviews,
    domain_stats,
    level_stats,
)
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
    weekly_totals: Rows
    level_totals: Rows
    level_items: Rows
    skill_totals: Rows
    skill_reviews: Rows
    skill_items: Rows

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

    def weekly_stats(self, learner_key: int, today: date) -> Rows:
        """The learner's weeks: {(learner_key, Monday): columns}."""
        weeks = period_stats(_of_learner(self.daily_stats, learner_key), monday, today)
        return {(learner_key, week): row for week, row in weeks.items()}

    def monthly_stats(self, learner_key: int, today: date) -> Rows:
        """The learner's months: {(learner_key, first day): columns}."""
        months = period_stats(_of_learner(self.daily_stats, learner_key), first_of_month, today)
        return {(learner_key, month): row for month, row in months.items()}

    def level_stats(self, learner_key: int, today: date) -> Rows:
        """The learner's standing with each level: {(learner_key, level): columns}."""
        items = _of_learner(self.item_progress, learner_key)
        levels = level_stats(items, Catalogue(self.item_catalogue), today) if items else {}
        return {(learner_key, level): row for level, row in levels.items()}

    def domain_stats(self, learner_key: int) -> Rows:
        """The learner's standing with each skill: {(learner_key, skill): columns}."""
        items = _of_learner(self.item_progress, learner_key)
        reviews = _of_learner(self.skill_items, learner_key)
        skills = domain_stats(items, Catalogue(self.item_catalogue), reviews) if items else {}
        return {(learner_key, skill): row for skill, row in skills.items()}


DEFAULT_POLICY = Policy()


def recount(log: Sequence[StoredEvent], policy: Policy = DEFAULT_POLICY) -> Recount:
    """All read models of a whole log."""
    events = counted_events(log)
    sessions = fold_sessions(events, policy)
    items = fold_items(events)
    days = count_days(events, sessions, items, policy)
    active = sorted(grain for grain, row in days.items() if is_active(row))
    item_catalogue = fold_catalogue(events)
    catalogue = Catalogue(item_catalogue)
    return Recount(
        item_catalogue=item_catalogue,
        sessions=sessions,
        item_progress=items,
        daily_stats=days,
        active_days={grain: {} for grain in active},
        streak_runs={
            (learner, first_day): row
            for learner in {learner for learner, _ in active}
            for first_day, row in find_runs([d for key, d in active if key == learner], policy.streak_grace)
        },
        weekly_totals={
            (learner, week): row
            for learner in {learner for learner, _ in days}
            for week, row in count_periods(_of_learner(days, learner), monday).items()
        },
        level_totals=count_items(catalogue.items, catalogue.levels),
        level_items=count_level_items(items, catalogue),
        skill_totals=count_items(catalogue.items, catalogue.skills),
        skill_reviews=count_skill_reviews(events),
        skill_items=count_skill_items(events, items, catalogue),
    )


def _of_learner(rows: Rows, learner_key: int) -> dict[Any, Row]:
    """One learner's rows by the other column of their grain."""
    return {key: row for (learner, key), row in rows.items() if learner == learner_key}


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
