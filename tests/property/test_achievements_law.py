"""Milestones, performance and summary equal a recount; and lives long enough to achieve something."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle import counted
from oracle.achievements import milestones, summary
from oracle.compare import Table, differences
from oracle.counted import counted_events
from oracle.histories import batch_sizes, histories
from oracle.performance import RECORDED, count_retention, count_timeliness, performance
from oracle.recount import Policy as OraclePolicy
from oracle.recount import recount
from progress_context.engine.definition import Policy
from progress_context.log.event import NewEvent
from world import World

LEARNERS_OF_A_HISTORY = 6
ADA = 1
MONDAY = date(2026, 3, 2)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "grace"])
async def any_world(request: pytest.FixtureRequest, module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url, Policy(streak_grace=request.param)).open()
    yield world
    await world.close()


@pytest.fixture
async def world(any_world: World) -> World:
    """An empty world, in which a missed day ends a run and in which it does not."""
    await any_world.clear()
    return any_world


async def disagreements(world: World, learner: int, today: date) -> list[str]:
    """Where what a learner is told on a day differs from a recount of the log."""
    log = await world.events()
    counts = recount(log, OraclePolicy(streak_grace=world.catalog.policy.streak_grace))
    events = counted_events(log)
    at = datetime.combine(today, time(12), UTC)
    expected: dict[str, Table] = {
        "milestones": milestones(counts, learner, today),
        "review_timeliness": of_learner(count_timeliness(events), learner),
        "retention": of_learner(count_retention(events), learner),
        "performance": performance(counts, events, learner, today),
    }
    found: list[str] = []
    for name, rows in expected.items():
        found += [f"{name} {d}" for d in differences(rows, await world.ask(name, learner, at, today))]
    told = await world.ask("user_summary", learner, at, today)
    for row in told.values():
        row["recent_achievements"] = achievements(row)
    known = {(learner,): summary(counts, learner, today)} if told else {}
    return found + [f"user_summary {d}" for d in differences(known, told)]


def of_learner(rows: Table, learner: int) -> Table:
    return {grain: row for grain, row in rows.items() if grain[0] == learner}


def achievements(summary: dict[str, Any]) -> list[dict[str, Any]]:
    listed = json.loads(summary["recent_achievements"])
    return [entry | {"achieved_on": date.fromisoformat(entry["achieved_on"])} for entry in listed]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(), pages=batch_sizes(), days=st.integers(-2, 30) | st.sampled_from((100, 400)))
async def test_any_history_gives_the_recount(
    any_world: World, history: list[NewEvent], pages: list[int], days: int
) -> None:
    await any_world.clear()
    await any_world.append(history)
    await any_world.catch_up(pages)
    for learner in range(1, LEARNERS_OF_A_HISTORY):
        assert await disagreements(any_world, learner, date(2026, 3, 24) + days * DAY) == []


numbers = count(1)


def happened(kind: str, day: int, learner: str | None = "ada", **data: Any) -> NewEvent:
    """An event at nine on a day counted from MONDAY."""
    at = datetime.combine(MONDAY + day * DAY, time(9), UTC)
    return NewEvent("urn:test", f"e{next(numbers)}", kind, 1, learner, at, None, json.dumps(data))


def active(days: Iterable[int]) -> list[NewEvent]:
    return [happened(counted.ACTIVITY, day, activity_id="a", verb="read") for day in days]


def judged(day: int, item: str = "cat", *, ok: bool = True) -> NewEvent:
    judgment = "AutoConfirmed" if ok else "UserConfirmedIncorrect"
    return happened(counted.JUDGED, day, item_id=item, judgment=judgment)


def mastery(day: int, item: str, *, mastered: bool = True) -> NewEvent:
    return happened(counted.MASTERY_UPDATED, day, item_id=item, mastery_level=0.9, mastered=mastered)


def completed(day: int, session: str, hours: float) -> NewEvent:
    return happened(counted.COMPLETED, day, session_id=session, duration_seconds=3_600 * hours)


def published(item: str, level: str) -> NewEvent:
    return happened(counted.PUBLISHED, 0, None, item_id=item, spelling=item, level=level)


def scheduled(day: int, due: int, item: str = "cat") -> NewEvent:
    at = f"{MONDAY + due * DAY}T09:00:00Z"
    return happened(counted.SCHEDULED, day, item_id=item, next_review_at=at, interval_days=due - day)


def recorded(day: int, interval: float, *, ok: bool = True) -> NewEvent:
    return happened(
        RECORDED, day, item_id="cat", quality=4, is_correct=ok, review_type="review",
        previous_interval_days=interval,
    )  # fmt: skip


def void(event: NewEvent) -> NewEvent:
    taken_back = happened(counted.VOID, 100, source=event.source, id=event.id)
    return msgspec.structs.replace(taken_back, voids=(event.source, event.id))


async def tell(world: World, *events: NewEvent) -> None:
    await world.append(events)
    await world.catch_up([200])


async def standing(world: World, today: int) -> dict[tuple[str, int], tuple[float, int | None]]:
    """{(type, threshold): (progress, days from MONDAY to the achievement)}, as the oracle finds it too."""
    moment = MONDAY + today * DAY
    assert await disagreements(world, ADA, moment) == []
    rows = await world.ask("milestones", ADA, datetime.combine(moment, time(12), UTC), moment)
    return {
        (kind, threshold): (row["progress"], row["achieved_on"] and (row["achieved_on"] - MONDAY).days)
        for (_, kind, threshold), row in rows.items()
    }


async def one_row(world: World, name: str, today: int, *rest: str) -> dict[str, Any]:
    moment = MONDAY + today * DAY
    assert await disagreements(world, ADA, moment) == []
    return (await world.ask(name, ADA, datetime.combine(moment, time(12), UTC), moment))[ADA, *rest]


async def test_days_in_a_row_are_counted_within_a_run_and_stay_achieved(world: World) -> None:
    await tell(world, *active([*range(2, 10), *range(12, 40), *range(41, 50), 55]))
    at_40, at_49, at_57 = [await standing(world, day) for day in (40, 49, 57)]
    bridged = world.catalog.policy.streak_grace
    assert at_40["CONSECUTIVE_DAYS", 7] == (7, 8)
    assert at_49["CONSECUTIVE_DAYS", 30] == ((30, 42) if bridged else (9, None))
    assert at_49["CONSECUTIVE_DAYS", 100] == (37 if bridged else 9, None)
    assert at_57["CONSECUTIVE_DAYS", 100] == (0, None)
    assert at_57["PERFECT_WEEK", 1] == (7, 20)


async def test_a_week_is_perfect_from_monday_to_sunday_only(world: World) -> None:
    await tell(world, *active([*range(1, 13), 14, 15, 17]))
    assert (await standing(world, 17))["PERFECT_WEEK", 1] == (3, None)
    assert (await standing(world, 20))["PERFECT_WEEK", 1] == (3, None)
    assert (await standing(world, 21))["PERFECT_WEEK", 1] == (0, None)
    await tell(world, *active([13]))
    assert (await standing(world, 21))["PERFECT_WEEK", 1] == (7, 13)


async def test_a_late_event_moves_an_achievement_and_a_voided_one_takes_it_away(world: World) -> None:
    days = active([0, 1, 2, 4, 5, 6, 7, 8, 9, 10])
    await tell(world, *days)
    bridged = world.catalog.policy.streak_grace
    assert (await standing(world, 10))["CONSECUTIVE_DAYS", 7] == (7, 7 if bridged else 10)
    await tell(world, *active([3]))
    assert (await standing(world, 10))["CONSECUTIVE_DAYS", 7] == (7, 6)
    assert (await standing(world, 10))["PERFECT_WEEK", 1] == (7, 6)
    await tell(world, void(days[4]), void(days[5]))
    assert (await standing(world, 10))["CONSECUTIVE_DAYS", 7] == (4, None)
    assert (await standing(world, 10))["PERFECT_WEEK", 1] == (4, None)


async def test_the_hundredth_item_counts_even_if_forgotten_later(world: World) -> None:
    items = [f"item {number}" for number in range(120)]
    await tell(world, *[mastery(number // 2, item) for number, item in enumerate(items)])
    await tell(world, *[mastery(70, item, mastered=False) for item in items[:40]])
    await tell(world, *[mastery(75, item) for item in items[:20]])
    found = await standing(world, 80)
    assert found["ITEMS_MASTERED", 100] == (100, 49)
    assert found["ITEMS_MASTERED", 500] == (120, None)
    await tell(world, mastery(0, "item 98"))
    assert (await standing(world, 80))["ITEMS_MASTERED", 100] == (100, 49)
    await tell(world, mastery(0, "late item"))
    assert (await standing(world, 80))["ITEMS_MASTERED", 100] == (100, 48)


async def test_study_hours_are_reached_to_the_millisecond(world: World) -> None:
    almost = completed(2, "c", 3.9999997)
    await tell(world, completed(0, "a", 3), completed(1, "b", 3), almost)
    found = await standing(world, 5)
    assert found["FIRST_SESSION", 1] == (1, 0)
    assert found["STUDY_HOURS", 10] == (35_999_999 / 3_600_000, None)
    await tell(world, completed(4, "d", 1 / 3_600_000))
    assert (await standing(world, 5))["STUDY_HOURS", 10] == (10, 4)
    await tell(world, void(almost))
    assert (await standing(world, 5))["STUDY_HOURS", 10][1] is None


async def test_a_level_is_complete_while_all_its_items_are_mastered(world: World) -> None:
    await tell(world, *[published(item, "A2") for item in ("cat", "dog", "cow")], published("horse", "C2"))
    await tell(world, mastery(3, "cat"), mastery(9, "dog"), mastery(10, "dog", mastered=False))
    found = await standing(world, 12)
    assert {threshold: where for (kind, threshold), where in found.items() if kind == "LEVEL_COMPLETE"} == {
        2: (1, None), 6: (0, None),
    }  # fmt: skip
    await tell(world, mastery(20, "dog"), mastery(5, "cow"))
    assert (await standing(world, 20))["LEVEL_COMPLETE", 2] == (3, 9)
    await tell(world, mastery(21, "cow", mastered=False))
    assert (await standing(world, 21))["LEVEL_COMPLETE", 2] == (2, None)
    await tell(world, mastery(22, "cow"), published("hen", "A2"))
    assert (await standing(world, 22))["LEVEL_COMPLETE", 2] == (3, None)


async def test_a_review_is_on_time_until_a_day_after_it_was_due(world: World) -> None:
    await tell(world, judged(0), scheduled(1, 5), judged(6), judged(7), judged(6, "dog"))
    week = await one_row(world, "performance", 7, "WEEK")
    assert (week["reviews_due"], week["reviews_on_time"], week["on_time"]) == (2, 1, 0.5)
    await tell(world, scheduled(6, 20))
    week = await one_row(world, "performance", 7, "WEEK")
    assert (week["reviews_due"], week["reviews_on_time"], week["on_time"]) == (2, 2, 1.0)
    await tell(world, scheduled(0, 0))
    assert (await one_row(world, "performance", 7, "ALL"))["reviews_due"] == 2


async def test_performance_looks_at_the_days_up_to_today_and_as_many_before(world: World) -> None:
    before = [judged(day, ok=day != 3) for day in (1, 2, 3, 4)]
    week = [judged(day, ok=day != 9) for day in (8, 9, 10, 11, 12, 13)]
    await tell(world, *before, *week, mastery(9, "cat"), mastery(2, "dog"), judged(14, ok=False))
    await tell(world, recorded(8, 0.5), recorded(9, 1, ok=False), recorded(9, 20.9), recorded(10, 21))
    await tell(world, recorded(1, 30), scheduled(7, 9))
    row = await one_row(world, "performance", 13, "WEEK")
    assert (row["reviews"], row["correct"], row["items_mastered"], row["active_days"]) == (6, 5, 1, 6)
    assert (row["accuracy"], row["previous_accuracy"], row["accuracy_trend"]) == (5 / 6, 3 / 4, "UP")
    assert (row["learning_velocity"], row["consistency"]) == (1 / 7, 6 / 7)
    assert (row["retention"], row["retention_young"], row["retention_mature"]) == (2 / 3, 1 / 2, 1.0)
    assert row["on_time"] == 3 / 6
    assert row["score"] == pytest.approx(40 * 2 / 3 + 30 * 6 / 7 + 30 * 3 / 6)
    ever = await one_row(world, "performance", 13, "ALL")
    assert (ever["days"], ever["reviews"], ever["learning_velocity"], ever["retention"]) == (
        13,
        10,
        2 / 13,
        3 / 4,
    )
    assert ever["previous_accuracy"] is ever["accuracy_trend"] is None
    later = await one_row(world, "performance", 40, "WEEK")
    assert (later["reviews"], later["accuracy"], later["retention"], later["score"]) == (0, None, None, 0.0)


@pytest.mark.parametrize(
    ("before", "now", "trend"),
    [
        ((10, 20), (21, 40), "UP"),
        ((10, 20), (20, 40), "STABLE"),
        ((100, 200), (104, 200), "STABLE"),
        ((10, 20), (19, 40), "DOWN"),
        ((0, 5), (0, 5), "STABLE"),
        ((0, 5), (1, 5), "UP"),
        ((5, 5), (0, 0), None),
        ((0, 0), (5, 5), None),
    ],
)
async def test_accuracy_moves_by_a_twentieth_or_is_stable(
    world: World, before: tuple[int, int], now: tuple[int, int], trend: str | None
) -> None:
    for day, (correct, reviews) in ((3, before), (10, now)):
        await tell(world, *[judged(day, ok=number < correct) for number in range(reviews)])
    await tell(world, *active([10]))
    assert (await one_row(world, "performance", 13, "WEEK"))["accuracy_trend"] == trend


async def test_the_summary_tells_how_far_what_next_and_what_was_last(world: World) -> None:
    await tell(world, *[published(f"item {number}", "B1") for number in range(8)])
    await tell(world, *[judged(number, f"item {number}", ok=number != 2) for number in range(4)])
    await tell(world, mastery(3, "item 0"), completed(35, "s", 2))
    await tell(world, judged(36, "item 1"), judged(36, "item 2", ok=False))
    row = await one_row(world, "user_summary", 39)
    assert row["progress_score"] == 40 * 1 / 4 + 30 * 1 / 2 + 30 * 4 / 8
    assert (row["study_hours"], row["average_daily_minutes"], row["consistency"]) == (2.0, 3.0, 2 / 30)
    coming = {name.removeprefix("next_milestone_"): value for name, value in row.items()}
    assert (coming["type"], coming["threshold"], coming["level"]) == ("PERFECT_WEEK", 1, None)
    assert (coming["progress"], coming["target"]) == (2.0, 7)
    assert achievements(row) == [
        {"type": "FIRST_SESSION", "threshold": 1, "level": None, "achieved_on": MONDAY + 35 * DAY}
    ]


async def test_the_three_latest_achievements_are_listed_latest_first(world: World) -> None:
    await tell(world, *active(range(30)), completed(2, "s", 1), published("cat", "A1"), mastery(20, "cat"))
    row = await one_row(world, "user_summary", 30)
    assert [(found["type"], found["threshold"], found["level"]) for found in achievements(row)] == [
        ("CONSECUTIVE_DAYS", 30, None),
        ("LEVEL_COMPLETE", 1, "A1"),
        ("CONSECUTIVE_DAYS", 7, None),
    ]


async def test_who_only_began_has_every_milestone_ahead(world: World) -> None:
    await tell(world, happened(counted.STARTED, 0, session_id="s"), recorded(0, 5))
    assert await standing(world, 0) == {}
    assert (await one_row(world, "performance", 0, "WEEK"))["retention"] == 1.0
    await tell(world, scheduled(0, 1))
    found = await standing(world, 0)
    assert len(found) == 12
    assert set(found.values()) == {(0, None)}
