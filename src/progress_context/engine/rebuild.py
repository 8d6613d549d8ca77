"""Compute read models anew beside the live ones, catch up, and swap.

A rebuild may be interrupted at any moment: the same one begun again goes on where it stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from progress_context.engine import builds, snapshots
from progress_context.engine import versions as books
from progress_context.engine.builds import Build, Extent
from progress_context.engine.catalog import Catalog
from progress_context.engine.filling import CHUNK_EVENTS, COPIED_AT_ONCE, Filling, start_from
from progress_context.engine.history import Base
from progress_context.engine.selection import Selection, select, wishes
from progress_context.engine.swap import finish, live_position
from progress_context.errors import BuildLost, BuildUnderWay, EngineError, LogUnavailable
from progress_context.log.database import Pool, acquire

LOOK_AGAIN = 0.5  # seconds between looks whether another process is alive

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is: the events that its tables stand for, of those there are now."""

    done: int
    total: int
    catching_up: bool = False


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rebuild that begins now would do."""

    selection: Selection
    extent: Extent
    base: Base | None


async def rebuild(
    pool: Pool,
    catalog: Catalog,
    names: Iterable[str],
    *,
    shards: int = 1,
    from_snapshot: bool | None = None,
    announce: Callable[[Plan], None] = lambda _: None,
    report: Report = lambda _: None,
) -> int:
    """Compute the named read models, and all that is connected with them, anew, and swap.

    It begins with the newest sound snapshot, if there is one; with `from_snapshot` it insists on one, and
    when that is `False` only events are read. Live serving and live work go on meanwhile. `announce` hears
    what will be done. Returns the position of the swap. Raises BuildUnderWay when another process is at it,
    and EventPoisoned when a read model cannot take an event: nothing is swapped.
    """
    wanted = list(names)

    async def begin() -> tuple[Plan, Build]:
        plan = await plan_for(pool, catalog, wanted, from_snapshot)
        async with acquire(pool) as connection, connection.transaction():
            return plan, await builds.begin(connection, catalog, plan.selection.models, plan.extent)

    plan, build = await patiently(begin)
    announce(plan)
    base = plan.base if build.extent.base_position is not None else None
    return await complete(pool, build, plan.selection.removed, base, shards=shards, report=report)


async def plan_for(
    pool: Pool, catalog: Catalog, names: Iterable[str], from_snapshot: bool | None = None
) -> Plan:
    """What a rebuild would do; raises EngineError when it insists on a snapshot and there is none."""
    async with acquire(pool) as connection:
        selection = await select(connection, catalog, names)
        upto = await live_position(connection)
        last_learner = await connection.fetchval("SELECT coalesce(max(learner_key), 0) FROM log.learners")
    base = None if from_snapshot is False else await _base(pool, catalog, selection, upto)
    if base is None and from_snapshot:
        raise EngineError("there is no sound snapshot of these read models as they are defined now")
    chunk_events = CHUNK_EVENTS * (COPIED_AT_ONCE if base else 1)
    chunk_learners = max(1, round(last_learner * chunk_events / max(1, upto)))
    return Plan(selection, Extent(upto, base and base.position, last_learner, chunk_learners), base)


async def bring_up(
    pool: Pool, catalog: Catalog, *, shards: int = 1, report: Report = lambda _: None
) -> list[str]:
    """Build what the files define and the database lacks, retire what they define no more.

    Returns the names that were lacking; what a rollback has pinned is left alone.
    """
    async with acquire(pool) as connection, connection.transaction():
        wished = await wishes(connection, catalog)
        await books.retire(connection, wished.removed)
    if wished.edited:
        await rebuild(pool, catalog, wished.edited, shards=shards, report=report)
    return list(wished.edited)


async def abandon(pool: Pool) -> list[str]:
    """Throw away rebuilds and rollbacks that were interrupted; the names of their read models."""
    async with acquire(pool) as connection, connection.transaction():
        await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
        found = [build for build in await builds.under_way(connection) if not build.alive]
        for build in found:
            await builds.drop(connection, build)
    return sorted({name for build in found for name in build.names})


async def patiently(begin: Callable[[], Awaitable[T]]) -> T:
    """The result of `begin`, which raises BuildUnderWay while another process is, or may be, at work.

    That is raised on when the other process gives a sign of life; one that died is waited out.
    """
    seen: datetime | None = None
    while True:
        try:
            return await begin()
        except BuildUnderWay as error:
            if seen is not None and error.beat_at != seen:
                raise
            seen = error.beat_at
        await asyncio.sleep(LOOK_AGAIN)


async def complete(
    pool: Pool,
    build: Build,
    removed: Iterable[str],
    base: Base | None = None,
    *,
    shards: int = 1,
    report: Report = lambda _: None,
) -> int:
    """Fill, catch up and swap. What failed is thrown away; what was only interrupted stays, to go on with."""

    def caught_up(position: int, goal: int) -> None:
        report(Progress(position, goal, catching_up=True))

    try:
        async with builds.alive(pool, build):
            if not build.filled:
                await _fill(pool, build, base, shards, report)
            return await finish(pool, build, list(removed), caught_up)
    except (LogUnavailable, BuildLost, asyncio.CancelledError):
        raise
    except BaseException:
        async with acquire(pool) as connection, connection.transaction():
            await builds.drop(connection, build)
        raise


async def _fill(pool: Pool, build: Build, base: Base | None, shards: int, report: Report) -> None:
    done = 0

    def filled(events: int) -> None:
        nonlocal done
        done += events
        report(Progress(min(done, build.extent.upto), build.extent.upto))

    async with acquire(pool) as connection:
        start = await start_from(connection, base, build.extent.upto) if base else None
    await Filling(pool, build, start).run(shards, filled)


async def _base(pool: Pool, catalog: Catalog, selection: Selection, upto: int) -> Base | None:
    base = await snapshots.newest_sound(pool, catalog, upto)
    if base is None:
        return None
    names = {model.name for model in selection.models}
    versions = {name: version for name, version in base.versions.items() if name in names}
    return replace(base, versions=versions) if versions else None
