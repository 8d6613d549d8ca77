"""How a learner stands with the CEFR levels and with the four skills of the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from math import ceil
from typing import Any

from oracle.counted import JUDGED, CountedEvent, of_types, sent
from oracle.days import ratio
from oracle.folds import Row, Rows, is_correct

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
SKILLS = ("reading", "writing", "listening", "speaking")
PACE_DAYS = 28
CENTURY_DAYS = 36_525

Items = Mapping[str, Row]
Groups = Callable[[str], set[str]]


class Catalogue:
    """Which level and which skills an item has, by what was last said of it."""

    def __init__(self, rows: Rows) -> None:
        self.items = [item for (item,) in rows]
        self._rows = rows

    def levels(self, item: str) -> set[str]:
        """The level of an item, if anybody told."""
        level = self._rows.get((item,), {}).get("level")
        return set() if level is None else {level}

    def skills(self, item: str) -> set[str]:
        """The skills that an item trains."""
        return set(self._rows.get((item,), {}).get("domains") or ())


def count_items(items: Sequence[str], groups: Groups) -> Rows:
    """level_totals, skill_totals: {(group,): columns} of the groups with items in the catalogue."""
    totals: Rows = defaultdict(lambda: {"row_count": 0})
    for item in items:
        for group in groups(item):
            totals[group,]["row_count"] += 1
    return dict(totals)


def count_level_items(items: Rows, catalogue: Catalogue) -> Rows:
    """level_items: {(learner_key, level): columns}."""
    levels: Rows = defaultdict(lambda: {"row_count": 0, "mastered": 0})
    for (learner, item), row in items.items():
        for level in catalogue.levels(item):
            levels[learner, level]["row_count"] += 1
            levels[learner, level]["mastered"] += row["mastered"] is True
    return dict(levels)


def count_skill_reviews(events: Sequence[CountedEvent]) -> Rows:
    """skill_reviews: {(learner_key, domain): columns} of the reviews that name a skill."""
    skills: Rows = defaultdict(_no_reviews)
    for event in of_types(events, JUDGED):
        for skill in sent([event], "domain"):
            _tally(skills[event.learner_key, skill], event)
    return dict(skills)


def count_skill_items(events: Sequence[CountedEvent], items: Rows, catalogue: Catalogue) -> Rows:
    """skill_items: {(learner_key, domain): columns}."""
    skills: Rows = defaultdict(lambda: {"items": 0, "mastered": 0, **_no_reviews()})
    for (learner, item), row in items.items():
        for skill in catalogue.skills(item):
            skills[learner, skill]["items"] += 1
            skills[learner, skill]["mastered"] += row["mastered"] is True
    named: set[tuple[Any, Any]] = set()
    for event in of_types(events, JUDGED):
        named |= {(event.learner_key, skill) for skill in sent([event], "domain")}
        for skill in sent([event], "domain") or catalogue.skills(event.fields["item_id"]):
            _tally(skills[event.learner_key, skill], event)
    return {grain: {**row, "row_count": row["items"] + (grain in named)} for grain, row in skills.items()}


def level_stats(items: Items, catalogue: Catalogue, today: date) -> dict[str, Row]:
    """{level: columns} of one learner's items, for the levels that have items in the catalogue."""
    stats: dict[str, Row] = {}
    for level in LEVELS:
        standing = _standing(
            items, catalogue.items, lambda item, level=level: level in catalogue.levels(item)
        )
        if standing["total_items"] > 0:
            recent = [
                item
                for item, row in items.items()
                if level in catalogue.levels(item) and _first_mastered_lately(row, today)
            ]
            left = standing["total_items"] - standing["mastered"]
            stats[level] = {**standing, "estimated_completion": _completion(left, len(recent), today)}
    return stats


def domain_stats(items: Items, catalogue: Catalogue, reviews: Mapping[str, Row]) -> dict[str, Row]:
    """{skill: columns} of one learner's items and the learner's reviews of each skill."""
    stats: dict[str, Row] = {}
    for skill in SKILLS:
        counted = reviews.get(skill, _no_reviews())
        stats[skill] = {
            **_standing(items, catalogue.items, lambda item, skill=skill: skill in catalogue.skills(item)),
            "reviews": counted["reviews"],
            "correct": counted["correct"],
            "accuracy": ratio(counted["correct"], counted["reviews"]),
            "time_spent_seconds": counted["response_time_ms"] / 1_000,
        }
    return stats


def _standing(items: Items, catalogued: Sequence[str], belongs: Callable[[str], bool]) -> Row:
    group = [item for item in catalogued if belongs(item)]
    mastered = [item for item in group if item in items and items[item]["mastered"] is True]
    return {
        "total_items": len(group),
        "mastered": len(mastered),
        "in_progress": len([item for item in group if item in items and item not in mastered]),
        "not_started": len([item for item in group if item not in items]),
        "progress": ratio(len(mastered), len(group)),
    }


def _first_mastered_lately(item: Row, today: date) -> bool:
    day = item["first_mastered_day"]
    return day is not None and 0 <= (today - day).days < PACE_DAYS


def _completion(left: int, mastered_lately: int, today: date) -> date | None:
    """The day on which nothing is left when it goes on like this; None if that is out of sight."""
    if left == 0:
        return today
    if mastered_lately == 0:
        return None
    days = ceil(left / Fraction(mastered_lately, PACE_DAYS))
    return today + timedelta(days=days) if days <= CENTURY_DAYS else None


def _no_reviews() -> Row:
    return {"reviews": 0, "correct": 0, "response_time_ms": 0}


def _tally(row: Row, judged: CountedEvent) -> None:
    row["reviews"] += 1
    row["correct"] += is_correct(judged)
    row["response_time_ms"] += sum(sent([judged], "response_time_ms"))
