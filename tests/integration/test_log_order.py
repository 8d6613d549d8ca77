"""Order: contiguous positions, visible in order, whoever writes and whoever gives up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from progress_context.errors import LogDamaged, SchemaMismatch
from progress_context.intake.learning_day import learning_day_in
from progress_context.log import read
from progress_context.log.append import Appender
from progress_context.log.database import Pool, connect, open_pool
from progress_context.log.event import NewEvent
from progress_context.log.migrate import check
from progress_context.log.profiles import Calendar

WRITERS = 16
ROUNDS = 12
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def an_event(event_id: str, *, learner: str | None = "ada", data: str = "{}", **changes: object) -> NewEvent:
    return NewEvent(
        source="urn:test",
        id=event_id,
        type=str(changes.get("type", "learning.SessionStarted")),
        version=1,
        learner_id=learner,
        occurred_at=NOW,
        zone=None,
        data=data,
    )


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, "progress_command", size=WRITERS + 4)
    yield pool
    pool.terminate()


@pytest.fixture
def appender(pool: Pool) -> Appender:
    return Appender(pool, learning_day_in, Calendar("UTC", 0))


async def give_up(pool: Pool, dice: random.Random) -> None:
    """A writer that takes the counter row, writes, dawdles and rolls back."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        position = await connection.fetchval("SELECT position FROM log.head FOR UPDATE")
        await connection.execute(
            "INSERT INTO log.events (position, source, id, type, version, occurred_at, recorded_at, data)"
            " VALUES ($1, 'urn:test', $2, 'x', 1, now(), clock_timestamp() + interval '1 s', '{}')",
            position + 1,
            f"given-up-{dice.random()}",
        )
        await connection.execute("SELECT pg_sleep($1)", dice.random() / 100)
        await transaction.rollback()


async def write(pool: Pool, writer: int) -> list[str]:
    """Appends of random size, some of them given up; returns the ids acknowledged."""
    dice = random.Random(writer)
    appender = Appender(pool, learning_day_in, Calendar("UTC", 0))
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        if dice.random() < 0.3:
            await give_up(pool, dice)
        ids = [f"{writer}-{number}-{i}" for i in range(dice.randint(1, 7))]
        outcomes = await appender.append([an_event(i, learner=f"learner-{dice.randint(1, 9)}") for i in ids])
        assert [outcome.status for outcome in outcomes] == ["stored"] * len(ids)
        acknowledged += ids
    return acknowledged


async def follow(url: str, done: asyncio.Event) -> list[tuple[int, str]]:
    """All events a reader sees who only ever asks for positions behind the last one."""
    connection = await connect(url, "progress_projection")
    seen: list[tuple[int, str]] = []
    try:
        while True:
            finished = done.is_set()
            after = seen[-1][0] if seen else 0
            page = await read.page(connection, after=after, limit=random.randint(1, 20))
            seen += [(event.position, event.id) for event in page]
            if finished and not page:
                return seen
    finally:
        await connection.close()


async def test_a_reader_misses_nothing_while_sixteen_writers_commit_and_roll_back(
    pool: Pool, database_url: str
) -> None:
    done = asyncio.Event()
    reader = asyncio.create_task(follow(database_url, done))
    written = await asyncio.gather(*(write(pool, number) for number in range(WRITERS)))
    done.set()
    seen = await reader
    acknowledged = [event_id for ids in written for event_id in ids]
    assert [position for position, _ in seen] == list(range(1, len(acknowledged) + 1))
    assert sorted(event_id for _, event_id in seen) == sorted(acknowledged)


async def test_a_later_position_waits_for_an_earlier_writer(database_url: str, appender: Appender) -> None:
    slow, onlooker = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    await slow.execute("BEGIN; SELECT position FROM log.head FOR UPDATE")
    fast = asyncio.create_task(appender.append([an_event("fast")]))
    while not await onlooker.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        assert not fast.done()
    assert await onlooker.fetchval("SELECT position FROM log.head") == 0
    await slow.execute(
        "INSERT INTO log.events (position, source, id, type, version, occurred_at, recorded_at, data)"
        " VALUES (1, 'urn:test', 'slow', 'x', 1, now(), clock_timestamp(), '{}'); COMMIT"
    )
    [outcome] = await fast
    assert outcome.position == 2
    await slow.close()
    await onlooker.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE log.events SET type = 'x'", "DELETE FROM log.events", "TRUNCATE log.events"]
)
async def test_even_the_owner_cannot_change_what_is_stored(
    database_url: str, appender: Appender, statement: str
) -> None:
    await appender.append([an_event("kept")])
    owner = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await owner.execute(statement)
    assert await owner.fetchval("SELECT id FROM log.events") == "kept"
    await owner.close()


@pytest.mark.parametrize("role", ["progress_command", "progress_projection", "progress_query"])
@pytest.mark.parametrize(
    "statement", ["UPDATE log.events SET type = 'x'", "DELETE FROM log.events", "TRUNCATE log.events"]
)
async def test_no_service_has_the_grant_to_change_the_log(
    database_url: str, role: str, statement: str
) -> None:
    service = await asyncpg.connect(database_url, server_settings={"role": role})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await service.execute(statement)
    await service.close()


@pytest.mark.parametrize("position", [0, 1, 3, 99])
async def test_the_database_refuses_positions_that_do_not_continue_the_log(
    database_url: str, appender: Appender, position: int
) -> None:
    await appender.append([an_event("first")])
    owner = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.PostgresError, match=r"continue the log|duplicate key|check constraint"):
        await owner.execute(
            "INSERT INTO log.events (position, source, id, type, version, occurred_at, recorded_at, data)"
            " VALUES ($1, 's', 'i', 't', 1, now(), clock_timestamp(), '{}')",
            position,
        )
    await owner.close()


async def test_recording_time_never_runs_backwards(database_url: str, pool: Pool, appender: Appender) -> None:
    await appender.append([an_event("a")])
    owner = await asyncpg.connect(database_url)
    ahead = await owner.fetchval(
        "UPDATE log.head SET recorded_at = now() + interval '1 day' RETURNING recorded_at"
    )
    await owner.close()
    await appender.append([an_event("b"), an_event("c")])
    async with pool.acquire() as connection:
        events = await read.page(connection)
        assert [event.recorded_at for event in events[1:]] == [ahead, ahead]
        assert await read.position_at(connection, ahead - timedelta(seconds=1)) == 1
        assert await read.position_at(connection, ahead) == 3


async def test_start_up_notices_a_database_changed_behind_our_back(
    database_url: str, appender: Appender
) -> None:
    await appender.append([an_event("a")])
    owner = await asyncpg.connect(database_url)
    await check(owner)
    await owner.execute("UPDATE log.head SET position = 7")
    with pytest.raises(LogDamaged, match="position 7, the last event has 1"):
        await check(owner)
    await owner.execute("UPDATE log.head SET position = 1")
    await owner.execute("UPDATE public.progress_migrations SET checksum = 'other'")
    with pytest.raises(SchemaMismatch, match="differs"):
        await check(owner)
    await owner.close()


async def test_reading_by_learner_and_by_type(pool: Pool, appender: Appender) -> None:
    await appender.append(
        [an_event(str(i), learner=("ada", "bob", None)[i % 3], type=f"t{i % 2}") for i in range(12)]
    )
    async with pool.acquire() as connection:
        ada = await read.page(connection, learner_id="ada")
        assert [event.id for event in ada] == ["0", "3", "6", "9"]
        assert [e.id for e in await read.page(connection, learner_id="ada", event_type="t1")] == ["3", "9"]
        assert [e.id for e in await read.page(connection, event_type="t1", after=4)] == ["5", "7", "9", "11"]
        assert await read.page(connection, learner_id="nobody") == []


async def test_no_append_scans_the_log_though_plans_were_kept_from_its_first_day(database_url: str) -> None:
    pool = await open_pool(database_url, "progress_command", size=1)
    appender = Appender(pool, learning_day_in, Calendar("UTC", 0))
    watcher = await connect(database_url)
    await watcher.execute("ALTER TABLE log.events SET (autovacuum_enabled = false)")  # no new plan meanwhile
    await appender.append([an_event("first")])
    await watcher.execute("ANALYZE log.events")
    for number in range(40):
        await appender.append([an_event(f"early-{number}"), an_event(f"early-{number // 2}")])
    await appender.append([an_event(f"{number}") for number in range(5_000)])

    async def read_by_scans() -> int:
        async with pool.acquire() as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
        return await watcher.fetchval("SELECT pg_stat_get_tuples_returned('log.events'::regclass)")

    before = await read_by_scans()
    for number in range(20):
        await appender.append([an_event(f"late-{number}"), an_event(f"{number}")])
    assert await read_by_scans() == before
    await watcher.close()
    pool.terminate()
