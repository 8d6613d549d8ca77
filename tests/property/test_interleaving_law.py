"""The law under everything at once: appends, shards, crashes, stale workers, batches, rebuilds, in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.histories import histories
from progress_context.engine import snapshots
from progress_context.engine import versions as books
from progress_context.engine.maintain import Maintainer
from progress_context.engine.shards import reshard
from progress_context.errors import CheckpointLost
from progress_context.log import read
from progress_context.log.event import NewEvent
from property.test_read_model_law import disagreements
from world import CrashError, World

SHARD = st.integers(0, 2)
SIZE = st.integers(1, 40)
STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 20)),
    st.tuples(st.just("advance"), SHARD, SIZE),
    st.tuples(st.just("crash"), SHARD, SIZE),
    st.tuples(st.just("stale"), SHARD, SIZE),
    st.tuples(st.just("batch")),
    st.tuples(st.just("snapshot"), SIZE),
    st.tuples(st.just("rebuild_on_snapshot"), SIZE, SIZE),
    st.tuples(st.just("rebuild"), st.integers(1, 2)),
    st.tuples(st.just("reshard"), st.integers(1, 3)),
)


class Interleaving:
    """A world in which every step may come at any time."""

    def __init__(self, world: World, history: list[NewEvent]) -> None:
        self._world = world
        self._left = history

    async def append(self, count: int) -> None:
        """The next events arrive."""
        await self._world.append(self._left[:count])
        self._left = self._left[count:]

    async def advance(self, shard: int, count: int) -> None:
        """The worker of a shard folds a page."""
        async with self._world.pool.acquire() as connection:
            await self._fold(connection, shard, count)

    async def crash(self, shard: int, count: int) -> None:
        """The worker of a shard dies before its commit."""
        async with self._world.pool.acquire() as connection:
            maintainer, position, upto = await self._page(connection, shard, count)
            if upto > position:
                with suppress(CrashError):
                    async with connection.transaction():
                        await maintainer.advance_within(connection, position, upto)
                        raise CrashError

    async def stale(self, shard: int, count: int) -> None:
        """A worker that was taken for dead comes back and commits the page that its successor commits."""
        async with self._world.pool.acquire() as connection:
            maintainer, position, upto = await self._page(connection, shard, count)
            if upto > position:
                await maintainer.advance(connection, position, upto)
                with pytest.raises(CheckpointLost):
                    await maintainer.advance(connection, position, upto)

    async def batch(self) -> None:
        """The timer rings."""
        await self._world.run_batch()

    async def snapshot(self, count: int) -> None:
        """The tables are copied when all shards have come to the same position."""
        async with self._world.pool.acquire() as connection:
            reached = await self._reached(connection)
            goal = min(await read.head(connection), max(reached.values()) + count)
            for shard, position in reached.items():
                await self._fold(connection, shard, goal - position)
            async with connection.transaction(isolation="repeatable_read"):
                await snapshots.take_within(connection, self._world.catalog)

    async def rebuild(self, shards: int) -> None:
        """Everything is built anew, from the newest snapshot if there is one, beside the live versions."""
        await self._world.rebuild(shards=shards)

    async def rebuild_on_snapshot(self, before: int, after: int) -> None:
        """A snapshot, then events that it does not hold, then everything is built anew."""
        await self.append(before)
        await self.snapshot(before)
        await self.append(after)
        await self.advance(0, after)
        await self.rebuild(2)

    async def reshard(self, shards: int) -> None:
        """The learners are dealt into another number of shards."""
        await reshard(self._world.pool, shards)

    async def finish(self) -> None:
        """Everything arrives, and everyone catches up."""
        await self.append(len(self._left))
        async with self._world.pool.acquire() as connection:
            for shard in await self._reached(connection):
                await self._fold(connection, shard, 10_000)
        await self.batch()

    async def _reached(self, connection: Any) -> dict[int, int]:
        return await books.checkpoints(connection, books.realtime(await self._world.versions()))

    async def _fold(self, connection: Any, shard: int, count: int) -> None:
        maintainer, position, upto = await self._page(connection, shard, count)
        if upto > position:
            await maintainer.advance(connection, position, upto)

    async def _page(self, connection: Any, shard: int, count: int) -> tuple[Maintainer, int, int]:
        versions = await self._world.versions()
        reached = await self._reached(connection)
        shard %= len(reached)
        maintainer = Maintainer(
            books.realtime(versions), self._world.catalog.policy,
            stored=versions, shard=shard, shards=len(reached),
        )  # fmt: skip
        return maintainer, reached[shard], min(await read.head(connection), reached[shard] + count)


@pytest.fixture(scope="module", params=["batches", "realtime"])
async def world(request: pytest.FixtureRequest, module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url, eager=request.param == "realtime").open()
    yield world
    await world.close()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(), steps=st.lists(STEPS, max_size=14))
async def test_in_any_order_the_rows_equal_the_recount(
    world: World, history: list[NewEvent], steps: list[tuple[Any, ...]]
) -> None:
    await world.clear()
    story = Interleaving(world, history)
    for name, *arguments in steps:
        await getattr(story, name)(*arguments)
    await story.finish()
    assert await disagreements(world) == []
