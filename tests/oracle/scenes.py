"""Scenes: what one learner does in one place, step by step, as strategies over small pools."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from hypothesis import strategies as st

from oracle import counted
from oracle.payloads import (
    ITEMS,
    PROFILES,
    SESSIONS,
    STRANGE,
    ZONES,
    Payload,
    add_strange_fields,
    payloads_of,
    picked,
    weighted,
)

LEARNERS = ("ada", "bob", "chloé", "d'arcy")
STATED_ZONES = (*[None] * 6, *ZONES, "+05:30", "-03:00")
DELAYS = (*[0] * 8, 1, 2, 5, 20)  # in events
UNKNOWN = "learning.HintShown"
FUTURE = counted.JUDGED + "/2"  # a version that nobody described yet

# Two weeks in which Paris (29 March), Lord Howe and Auckland (5 April) change their clocks.
FIRST_DAY = datetime(2026, 3, 24, tzinfo=UTC)

HOUR, MINUTE, MICROSECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)
DAY = 24 * HOUR
IDLE_GAP = 30 * MINUTE

SESSION_GAPS = (
    timedelta(), 5 * MINUTE, IDLE_GAP, IDLE_GAP + MICROSECOND, IDLE_GAP - MICROSECOND, 3 * HOUR, -IDLE_GAP,
)  # fmt: skip
ITEM_GAPS = (timedelta(), timedelta(seconds=1), DAY, -HOUR)
DAY_GAPS = (DAY, 2 * DAY, 3 * DAY)
HABIT_GAPS = (DAY, DAY, DAY, 2 * DAY)

NOTHING: tuple[Payload, ...] = ({},)
SHARED_ITEMS = tuple({"item_id": item} for item in ITEMS)
SHARED_SESSIONS = tuple({"session_id": session} for session in SESSIONS)


class Step(NamedTuple):
    """One event of a scene: `gap` after the one before, delivered `delay` events late.

    `type` may have a version behind a slash; `zone` is the one that the event itself states.
    """

    type: str
    data: Payload
    gap: timedelta
    zone: str | None
    delay: int


class Scene(NamedTuple):
    """Steps of one learner from `start` on; those with a session or item share the scene's.

    What happens to the vocabulary meanwhile is of no learner.
    """

    learner: str | None
    start: datetime
    shared: Payload
    steps: list[Step]


def scenes() -> st.SearchStrategy[Scene]:
    """A session, an item's life, a row of days, a profile or a catalogue in the making …"""
    session_types = (counted.JUDGED, counted.STARTED, counted.COMPLETED, counted.ABANDONED, counted.ACTIVITY)
    mastery_types = (counted.MASTERY_UPDATED, counted.MASTERED)
    item_types = (
        counted.JUDGED, counted.MASTERY_UPDATED, counted.MASTERED, counted.SCHEDULED, counted.ADJUSTED,
    )  # fmt: skip
    bystanders = (
        counted.AI_USED, counted.ABANDONED, "algorithm.ReviewRecorded", "algorithm.StatisticsUpdated",
        "progress.StreakUpdated", UNKNOWN, FUTURE,
    )  # fmt: skip
    active_types = (counted.JUDGED, counted.ACTIVITY, counted.COMPLETED)
    catalogue_types = (counted.PUBLISHED, counted.UPDATED)
    return weighted(
        (3, _scene(SHARED_SESSIONS, _steps(session_types, SESSION_GAPS, 6))),
        (3, _scene(SHARED_ITEMS, _steps(item_types, ITEM_GAPS, 6))),
        (1, _scene(SHARED_ITEMS, _steps(mastery_types, ITEM_GAPS, 4, at_least=2))),
        (1, _scene(SHARED_ITEMS, _steps((counted.JUDGED,), ITEM_GAPS, 7, at_least=5))),
        (1, _scene(NOTHING, _steps(active_types, DAY_GAPS, 7, at_least=2))),
        (1, _scene(NOTHING, _steps((counted.ACTIVITY,), HABIT_GAPS, 14, at_least=8))),
        (2, _scene(NOTHING, _steps(bystanders, ITEM_GAPS, 4))),
        (2, _scene(NOTHING, _steps(tuple(PROFILES), ITEM_GAPS, 2))),
        (2, _scene(SHARED_ITEMS, _steps(catalogue_types, ITEM_GAPS, 4), learners=(None,))),
        (2, _scene(NOTHING, _steps(catalogue_types, ITEM_GAPS, 6, at_least=3), learners=(None,))),
        (2, _scene(SHARED_ITEMS, _steps((*catalogue_types, counted.JUDGED, *mastery_types), ITEM_GAPS, 7))),
    )


def _scene(
    shared: Sequence[Payload],
    steps: st.SearchStrategy[list[Step]],
    learners: Sequence[str | None] = LEARNERS,
) -> st.SearchStrategy[Scene]:
    def begin(head: list[Any], steps: list[Step]) -> Scene:
        learner, same, day, hour, minute = head
        return Scene(learner, FIRST_DAY + day * DAY + hour * HOUR + minute * MINUTE, same, steps)

    return st.builds(begin, picked(learners, shared, range(14), range(24), (0, 30, 59)), steps)


def _steps(
    types: tuple[str, ...], gaps: tuple[timedelta, ...], at_most: int, *, at_least: int = 1
) -> st.SearchStrategy[list[Step]]:
    step = st.sampled_from(types).flatmap(lambda name: _step(name, gaps))
    return st.lists(step, min_size=at_least, max_size=at_most)


@cache  # a strategy made anew for every draw costs more than the draw
def _step(event_type: str, gaps: tuple[timedelta, ...]) -> st.SearchStrategy[Step]:
    def take(payload: Payload, twists: list[Any]) -> Step:
        gap, delay, zone, *strange = twists
        data = add_strange_fields(event_type, payload, strange[0] | strange[1])
        return Step(event_type, data, gap, zone, delay)

    twists = picked(gaps, DELAYS, STATED_ZONES, STRANGE, STRANGE)
    return st.builds(take, payloads_of(event_type), twists)
