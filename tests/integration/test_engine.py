"""The engine on a real database: ownership of checkpoints, swaps under live work, plans, a user's own file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from progress_context.engine.catalog import load
from progress_context.engine.maintain import PLAN_BY_INDEX, Maintainer
from progress_context.engine.rebuild import bring_up, rebuild
from progress_context.engine.worker import Worker
from progress_context.errors import CheckpointLost
from progress_context.log.event import NewEvent
from waiting import until
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
REVIEWS_BY_HOUR = """\
-- name:   reviews_by_hour
-- kind:   fold
-- grain:  learner_key, hour
-- update: realtime
SELECT learner_key, extract(hour FROM occurred_at)::int AS hour, count(*) AS reviews
FROM   events
WHERE  type = 'learning.CorrectnessJudged'
GROUP  BY learner_key, hour
"""


def judged(number: int, *, learner: str = "ada", at: datetime = NOON, item: str = "apple") -> NewEvent:
    data = json.dumps({"item_id": item, "judgment": "AutoConfirmed", "session_id": f"s{number}"})
    return NewEvent(
        "urn:test", f"{learner}-{number}", "learning.CorrectnessJudged", 1, learner, at, None, data
    )


def voiding(number: int, target: NewEvent) -> NewEvent:
    data = json.dumps({"source": target.source, "id": target.id})
    return NewEvent(
        "urn:test", f"void-{number}", "learning.EventVoided", 1, target.learner_id, NOON, None, data,
        voids=(target.source, target.id),
    )  # fmt: skip


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


async def maintainer_of(world: World) -> Maintainer:
    return Maintainer(list((await world.versions()).values()), world.catalog.policy)


async def test_of_two_workers_on_one_checkpoint_only_one_moves_it(world: World) -> None:
    await world.append([judged(i) for i in range(10)])
    maintainer = await maintainer_of(world)

    async def advance() -> bool:
        async with world.pool.acquire() as connection:
            try:
                await maintainer.advance(connection, 0, 10)
            except CheckpointLost:
                return False
            return True

    assert sorted(await asyncio.gather(advance(), advance(), advance())) == [False, False, True]
    [row] = (await world.rows("daily_stats")).values()
    assert row["reviews"] == 10


async def test_workers_side_by_side_count_nothing_twice(world: World) -> None:
    workers = [Worker(world.pool, page_events=3, poll_seconds=0.01) for _ in range(3)]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    for number in range(20):
        await world.append([judged(number * 5 + i, item=f"item-{i}") for i in range(5)])
    await reached(workers, 100)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    [row] = (await world.rows("daily_stats")).values()
    assert (row["reviews"], row["new_items"]) == (100, 5)


async def reached(workers: list[Worker], position: int) -> None:
    async with asyncio.timeout(20):
        while max(worker.position for worker in workers) < position:
            await asyncio.sleep(0)


async def test_a_worker_that_is_behind_but_goes_on_reports_no_failure(world: World) -> None:
    told: list[str | None] = []
    worker = Worker(
        world.pool, page_events=1, poll_seconds=0.01, on_advance=lambda _: told.append(worker.failure)
    )
    worker.failure = "PostgreSQL was away"
    await world.append([judged(i) for i in range(3)])
    await worker.catch_up()
    assert told == ["PostgreSQL was away", None, None]


async def test_live_work_goes_on_through_rebuilds(world: World) -> None:
    worker = Worker(world.pool, page_events=7, poll_seconds=0.01)
    running = asyncio.create_task(worker.run())
    names = [model.name for model in world.catalog.stored()]
    for round_ in range(4):
        writing = asyncio.create_task(
            world.append([judged(round_ * 50 + i, item=f"i{i}") for i in range(50)], [5] * 9)
        )
        await rebuild(world.pool, world.catalog, names, shards=2)
        await writing
    await reached([worker], 200)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    [row] = (await world.rows("daily_stats")).values()
    assert row["reviews"] == 200
    async with world.pool.acquire() as connection:
        kept = await connection.fetch("SELECT status, count(*) AS n FROM engine.versions GROUP BY status")
        assert {r["status"]: r["n"] for r in kept} == {"active": len(names), "retired": len(names)}


async def test_a_rebuild_that_fails_leaves_everything_as_it_was(world: World) -> None:
    await world.append([judged(i) for i in range(3)])
    await world.catch_up()
    before = await world.versions()

    def explode(_: Any) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await rebuild(world.pool, world.catalog, ["daily_stats"], report=explode)
    assert await world.versions() == before
    async with world.pool.acquire() as connection:
        assert (
            await connection.fetchval("SELECT count(*) FROM engine.versions WHERE status = 'building'") == 0
        )
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'read'"
        assert await connection.fetchval(tables) == len(before)


async def test_a_voided_event_counts_until_it_is_voided(world: World) -> None:
    events = [judged(i, at=NOON + timedelta(days=i)) for i in range(3)]
    await world.append(events)
    await world.catch_up()
    assert [(row["first_day"].day, row["days"]) for row in (await world.rows("streak_runs")).values()] == [
        (2, 3)
    ]
    await world.append([voiding(1, events[1])])
    await world.catch_up()
    runs = sorted(row["first_day"].day for row in (await world.rows("streak_runs")).values())
    assert runs == [2, 4]
    assert len(await world.rows("daily_stats")) == 2


async def test_a_users_own_read_model_is_built_from_history_and_kept_live(
    world: World, tmp_path: Path
) -> None:
    await world.append([judged(1), judged(2, at=NOON + timedelta(hours=3))])
    await world.catch_up()
    (tmp_path / "reviews_by_hour.sql").write_text(REVIEWS_BY_HOUR)
    world.catalog = load(tmp_path)
    assert await bring_up(world.pool, world.catalog) == ["reviews_by_hour"]
    await world.append([judged(3)])
    await world.catch_up()
    rows = await world.rows("reviews_by_hour")
    assert {grain[1]: row["reviews"] for grain, row in rows.items()} == {12: 2, 15: 1}


async def test_an_edited_read_model_is_rebuilt_and_a_removed_one_retires(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "reviews_by_hour.sql"
    file.write_text(REVIEWS_BY_HOUR)
    await world.append([judged(1)])
    await bring_up(world.pool, load(tmp_path))
    file.write_text(REVIEWS_BY_HOUR.replace("count(*)", "10 * count(*)"))
    world.catalog = load(tmp_path)
    assert await bring_up(world.pool, world.catalog) == ["reviews_by_hour"]
    await world.catch_up()
    assert [row["reviews"] for row in (await world.rows("reviews_by_hour")).values()] == [10]
    assert await bring_up(world.pool, world.catalog) == []
    file.unlink()
    assert await bring_up(world.pool, load(tmp_path)) == []
    async with world.pool.acquire() as connection:
        assert await connection.fetchval("SELECT to_regclass('read.reviews_by_hour')") is None


async def test_no_page_is_planned_by_scanning_a_table(world: World) -> None:
    await world.append([judged(i, learner=f"l{i % 20}", item=f"i{i % 7}") for i in range(400)])
    await world.catch_up()
    maintainer = await maintainer_of(world)
    async with world.pool.acquire() as connection:
        await connection.execute("ANALYZE")
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(PLAN_BY_INDEX)
        ids = [version.version_id for version in maintainer.versions]
        plan = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {maintainer.statement}", 390, 400, ids, None)
        await transaction.rollback()
    scanned = {node["Relation Name"] for node in nodes(json.loads(plan)) if node["Node Type"] == "Seq Scan"}
    assert scanned & {version.table_name for version in maintainer.versions} == set()
    assert "events" not in scanned


def nodes(plan: Any) -> list[dict[str, Any]]:
    """All nodes of an EXPLAIN in JSON."""
    if isinstance(plan, list):
        return [node for part in plan for node in nodes(part)]
    if not isinstance(plan, dict):
        return []
    own = [plan] if "Node Type" in plan else []
    return own + [node for part in plan.values() for node in nodes(part)]


@pytest.mark.parametrize("turns", range(5))
async def test_a_worker_stops_even_when_it_is_woken_at_that_moment(world: World, turns: int) -> None:
    follower = Worker(world.pool, page_events=64, poll_seconds=3_600)
    running = asyncio.create_task(follower.run())
    await until(lambda: _is_waiting(follower))
    follower.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=10)
    assert done == {running}


async def _is_waiting(follower: Worker) -> bool:
    return follower.looked_at > 0
