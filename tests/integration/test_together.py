"""Questions that wait at the same time share round trips to a real PostgreSQL, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from progress_context.errors import LogUnavailable
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.log.database import Pool, open_pool
from progress_context.query.together import APART_SECONDS, AT_ONCE, SHARED_SECONDS, TRIP, Together
from waiting import until

DOUBLE = "SELECT 2 * $1::int AS doubled"
INVERSE = "SELECT 1 / $1::int AS inverse"
SLEEPY = "SELECT pg_sleep($1::float8), $1::float8 AS slept"
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%' AND query NOT LIKE '%pg_stat%'"


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, "progress_query", size=6)
    yield pool
    pool.terminate()


@pytest.fixture
async def sleepers(database_url: str) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """How many statements sleep in the database."""
    connection = await asyncpg.connect(database_url)

    async def count() -> int:
        return await connection.fetchval(ASLEEP)

    yield count
    await connection.close()


def trips() -> float:
    samples = {sample.name: sample.value for sample in next(iter(TRIP.collect())).samples}
    return samples["progress_graphql_trip_questions_count"]


async def test_everyone_gets_their_own_row_and_round_trips_are_shared(pool: Pool) -> None:
    together = Together(pool, most=4)
    await together.fetch_one(DOUBLE, [0])
    before = trips()
    numbers = range(20 * AT_ONCE)
    rows = await asyncio.gather(*(together.fetch_one(DOUBLE, [number]) for number in numbers))
    assert [row["doubled"] for row in rows] == [2 * number for number in numbers]
    assert trips() - before <= 25


async def test_statements_take_turns(pool: Pool) -> None:
    together = Together(pool, most=1)
    ended: list[str] = []

    async def ask(sql: str, number: int) -> None:
        await together.fetch_one(sql, [number])
        ended.append(sql)

    await asyncio.gather(*(ask(DOUBLE, n) for n in range(1, 50)), *(ask(INVERSE, n) for n in range(1, 9)))
    assert ended.index(INVERSE) < 3 * AT_ONCE


async def test_a_question_that_cannot_be_answered_fails_alone(pool: Pool) -> None:
    together = Together(pool, most=2)
    asked = [together.fetch_one(INVERSE, [number % 7]) for number in range(40)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for number, answer in enumerate(answers):
        if number % 7 == 0:
            assert isinstance(answer, asyncpg.DivisionByZeroError)
        else:
            assert isinstance(answer, asyncpg.Record)
            assert answer["inverse"] == (1 if number % 7 == 1 else 0)


async def test_values_of_the_wrong_type_fail_alone(pool: Pool) -> None:
    together = Together(pool, most=1)
    asked = [together.fetch_one(DOUBLE, [value]) for value in (1, "two", 3)]
    one, two, three = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(two, asyncpg.DataError)
    assert isinstance(one, asyncpg.Record)
    assert isinstance(three, asyncpg.Record)


async def test_a_slow_question_holds_up_the_others_for_a_moment_only(pool: Pool) -> None:
    together = Together(pool, most=3)
    await together.fetch_one(SLEEPY, [0.0])
    began = time.monotonic()
    slow = [asyncio.create_task(together.fetch_one(SLEEPY, [20.0])) for _ in range(2)]
    quick = [together.fetch_one(SLEEPY, [0.0]) for _ in range(10)]
    await asyncio.gather(*quick)
    assert time.monotonic() - began < 10 * SHARED_SECONDS
    for task in slow:
        task.cancel()


async def test_while_connections_are_away_others_go(pool: Pool) -> None:
    together = Together(pool, most=4)
    slow = [asyncio.create_task(together.fetch_one(f"{SLEEPY}, {number}", [20.0])) for number in range(3)]
    assert (await asyncio.wait_for(together.fetch_one(DOUBLE, [21]), 5))["doubled"] == 42
    for task in slow:
        task.cancel()


async def test_no_more_connections_go_than_agreed(pool: Pool, sleepers: Callable[[], Awaitable[int]]) -> None:
    together = Together(pool, most=2)
    slow = [asyncio.create_task(together.fetch_one(f"{SLEEPY}, {number}", [20.0])) for number in range(5)]

    async def two_sleep() -> bool:
        return await sleepers() == 2

    await until(two_sleep)
    await asyncio.sleep(0.1)
    assert await two_sleep()
    for task in slow:
        task.cancel()


async def test_what_nobody_waits_for_is_stopped(pool: Pool, sleepers: Callable[[], Awaitable[int]]) -> None:
    together = Together(pool, most=2)
    task = asyncio.create_task(together.fetch_one(SLEEPY, [60.0]))

    async def all_are_awake() -> bool:
        return await sleepers() == 0

    await until(sleepers)
    task.cancel()
    await until(all_are_awake)
    assert (await together.fetch_one(DOUBLE, [3]))["doubled"] == 6


async def test_who_goes_away_takes_nothing_from_those_who_share(pool: Pool) -> None:
    together = Together(pool, most=1)
    tasks = [asyncio.create_task(together.fetch_one(SLEEPY, [0.02])) for _ in range(6)]
    await asyncio.sleep(0.03)
    for task in tasks[::2]:
        task.cancel()
    rows = await asyncio.gather(*tasks[1::2])
    assert [row["slept"] for row in rows] == [0.02] * 3


async def test_a_statement_that_was_slow_goes_alone_for_a_while(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Together(pool, most=1)
    await asyncio.gather(*(together.fetch_one(SLEEPY, [0.6 * SHARED_SECONDS]) for _ in range(4)))
    before = trips()
    await asyncio.gather(*(together.fetch_one(SLEEPY, [0.0]) for _ in range(6)))
    assert trips() - before == 6
    later = time.monotonic() + APART_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    before = trips()
    await asyncio.gather(*(together.fetch_one(SLEEPY, [0.0]) for _ in range(6)))
    assert trips() - before < 6


async def test_without_a_database_everybody_hears_it(scratch_postgres: EmbeddedPostgres) -> None:
    pool = await open_pool(scratch_postgres.url, "progress_query", size=3)
    together = Together(pool, most=2)
    scratch_postgres.stop()
    asked = [together.fetch_one(DOUBLE, [number]) for number in range(5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, LogUnavailable) for answer in answers)
    pool.terminate()


@pytest.fixture
def scratch_postgres(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedPostgres:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg-together"))
    server.start()
    return server
