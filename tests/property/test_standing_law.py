"""The law for weeks, months, levels and skills: whatever is asked, and when, the answer equals a recount."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.compare import differences
from oracle.counted import ACTIVITY, JUDGED, MASTERED, MASTERY_UPDATED, PUBLISHED
from oracle.histories import histories
from oracle.recount import recount
from progress_context.log.event import NewEvent
from world import World

MARCH = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
LEARNERS_OF_A_HISTORY = 6


@pytest.fixture(scope="module")
async def world(module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url).open()
    yield world
    await world.close()


async def happened(world: World, history: Sequence[NewEvent]) -> None:
    """Fold a history, and nothing else, to the end."""
    await world.clear()
    await world.append(history)
    await world.catch_up()
    await world.run_batch()


async def disagreements(world: World, learners: Sequence[int], today: date) -> list[str]:
    """Where the standing of some learners on a day differs from a recount of the log."""
    truth = recount(await world.events())
    found: list[str] = []
    for learner in learners:
        expected = {
            "weekly_stats": truth.weekly_stats(learner, today),
            "monthly_stats": truth.monthly_stats(learner, today),
            "level_stats": truth.level_stats(learner, today),
            "domain_stats": truth.domain_stats(learner),
        }
        for name, rows in expected.items():
            wrong = differences(rows, await world.ask(name, learner, MARCH, today))
            found += [f"{name} {difference}" for difference in wrong]
    return found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(max_scenes=12), days=st.integers(-40, 20))
async def test_the_standing_of_every_learner_on_any_day_equals_the_recount(
    world: World, history: list[NewEvent], days: int
) -> None:
    await happened(world, history)
    latest = max((e.occurred_at for e in history if e.occurred_at), default=MARCH)
    today = (latest - days * DAY).date()
    assert await disagreements(world, range(1, LEARNERS_OF_A_HISTORY), today) == []


@pytest.mark.parametrize(
    ("before", "now", "today", "trend"),
    [
        (100, 105, date(2026, 3, 20), "UP"),  # exactly 5 %; averages as floats miss it
        (220, 209, date(2026, 3, 20), "DOWN"),
        (40, 41, date(2026, 3, 20), "STABLE"),
        (40, 39, date(2026, 3, 20), "STABLE"),
        (0, 1, date(2026, 3, 20), "UP"),
        (1, 0, date(2026, 3, 20), "DOWN"),
        (0, 0, date(2026, 3, 20), "STABLE"),
        (70, 21, date(2026, 3, 3), "UP"),  # two days of the week: 10.5 a day after 10
        (70, 20, date(2026, 3, 3), "STABLE"),
        (140, 19, date(2026, 3, 2), "DOWN"),
        (280, 21, date(2026, 3, 2), "DOWN"),  # and exactly 5 % up in months: 10 a day, then 10.5
        (280, 310, date(2026, 4, 1), "UP"),  # and 10 a day in both months
        (70, 10, date(2026, 3, 1), "DOWN"),  # the later week lies ahead
    ],
)
async def test_a_trend_compares_averages_exactly(
    world: World, before: int, now: int, today: date, trend: str
) -> None:
    """The week before lies in February, the other in March: months are held to the same law."""
    february = MARCH - 5 * DAY
    activity = {"activity_id": "a", "verb": "read"}
    review = {"item_id": "cat", "judgment": "AutoConfirmed"}
    history = [event(f"a{n}", ACTIVITY, at, activity) for n, at in enumerate((february, MARCH))]
    history += [event(f"b{n}", JUDGED, february, review) for n in range(before)]
    history += [event(f"c{n}", JUDGED, MARCH, review) for n in range(now)]
    await happened(world, history)
    weeks = await world.ask("weekly_stats", 1, MARCH, today)
    assert weeks[1, MARCH.date()]["trend"] == trend
    assert await disagreements(world, [1], today) == []


@pytest.mark.parametrize(
    ("items", "mastered_days_ago", "completed_in_days"),
    [
        (3, [0, 27], 14),
        (3, [0, 27, 28], 0),
        (1, [60], 0),
        (4, [1, 2, 40], 14),
        (5, [1, 2, 3], 19),  # 18.67 days, in the end a whole one
        (2, [28], None),
        (2, [-1], None),  # by a clock that was ahead
        (1_305, [0], 36_512),
        (1_306, [0], None),  # more than a century
    ],
)
async def test_a_level_is_complete_when_it_goes_on_like_the_last_28_days(
    world: World, items: int, mastered_days_ago: list[int], completed_in_days: int | None
) -> None:
    history = [level_item(n) for n in range(items)]
    history += [mastered(n, MARCH - days * DAY) for n, days in enumerate(mastered_days_ago)]
    await happened(world, history)
    levels = await world.ask("level_stats", 1, MARCH, MARCH.date())
    expected = None if completed_in_days is None else (MARCH + completed_in_days * DAY).date()
    assert levels[1, "B1"]["estimated_completion"] == expected
    assert await disagreements(world, [1], MARCH.date()) == []


async def test_what_was_mastered_and_forgotten_counts_for_the_pace_alone(world: World) -> None:
    forgotten = {"item_id": "item-0", "mastery_level": 0.2, "mastered": False}
    history = [level_item(0), level_item(1), mastered(0, MARCH)]
    await happened(world, [*history, event("forgotten", MASTERY_UPDATED, MARCH + DAY, forgotten)])
    level = (await world.ask("level_stats", 1, MARCH, MARCH.date()))[1, "B1"]
    assert (level["mastered"], level["in_progress"], level["not_started"]) == (0, 1, 1)
    assert level["estimated_completion"] == (MARCH + 56 * DAY).date()
    assert await disagreements(world, [1], MARCH.date()) == []


def level_item(number: int) -> NewEvent:
    """An item of level B1 enters the catalogue."""
    data = {"item_id": f"item-{number}", "spelling": "cat", "level": "B1", "domains": ["reading"]}
    return event(f"p{number}", PUBLISHED, MARCH, data, learner=None)


def mastered(number: int, at: datetime) -> NewEvent:
    """The learner masters it."""
    data = {"item_id": f"item-{number}", "total_reviews": 9, "accuracy_rate": 1, "retention_days": 30}
    return event(f"m{number}", MASTERED, at, data)


def event(
    name: str, event_type: str, at: datetime, data: dict[str, Any], learner: str | None = "ada"
) -> NewEvent:
    return NewEvent("urn:test", name, event_type, 1, learner, at, None, json.dumps(data))
