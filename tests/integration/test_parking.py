"""An event that a read model cannot take: its learner is put aside, everyone else goes on, nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from progress_context.engine import parking
from progress_context.engine.batch import run_batch
from progress_context.engine.catalog import load
from progress_context.engine.rebuild import bring_up
from progress_context.engine.worker import Worker
from progress_context.errors import EngineError
from progress_context.log.event import NewEvent
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BRITTLE = """\
-- name:   seconds_read
-- kind:   fold
-- grain:  learner_key
-- update: realtime
SELECT learner_key, sum((data->>'seconds')::bigint) AS seconds
FROM   events
WHERE  type = 'app.PageRead'
GROUP  BY learner_key
"""
OVER_THE_BRITTLE = """\
-- name:   minutes_read
-- kind:   rollup
-- grain:  learner_key
-- update: batch
SELECT learner_key, sum(weight) AS row_count, sum(weight * (seconds / 60)) AS minutes
FROM   seconds_read
GROUP  BY learner_key
"""
GUARDED = "WHERE  type = 'app.PageRead' AND data->>'seconds' ~ '^[0-9]+$'"


def read(number: int, learner: str, seconds: str) -> NewEvent:
    data = f'{{"seconds": "{seconds}"}}'
    at = NOON + timedelta(minutes=number)
    return NewEvent("urn:t", f"e{number}", "app.PageRead", 1, learner, at, None, data, known=False)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "seconds_read.sql").write_text(BRITTLE)
    (tmp_path / "minutes_read.sql").write_text(OVER_THE_BRITTLE)
    world = World(database_url)
    world.catalog = load(tmp_path)
    yield await world.open()
    await world.close()


def worker(world: World) -> Worker:
    return Worker(world.pool, page_events=64, poll_seconds=0.02)


async def seconds_by_learner(world: World) -> dict[str, int]:
    async with world.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT learner_id, seconds::int FROM read.seconds_read JOIN log.learners USING (learner_key)"
        )
    return {row["learner_id"]: row["seconds"] for row in rows}


async def parked(world: World) -> list[asyncpg.Record]:
    async with world.pool.acquire() as connection:
        return await parking.parked(connection)


HISTORY = [
    *(read(n, f"learner-{n % 5}", "60") for n in range(100)),
    read(100, "learner-2", "sixty"),
    *(read(n, f"learner-{n % 5}", "60") for n in range(101, 150)),
]


async def test_the_learner_is_put_aside_with_position_and_reason_and_everyone_else_goes_on(
    world: World,
) -> None:
    await world.append(HISTORY)
    await worker(world).catch_up()
    [row] = await parked(world)
    assert (row["position"], row["learner_id"], row["type"]) == (101, "learner-2", "app.PageRead")
    assert "sixty" in row["reason"]
    assert await seconds_by_learner(world) == {
        f"learner-{n}": minutes * 60 for n, minutes in enumerate((29, 30, 20, 30, 30))
    }


async def test_a_retry_that_still_fails_says_so_and_changes_nothing(world: World) -> None:
    await world.append(HISTORY)
    await worker(world).catch_up()
    before = await world.tables()
    assert not await parking.retry(world.pool, 101, 1)
    [row] = await parked(world)
    assert row["attempts"] == 2
    assert await world.tables() == before


async def test_after_the_read_model_was_mended_a_retry_computes_the_learner_from_all_events(
    world: World, tmp_path: Path
) -> None:
    await world.append(HISTORY)
    await worker(world).catch_up()
    async with world.pool.acquire() as connection:
        await run_batch(connection)
    (tmp_path / "seconds_read.sql").write_text(BRITTLE.replace("WHERE  type = 'app.PageRead'", GUARDED))
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    await world.append([read(200, "learner-2", "7")])
    await worker(world).catch_up()
    assert await parking.retry(world.pool, 101, 1)
    assert await parked(world) == []
    assert (await seconds_by_learner(world))["learner-2"] == 30 * 60 + 7
    await world.append([read(201, "learner-2", "60")])
    await worker(world).catch_up()
    await world.run_batch()
    live = await world.tables()
    assert (await seconds_by_learner(world))["learner-2"] == 31 * 60 + 7
    await world.rebuild()
    assert await world.tables() == live


async def test_a_voided_event_of_a_parked_learner_does_not_stop_the_others(world: World) -> None:
    await world.append(HISTORY)
    await worker(world).catch_up()
    void = NewEvent(
        "urn:t", "void", "learning.EventVoided", 1, "learner-2", NOON, None,
        '{"source": "urn:t", "id": "e2"}', voids=("urn:t", "e2"),
    )  # fmt: skip
    await world.append([void, read(300, "learner-1", "60")])
    follower = worker(world)
    await follower.catch_up()
    assert follower.position == 152
    assert (await seconds_by_learner(world))["learner-1"] == 31 * 60


async def test_an_event_of_no_learner_cannot_be_retried_alone(world: World) -> None:
    with pytest.raises(EngineError, match="rebuild"):
        await parking.retry(world.pool, 5, 1)


async def test_a_read_model_that_fails_for_another_reason_parks_nobody(world: World) -> None:
    await world.append(HISTORY[:10])
    owner = await asyncpg.connect(world.url)
    await owner.execute("DROP FUNCTION read.day_number CASCADE")
    await owner.close()
    with suppress(asyncpg.PostgresError):
        await worker(world).catch_up()
    assert await parked(world) == []


async def test_a_read_model_made_in_batches_parks_the_learner_too(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "seconds_read.sql").write_text(BRITTLE.replace("realtime", "batch"))
    world = World(database_url)
    world.catalog = load(tmp_path)
    await world.open()
    await world.append(HISTORY)
    await world.catch_up()
    await world.run_batch()
    [row] = await parked(world)
    assert (row["position"], row["learner_id"]) == (101, "learner-2")
    assert await seconds_by_learner(world) == {
        f"learner-{n}": minutes * 60 for n, minutes in enumerate((29, 30, 20, 30, 30))
    }
    await world.run_batch()
    assert len(await parked(world)) == 1
    await world.close()
