"""How long an answer may be kept at most, whatever its version says, and which answers may be kept at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from progress_context.query.outline import Bound, Outline

MINUTE, HOUR, DAY = 60, 3_600, 86_400
PAST = DAY
TODAY = 5 * MINUTE
UNKNOWN = MINUTE  # who is unknown may become known
BY_FIELD = {
    "dailyStats": TODAY,
    "weeklyTrend": HOUR,
    "monthlyStats": HOUR,
    "categoryProgress": HOUR,
    "itemProgress": 5 * MINUTE,  # what is overdue depends on the moment
    "learningStreak": 5 * MINUTE,
    "userSummary": 10 * MINUTE,
    "performanceMetrics": 10 * MINUTE,
    "milestones": 10 * MINUTE,
    "readModel": 5 * MINUTE,
}


@dataclass(frozen=True)
class Keepable:
    """What the cache must know of a request: whom it is about, and its fields with their values."""

    users: tuple[str, ...]
    fields: tuple[tuple[str, Bound], ...]

    @cached_property
    def fixed(self) -> bool:
        """Whether everything asked is as of positions, and so never changes."""
        return all(bound.fixed for _, bound in self.fields)

    @cached_property
    def names(self) -> frozenset[str]:
        """The fields of Query that are asked."""
        return frozenset(name for name, _ in self.fields)

    def seconds(self, today: date) -> int:
        """How long the answer may be kept; `today` is the earliest date any of the learners has."""
        return min(_seconds(name, bound, today) for name, bound in self.fields)


def keepable(outline: Outline, bound: Sequence[Bound]) -> Keepable | None:
    """What to know of a request whose arguments are all in order; None: its answer must not be kept."""
    asked = [field for field in outline.fields if field.chosen.name != "__typename"]
    if not asked or len(asked) != len(bound):
        return None
    users = dict.fromkeys(each.user_id for each in bound if each.user_id is not None)
    if any(each.user_id is None for each in bound):
        return None
    named = zip((field.chosen.name for field in asked), bound, strict=True)
    if any(field.chosen.name not in BY_FIELD for field in asked):
        return None
    return Keepable(tuple(users), tuple(named))


def _seconds(name: str, bound: Bound, today: date) -> int:
    if bound.past:
        return PAST
    last = bound.parameters.get("day_to")
    if name == "dailyStats" and last is not None and last < today:
        return PAST
    return BY_FIELD[name]
