"""Clocks that jump, and profiles that arrive after the events they are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import asyncpg
import pytest

from progress_context.engine import snapshots
from progress_context.log import read
from progress_context.log.event import NewEvent, ProfileChange
from world import World

LATE_EVENING = datetime(2026, 11, 2, 23, 30, tzinfo=UTC)
SHANGHAI = ProfileChange("Asia/Shanghai", None)


def activity(number: int, at: datetime = LATE_EVENING) -> NewEvent:
    data = f'{{"activity_id": "a{number}", "verb": "watched"}}'
    return NewEvent("urn:t", f"e{number}", "learning.ActivityRecorded", 1, "ada", at, None, data)


def profile(number: int, change: ProfileChange, at: datetime) -> NewEvent:
    data = f'{{"time_zone": "{change.time_zone}"}}'
    return NewEvent(
        "urn:t", f"e{number}", "user.PreferencesUpdated", 1, "ada", at, None, data, profile=change
    )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


async def jump(url: str, by: timedelta) -> datetime:
    """Make the log believe that it last looked at a clock which was `by` ahead of the one there is now."""
    owner = await asyncpg.connect(url)
    try:
        ahead = datetime.now(UTC) + by
        await owner.execute("UPDATE log.head SET recorded_at = $1", ahead)
        return ahead
    finally:
        await owner.close()


async def days(world: World) -> dict[date, int]:
    return {row["learning_day"]: row["activities"] for row in (await world.rows("daily_stats")).values()}


async def test_a_clock_that_jumps_back_never_takes_the_log_with_it(world: World) -> None:
    await world.append([activity(1)])
    ahead = await jump(world.url, timedelta(hours=3))
    await world.append([activity(2), activity(3)])
    times = [event.recorded_at for event in await world.events()]
    assert times == sorted(times)
    assert times[1:] == [ahead, ahead]
    async with world.pool.acquire() as connection:
        assert await read.position_at(connection, ahead) == 3
        assert await read.position_at(connection, ahead - timedelta(seconds=1)) == 1


async def test_what_happened_after_the_clock_came_back_is_folded_and_kept(world: World) -> None:
    await world.append([activity(1)])
    await jump(world.url, timedelta(days=2))
    await world.append([activity(2)])
    await world.catch_up()
    assert await days(world) == {LATE_EVENING.date(): 2}
    assert await snapshots.take(world.pool, world.catalog) is not None
    await world.append([activity(3)])
    await world.catch_up()
    await world.rebuild()
    assert await days(world) == {LATE_EVENING.date(): 3}


async def test_a_profile_that_arrives_later_counts_from_when_it_arrived(world: World) -> None:
    await world.append([activity(1)])
    await world.append([profile(2, SHANGHAI, LATE_EVENING - timedelta(days=1)), activity(3)])
    await world.append([activity(4)])
    await world.catch_up()
    assert await days(world) == {date(2026, 11, 2): 1, date(2026, 11, 3): 2}
    before = await days(world)
    await world.rebuild()
    assert await days(world) == before
