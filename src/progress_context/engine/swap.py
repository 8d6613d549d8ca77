"""Catch up with live work, then change places with the active versions: in one commit, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from progress_context.engine import builds
from progress_context.engine import versions as books
from progress_context.engine.builds import Build
from progress_context.engine.parking import POISON
from progress_context.engine.shadow import HOLD_PARKED, Shadow
from progress_context.log import read
from progress_context.log.database import Connection, Pool, acquire

LOCK_TIMEOUT = "300ms"  # less than PostgreSQL's deadlock_timeout of 1 s, so we give way and not a reader
GIVE_WAY = "SELECT set_config('lock_timeout', $1, true)"
CLOSE_ENOUGH = 2_000  # events left for the moment of the swap, when live work waits
PAUSE = 0.1

LIVE = """
    SELECT shard, position FROM engine.checkpoints JOIN engine.versions USING (version_id)
     WHERE status = 'active' AND update_mode = 'realtime' ORDER BY shard, version_id
"""
DONE = "UPDATE engine.builds SET activated_at = clock_timestamp(), swapped_at = $2 WHERE build_id = $1"
EVERYTHING = "SELECT NOT EXISTS (SELECT FROM engine.versions WHERE status = 'active' AND build_id <> $1)"
PARKED = "SELECT learner_key FROM engine.parked WHERE position <= $1 AND learner_key IS NOT NULL"
GO_ON = "DELETE FROM engine.parked WHERE position <= $1"

log = structlog.get_logger(__name__)

Report = Callable[[int, int], None]


async def live_position(connection: Connection) -> int:
    """Where live work is, in its slowest shard; the end of the log where nothing is active yet."""
    return min((await _live(connection)).values(), default=await read.head(connection))


async def finish(pool: Pool, build: Build, removed: Sequence[str], report: Report) -> int:
    """Catch up and swap; the position of the swap. `report` hears of positions: reached, and aimed at.

    Readers of what is replaced are given way to. What is `removed` retires in the same commit.
    """
    shadow = Shadow(build)
    async with acquire(pool) as connection:
        while True:
            await _catch_up(connection, shadow, CLOSE_ENOUGH, report)
            try:
                async with connection.transaction():
                    swapped_at = await change_places(connection, build, shadow, removed)
            except asyncpg.LockNotAvailableError:
                swapped_at = None
            except POISON:
                await _catch_up(connection, shadow, 0, report)  # finds the event
                raise
            if swapped_at is not None:
                break
            await asyncio.sleep(PAUSE)
        report(swapped_at, swapped_at)
        await _clean_up(connection)
        return swapped_at


async def _catch_up(connection: Connection, shadow: Shadow, close_enough: int, report: Report) -> None:
    after = await shadow.position(connection)
    while (goal := await live_position(connection)) - after > close_enough:
        report(after, goal)
        after = await shadow.advance(connection, after, goal)


async def change_places(
    connection: Connection, build: Build, shadow: Shadow, removed: Sequence[str]
) -> int | None:
    """Hold live work still, fold the last events, change places. `None`: live work has not come so far."""
    await connection.execute(GIVE_WAY, LOCK_TIMEOUT)
    await builds.own(connection, build)
    await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
    await connection.execute(HOLD_PARKED)
    reached = await _live(connection, lock=True)
    after = await shadow.position(connection)
    goal = min(reached.values(), default=after)
    if goal < after:
        return None
    if goal > after:
        await shadow.advance_within(connection, after, goal)
    reached = reached or {0: goal}
    await shadow.deal(connection, goal, reached)
    await books.activate(connection, build.versions, build.build_id)
    await books.retire(connection, removed, build.build_id)
    if await connection.fetchval(EVERYTHING, build.build_id):
        await _go_on(connection, build, shadow, goal, reached)
    await connection.execute(DONE, build.build_id, goal)
    return goal


async def _live(connection: Connection, *, lock: bool = False) -> dict[int, int]:
    rows = await connection.fetch(LIVE + ("FOR UPDATE OF checkpoints" if lock else ""))
    return {row["shard"]: row["position"] for row in rows}


async def _go_on(
    connection: Connection, build: Build, shadow: Shadow, goal: int, reached: dict[int, int]
) -> None:
    """Everything was computed from all events, parked ones too: their learners go on, unless they fail."""
    upto = build.extent.upto
    learners = [row["learner_key"] for row in await connection.fetch(PARKED, upto)]
    try:
        async with connection.transaction():
            await shadow.recompute(connection, learners, goal, reached)
            await connection.execute(GO_ON, upto)
    except POISON as error:
        log.warning("still_parked", learners=learners, reason=str(error))


async def _clean_up(connection: Connection) -> None:
    """Drop versions that nobody can go back to; if somebody still looks at one, the next swap will."""
    try:
        async with connection.transaction():
            await connection.execute(GIVE_WAY, LOCK_TIMEOUT)
            await books.drop_outdated(connection)
    except asyncpg.LockNotAvailableError:
        log.info("outdated_versions_in_use")
