"""Build versions from the whole log beside the live ones, catch up, and swap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import asyncpg

from progress_context.engine import versions as books
from progress_context.engine.bind import EVERYONE, shard_scope
from progress_context.engine.catalog import Catalog
from progress_context.engine.maintain import PLAN_BY_INDEX, Maintainer
from progress_context.engine.version import Version
from progress_context.log import read
from progress_context.log.database import Connection, Pool, acquire

PAGE = 20_000
LOCK_TIMEOUT = "300ms"  # less than PostgreSQL's deadlock_timeout of 1 s, so we give way and not a reader
CLOSE_ENOUGH = 2_000  # events left for the moment of the swap, when live work waits


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is: `done` of `total` table shards filled, up to log position `upto`."""

    done: int
    total: int
    upto: int


async def bring_up(
    pool: Pool, catalog: Catalog, report: Callable[[Progress], None] = lambda _: None
) -> list[str]:
    """Build what the files define and the database lacks; return the names built.

    Read models whose definition changed are built beside the old version and swapped in.
    """
    async with acquire(pool) as connection:
        async with connection.transaction():
            await books.retire_unknown(connection, catalog)
        active = await books.active_versions(connection, catalog)
    missing = [model.name for model in catalog.stored() if model.name not in active]
    if missing:
        await rebuild(pool, catalog, missing, report=report)
    return missing


async def rebuild(
    pool: Pool,
    catalog: Catalog,
    names: Iterable[str],
    *,
    shards: int = 1,
    report: Callable[[Progress], None] = lambda _: None,
) -> int:
    """Compute the named read models anew from all events, with what they are computed from, and swap.

    Live serving and live maintenance go on meanwhile. Returns the position of the swap.
    """
    wanted = catalog.upstream(names)
    models = [model for model in catalog.stored() if model.name in wanted]
    async with acquire(pool) as connection:
        async with connection.transaction():
            building = await books.create_versions(connection, catalog, models)
        upto = await _start_position(connection, catalog)
    try:
        maintainer = Maintainer(list(building.values()), catalog.policy)
        await _fill(pool, maintainer, upto, shards, report)
        return await _catch_up_and_swap(pool, catalog, maintainer, upto)
    except BaseException:
        async with acquire(pool) as connection, connection.transaction():
            await books.drop_versions(connection, [v.version_id for v in building.values()])
        raise


async def _start_position(connection: Connection, catalog: Catalog) -> int:
    """Where the live versions are, so that the new ones are never ahead of them; else the head."""
    active = await books.active_versions(connection, catalog)
    live = await books.checkpoints(connection, books.realtime(active))
    return min(live.values()) if live else await read.head(connection)


async def _fill(
    pool: Pool, maintainer: Maintainer, upto: int, shards: int, report: Callable[[Progress], None]
) -> None:
    """Fill every table up to `upto`: shards beside each other, each with inputs before what reads them."""
    shared = [version for version in maintainer.versions if not version.model.by_learner]
    own = [version for version in maintainer.versions if version.model.by_learner]
    total = len(shared) + len(own) * shards
    done = 0

    async def fill_versions(versions: Sequence[Version], shard: int) -> None:
        nonlocal done
        async with acquire(pool) as connection:
            for version in versions:
                scope = shard_scope(shard, shards) if shards > 1 else EVERYONE
                await connection.execute(maintainer.fill_statement(version, scope, upto), timeout=None)
                done += 1
                report(Progress(done, total, upto))

    await fill_versions(shared, 0)
    await asyncio.gather(*(fill_versions(own, shard) for shard in range(shards)))
    async with acquire(pool) as connection:
        for version in maintainer.versions:
            await connection.execute(f"ANALYZE {version.table}")
        await connection.execute(
            "UPDATE engine.checkpoints SET position = $1, updated_at = clock_timestamp()"
            " WHERE version_id = ANY ($2::bigint[])",
            upto,
            [version.version_id for version in maintainer.versions],
        )


async def _catch_up_and_swap(pool: Pool, catalog: Catalog, maintainer: Maintainer, upto: int) -> int:
    async with acquire(pool) as connection:
        while True:
            upto = await _catch_up(connection, catalog, maintainer, upto)
            try:
                async with connection.transaction():
                    swapped_at = await _swap(connection, catalog, maintainer, upto)
                break
            except asyncpg.LockNotAvailableError:  # readers are at it; give way before they deadlock
                await asyncio.sleep(0.1)
        async with connection.transaction():
            await books.drop_outdated(connection)
        return swapped_at


async def _catch_up(connection: Connection, catalog: Catalog, maintainer: Maintainer, upto: int) -> int:
    while (goal := await _start_position(connection, catalog)) - upto > CLOSE_ENOUGH:
        page_end = min(goal, upto + PAGE)
        await maintainer.advance(connection, upto, page_end)
        upto = page_end
    return upto


async def _swap(connection: Connection, catalog: Catalog, maintainer: Maintainer, upto: int) -> int:
    """Hold live work still, fold the last events, change places; all of it or nothing."""
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT)
    await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
    active = await books.active_versions(connection, catalog)
    live = await books.checkpoints(connection, books.realtime(active), lock=True)
    goal = min(live.values()) if live else upto
    if goal > upto:
        await connection.execute(PLAN_BY_INDEX)
        await maintainer.advance_within(connection, upto, goal)
    await books.activate(connection, {version.name: version for version in maintainer.versions})
    return goal
