"""What both ways of delivery promise, whatever happens to the news: read models equal a recount."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivering import (
    PostgresWay,
    PubsubWay,
    Trouble,
    Way,
    arrived,
    disagreements,
    following,
    judged,
    prefixes,
    tell,
)
from delivering import emulator as emulator
from oracle.histories import batch_sizes, histories, split
from progress_context.engine.shards import reshard
from progress_context.log.event import NewEvent
from pubsub_emulator import Emulator
from waiting import until
from world import World

POLL = 0.2  # seconds, where news may be lost


def troubles() -> st.SearchStrategy[Trouble]:
    """Any of them, alone or together."""
    return st.builds(
        Trouble,
        copies=st.integers(1, 3),
        lost=st.sampled_from((0.0, 0.1, 0.9)),
        shuffled=st.booleans(),
        breaks=st.sampled_from((0.0, 0.3)),
    )


MakeWay = Callable[..., Awaitable[Way]]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    await reshard(world.pool, 2)
    yield world
    await world.close()


@pytest.fixture(params=["postgres", "pubsub"])
def make_way(request: pytest.FixtureRequest, world: World, emulator: Emulator) -> MakeWay:
    async def make(trouble: Trouble = Trouble()) -> Way:  # noqa: B008 - a value
        if request.param == "postgres":
            return PostgresWay(world, trouble)
        way = await PubsubWay(world.log_pool, next(prefixes)).prepare()
        return way.trouble(emulator, trouble)

    return make


async def send(world: World, way: Way, count: int, *, start: int = 0, step: int = 20) -> None:
    for first in range(start, start + count, step):
        await tell(world, way, [judged(n) for n in range(first, min(first + step, start + count))])


async def test_news_alone_bring_every_event_into_the_read_models(world: World, make_way: MakeWay) -> None:
    way = await make_way()
    async with following(world, way, followers=1):
        for count in (1, 199, 1):
            start = len(await world.events())
            await send(world, way, count, start=start)
            await arrived(world, start + count)
        await until(way.settled)
    assert await disagreements(world) == []


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(copies=3),
        Trouble(shuffled=True),
        Trouble(lost=0.1),
        Trouble(breaks=0.2),
        Trouble(copies=3, shuffled=True, lost=0.1, breaks=0.2),
    ],
    ids=["three times", "out of order", "lost", "unavailable", "all at once"],
)
async def test_troubled_news_change_nothing(world: World, make_way: MakeWay, trouble: Trouble) -> None:
    way = await make_way(trouble)
    async with following(world, way, poll=POLL):
        for start in range(0, 500, 50):
            await send(world, way, 50, start=start, step=7)
            if trouble.breaks:
                await way.break_off()
        await arrived(world, 500, seconds=30)
        await until(way.settled, seconds=30)
    assert await disagreements(world) == []


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories(), trouble=troubles(), sizes=batch_sizes())
async def test_any_history_through_any_trouble_equals_its_recount(
    world: World, make_way: MakeWay, history: list[NewEvent], trouble: Trouble, sizes: list[int]
) -> None:
    await world.clear()
    way = await make_way(trouble)
    async with following(world, way, poll=POLL):
        for group in split(history, sizes):
            await tell(world, way, group)
        await arrived(world, len(await world.events()), seconds=30)
        await until(way.settled, seconds=30)
    assert await disagreements(world) == []


async def test_followers_hear_again_after_their_connection_broke(world: World, make_way: MakeWay) -> None:
    way = await make_way()
    async with following(world, way, followers=1):
        for start in range(0, 150, 50):
            await send(world, way, 50, start=start)
            await arrived(world, start + 50)
            await way.break_off()
        await until(way.settled)
    assert await disagreements(world) == []


async def test_what_was_committed_while_nobody_told_arrives_all_the_same(
    world: World, make_way: MakeWay
) -> None:
    way = await make_way()
    await world.append([judged(n) for n in range(100)])  # and the process that was to announce it is gone
    async with following(world, way, poll=POLL):
        await arrived(world, 100)
        await until(way.settled)
    assert await disagreements(world) == []
