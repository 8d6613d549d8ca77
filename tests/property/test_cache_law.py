"""The law of the cache: whatever happens, in any order, a cached answer is the one the database gives now.

Two copies of the query service share a Redis behind a front door that goes wrong; a third keeps nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from caching import Copy, redis_link
from faults import FaultyProxy
from oracle.histories import histories
from oracle.scenes import LEARNERS
from progress_context.engine import parking
from progress_context.engine.rollback import rollback
from progress_context.errors import RollbackImpossible
from progress_context.local.valkey import EmbeddedValkey
from progress_context.log.database import open_pool
from progress_context.log.event import NewEvent
from progress_context.principal import EVERYBODY, Principal
from property.test_interleaving_law import Interleaving
from world import World

FIRST_DAY = datetime(2026, 4, 8, 9, 30, tzinfo=UTC)
PARK = """
    INSERT INTO engine.parked (position, learner_key, type, reason)
    SELECT position, learner_key, type, 'put aside' FROM log.events
     WHERE learner_key IS NOT NULL AND position > (SELECT min(position) FROM engine.checkpoints)
     ORDER BY position LIMIT 1 ON CONFLICT DO NOTHING
"""
SHARDS = "SELECT count(DISTINCT shard) FROM engine.checkpoints JOIN engine.versions USING (version_id)"

QUESTIONS = (
    'query($u:ID!){dailyStats(userId:$u,dateRange:{from:"2026-03-20",to:"2026-04-10"}){date reviews accuracy}}',
    "query($u:ID!){dailyStats(userId:$u){date reviews} learningStreak(userId:$u){current alive totalActiveDays}}",
    "query($u:ID!){userSummary(userId:$u){today reviews itemsLearned nextMilestone{type progress}}}",
    "query($u:ID!){weeklyTrend(userId:$u,weeks:6){trend weeks{week reviews}}}",
    "query($u:ID!){categoryProgress(userId:$u,categoryType:LEVEL){overallCompletion}}",
    "query($u:ID!){itemProgress(userId:$u,first:5){totalCount nodes{itemId reviews mastered}}}",
    "query($u:ID!){milestones(userId:$u){type threshold status progress achievedOn}}",
    'query($u:ID!){readModel(name:"retention",userId:$u){totalCount}}',
    "query($u:ID!){dailyStats(userId:$u,asOf:{position:3}){date reviews}}",
    'query($u:ID!){userSummary(userId:$u,asOf:{knownAt:"2026-04-01T00:00:00Z"}){reviews}}',
    'query($u:ID!){a:userSummary(userId:$u){reviews} b:userSummary(userId:"ada"){reviews}}',
)
READERS = (
    EVERYBODY,
    Principal("learner", "ada"),
    Principal("learner", "d'arcy"),
    Principal("coach", "coach", learners=frozenset({"ada", "chloé", '"\\%'}), groups=frozenset({"d'arc"})),
)
READER = st.integers(0, len(READERS) - 1)
WHO = st.sampled_from((*LEARNERS, "nobody"))
WHAT = st.integers(0, len(QUESTIONS) - 1)
COPY = st.integers(0, 1)
QUERY = st.tuples(st.just("query"), WHO, WHAT, COPY, READER)
STEPS = st.one_of(
    QUERY, QUERY, QUERY,
    st.tuples(st.just("query_all"), COPY),
    st.tuples(st.just("query_while_folding"), WHO, WHAT, st.integers(1, 30)),
    st.tuples(st.just("append"), st.integers(1, 20)),
    st.tuples(st.just("advance"), st.integers(0, 2), st.integers(1, 40)),
    st.tuples(st.just("batch")),
    st.tuples(st.just("rebuild"), st.integers(1, 2)),
    st.tuples(st.just("go_back"), st.sampled_from(("daily_stats", "item_progress", "weekly_stats"))),
    st.tuples(st.just("reshard"), st.integers(1, 3)),
    st.tuples(st.just("put_aside")),
    st.tuples(st.just("take_up")),
    st.tuples(st.just("days_pass"), st.integers(1, 3)),
    st.tuples(st.just("break_redis"), st.sampled_from(("none", "refusing", "frozen", "garbage"))),
    st.tuples(st.just("flush")),
    st.tuples(st.just("shuffle_values"), st.integers(0, 9)),
)  # fmt: skip


class Story(Interleaving):
    """An interleaving with a cache in front; every query is compared with what the database says."""

    def __init__(self, world: World, history: list[NewEvent], proxy: FaultyProxy, redis: Redis) -> None:
        super().__init__(world, history)
        self.now = FIRST_DAY
        self._proxy = proxy
        self._redis = redis
        self.copies: list[Copy] = []
        self.plain: Copy

    async def query(self, user: str, what: int, copy: int, who: int = 0) -> None:
        """A cached answer is the database's for the one who asks, to the byte."""
        question, variables, reader = QUESTIONS[what], {"u": user}, READERS[who]
        cached = await self.copies[copy].respond(question, variables, reader=reader)
        assert cached == await self.plain.respond(question, variables, reader=reader), (user, question)

    async def query_all(self, copy: int) -> None:
        """Every question, about one of two learners."""
        for what in range(len(QUESTIONS)):
            await self.query(LEARNERS[what % 2], what, copy)

    async def query_while_folding(self, user: str, what: int, count: int) -> None:
        """An answer from beside a commit is that from before or that from after; and nothing wrong is kept."""
        question, variables = QUESTIONS[what], {"u": user}
        before = await self.plain.respond(question, variables)
        asking = [self.copies[number % 2].respond(question, variables) for number in range(4)]
        answers, _ = await asyncio.gather(asyncio.gather(*asking), self.advance(0, count))
        after = await self.plain.respond(question, variables)
        assert set(answers) <= {before, after}
        await self.query(user, what, 0)
        await self.query(user, what, 1)

    async def go_back(self, name: str) -> None:
        """A rollback, if there is something to go back to; it waits for all shards to be as far as the first."""
        async with self._world.pool.acquire() as connection:
            for shard in await self._reached(connection):
                await self._fold(connection, shard, 10_000)
        with suppress(RollbackImpossible):
            await rollback(self._world.pool, name)

    async def put_aside(self) -> None:
        """An event that has not been folded turns out to be poison."""
        async with self._world.pool.acquire() as connection:
            await connection.execute(PARK)

    async def take_up(self) -> None:
        """What is put aside is tried again."""
        async with self._world.pool.acquire() as connection:
            rows = await parking.parked(connection)
            shards = await connection.fetchval(SHARDS)
        for row in rows:
            await parking.retry(self._world.pool, row["position"], shards)

    async def days_pass(self, days: int) -> None:
        """The clock goes on."""
        self.now += timedelta(days=days)

    async def break_redis(self, fault: Any) -> None:
        """Redis fails in some way, or is there again."""
        self._proxy.go(fault)

    async def flush(self) -> None:
        """Redis forgets everything."""
        await self._redis.flushall()

    async def shuffle_values(self, seed: int) -> None:
        """Redis gives one key's value for another's."""
        keys = await self._redis.keys("*")
        values = [await self._redis.get(key) for key in keys]
        random.Random(seed).shuffle(values)
        for key, value in zip(keys, values, strict=True):
            if value is not None:
                await self._redis.set(key, value)


@pytest.fixture(scope="module")
def valkey(scratch: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(scratch / "valkey-law") as server:
        yield server


@pytest.fixture(scope="module")
async def world(module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url).open()
    yield world
    await world.close()


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=histories(), steps=st.lists(STEPS, min_size=4, max_size=16))
async def test_in_any_order_a_cached_answer_is_that_of_the_database(
    world: World, valkey: EmbeddedValkey, history: list[NewEvent], steps: list[tuple[Any, ...]]
) -> None:
    await world.clear()
    async with AsyncExitStack() as stack:
        pool = await open_pool(world.url, "progress_query", size=4)
        stack.callback(pool.terminate)
        proxy = await stack.enter_async_context(FaultyProxy(valkey.port))
        redis = await stack.enter_async_context(redis_link(valkey.url))
        await redis.flushall()
        story = Story(world, history, proxy, redis)
        through = valkey.url.replace(f":{valkey.port}/", f":{proxy.port}/")
        for _ in range(2):
            copy = Copy(pool, world.catalog, lambda: story.now, redis_url=through)
            stack.push_async_callback(copy.close)
            story.copies.append(copy)
        story.plain = Copy(pool, world.catalog, lambda: story.now, cached=False)
        for name, *arguments in steps:
            await getattr(story, name)(*arguments)
        await story.finish()
        await story.query_all(0)
        await story.query_all(1)
