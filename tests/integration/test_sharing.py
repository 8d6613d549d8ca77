"""Several projection processes share the shards: leases, fencing, take-over, no loss, no double counting."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from oracle.compare import differences
from oracle.decoded import decode
from oracle.recount import DEFAULT_POLICY, recount
from progress_context.engine import versions as books
from progress_context.engine.leases import Leases, shard_lease
from progress_context.engine.maintain import Maintainer
from progress_context.engine.projector import Projector
from progress_context.engine.shards import reshard
from progress_context.errors import CheckpointLost
from progress_context.local.ports import choose_port
from progress_context.log.event import NewEvent
from waiting import until
from world import World

SHARDS = 4
LEASE_SECONDS = 0.8
TAKEN_OVER = 10.0  # seconds
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def judged(number: int) -> NewEvent:
    learner = f"learner-{number % 37}"
    at = NOON + timedelta(minutes=7 * number)
    data = f'{{"item_id":"i{number % 11}","judgment":"AutoConfirmed","session_id":"s{number // 5}"}}'
    return NewEvent("urn:t", f"e{number}", "learning.CorrectnessJudged", 1, learner, at, None, data)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    await reshard(world.pool, SHARDS)
    yield world
    await world.close()


def projector(world: World, *, shards: int = SHARDS) -> Projector:
    return Projector(
        world.pool,
        shards=shards,
        page_events=50,
        poll_seconds=0.02,
        batch_seconds=0.1,
        lease_seconds=LEASE_SECONDS,
    )


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncGenerator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(p.run()) for p in projectors]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reached(world: World) -> dict[int, int]:
    async with world.pool.acquire() as connection:
        return await books.checkpoints(connection, books.realtime(await world.versions()))


async def arrived(world: World, position: int) -> None:
    async def everywhere() -> bool:
        return set((await reached(world)).values()) == {position}

    await until(everywhere, seconds=20)


async def disagreements(world: World) -> list[str]:
    truth = recount(await world.events(), DEFAULT_POLICY)
    found: list[str] = []
    for name in ("daily_stats", "item_progress", "active_days", "streak_runs"):
        rows = decode(name, await world.rows(name), DEFAULT_POLICY)
        found += differences(getattr(truth, name), rows, leave_out=("accuracy", "incorrect"))
    return found


async def holders(world: World) -> dict[str, str | None]:
    async with world.pool.acquire() as connection:
        rows = await connection.fetch("SELECT name, holder FROM engine.leases WHERE name LIKE 'shard %'")
    return {row["name"]: row["holder"] for row in rows}


async def test_two_processes_share_the_shards_and_a_third_takes_its_part(world: World) -> None:
    one, two, three = projector(world), projector(world), projector(world)
    async with running(one, two):

        async def evenly() -> bool:
            return sorted(len(p.held_shards()) for p in (one, two)) == [2, 2]

        await until(evenly, seconds=10)
        await world.append([judged(n) for n in range(600)])
        async with running(three):

            async def moved() -> bool:
                return sorted(len(p.held_shards()) for p in (one, two, three)) == [1, 1, 2]

            await until(moved, seconds=10)
            await world.append([judged(n) for n in range(600, 1_200)])
            await arrived(world, 1_200)
        await world.append([judged(n) for n in range(1_200, 1_500)])
        await arrived(world, 1_500)
    assert await disagreements(world) == []
    assert set((await holders(world)).values()) == {None}


async def test_a_dead_process_is_replaced_and_its_late_commit_changes_nothing(world: World) -> None:
    dead = Leases(
        world.pool, shared={shard_lease(n): sleep for n in range(SHARDS)}, single={}, seconds=LEASE_SECONDS
    )
    task = asyncio.create_task(dead.run())

    async def all_held() -> bool:
        return len(dead.held) == SHARDS

    await until(all_held, seconds=5)
    tokens = dead.held
    freeze(dead, task)
    await world.append([judged(n) for n in range(300)])
    heir = projector(world)
    async with running(heir):
        await arrived(world, 300)
        assert len(heir.held_shards()) == SHARDS
        await world.append([judged(n) for n in range(300, 310)])
        async with world.pool.acquire() as connection:
            versions = await world.versions()
            late = Maintainer(
                books.realtime(versions), world.catalog.policy, stored=versions,
                shard=1, shards=SHARDS, lease=shard_lease(1),
            )  # fmt: skip
            with pytest.raises(CheckpointLost):
                await late.advance(connection, (await reached(world))[1], 310, tokens[shard_lease(1)])
        await arrived(world, 310)
    assert await disagreements(world) == []


@pytest.mark.parametrize("shards", [1, 3, 7])
async def test_dealing_the_learners_anew_loses_and_doubles_nothing(world: World, shards: int) -> None:
    await world.append([judged(n) for n in range(400)])
    versions = await world.versions()
    async with world.pool.acquire() as connection:
        for shard, upto in enumerate((100, 400, 250, 0)):
            if upto:
                maintainer = Maintainer(
                    books.realtime(versions),
                    world.catalog.policy,
                    stored=versions,
                    shard=shard,
                    shards=SHARDS,
                )
                await maintainer.advance(connection, 0, upto)
    assert await reshard(world.pool, shards)
    assert await reached(world) == dict.fromkeys(range(shards), 400)
    assert not await reshard(world.pool, shards)
    assert await disagreements(world) == []
    await world.append([judged(n) for n in range(400, 600)])
    async with running(projector(world, shards=shards)):
        await arrived(world, 600)
    assert await disagreements(world) == []


@asynccontextmanager
async def service(database_url: str, log: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """One `serve projection`."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PROGRESS_SHARDS": str(SHARDS),
        "PROGRESS_PROJECTION_PORT": str(choose_port(None, log.with_suffix(".port"))),
        "PROGRESS_PAGE_EVENTS": "100",
        "PROGRESS_NEWS_MAX_AGE": "0",
    }
    argv = [sys.executable, "-m", "progress_context", "serve", "projection"]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_a_killed_service_is_replaced_within_ten_seconds(world: World, tmp_path: Path) -> None:
    async def shares() -> list[int]:
        held = [holder for holder in (await holders(world)).values() if holder is not None]
        return sorted(Counter(held).values())

    async def shared(*expected: int) -> None:
        async def as_expected() -> bool:
            return await shares() == list(expected)

        await until(as_expected, seconds=TAKEN_OVER)

    async with service(world.url, tmp_path / "one.log") as one, service(world.url, tmp_path / "two.log"):
        await shared(2, 2)
        for start in range(0, 3_000, 100):
            await world.append([judged(n) for n in range(start, start + 100)])
            if start == 1_500:
                one.kill()
        await shared(4)
        await arrived(world, 3_000)
        async with service(world.url, tmp_path / "three.log"):
            await shared(2, 2)
            await world.append([judged(n) for n in range(3_000, 3_500)])
            await arrived(world, 3_500)
    assert await disagreements(world) == []


async def test_work_that_fails_unforeseen_is_begun_anew_and_what_is_done_stays_done(world: World) -> None:
    begun: Counter[str] = Counter()

    async def fail(_token: int) -> None:
        begun["fails"] += 1
        raise ZeroDivisionError

    async def end(_token: int) -> None:
        begun["ends"] += 1

    leases = Leases(world.pool, shared={"fails": fail}, single={"ends": end}, seconds=LEASE_SECONDS)
    task = asyncio.create_task(leases.run())

    async def again() -> bool:
        return begun["fails"] >= 3

    await until(again)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert begun["ends"] == 1
    told = REGISTRY.get_sample_value("progress_lease_changes_total", {"change": "failed"})
    assert told is not None
    assert told >= 2


async def sleep(_token: int) -> None:
    await asyncio.Event().wait()


def freeze(leases: Leases, task: asyncio.Task[Any]) -> None:
    """The process gives no sign of life any more, and hands nothing over either."""
    leases.worker = "frozen"
    task.cancel()
