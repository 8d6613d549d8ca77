"""The books of builds: sets of versions that are made together, by one process at a time.

A process at work gives signs of life; one that is silent is taken over by whoever wants the same build. Its
commits check the token, so it can change nothing any more, whether it knows or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import datetime

import asyncpg

from progress_context.engine import versions as books
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ReadModel
from progress_context.engine.version import Version
from progress_context.errors import BuildLost, BuildUnderWay, LogUnavailable
from progress_context.log.database import Connection, Pool, acquire, fetch_one, statement

BEAT = 1.0  # seconds between signs of life
SILENCE = 5.0  # seconds after which a process counts as gone

ADD = """
    INSERT INTO engine.builds (kind, filled, upto, base_position, last_learner, chunk_learners)
    VALUES ($1, $2, $3, $4, $5, $6) RETURNING build_id, token
"""
TAKE_OVER = """
    UPDATE engine.builds SET token = token + 1, beat_at = clock_timestamp() WHERE build_id = $1
    RETURNING token, kind, upto, base_position, last_learner, chunk_learners, filled
"""
MADE = """
    SELECT read_model, version_id, table_name FROM engine.versions WHERE build_id = $1 AND status = 'building'
"""
SIGN_OF_LIFE = "UPDATE engine.builds SET beat_at = clock_timestamp() WHERE build_id = $1 AND token = $2"
FALL_SILENT = "UPDATE engine.builds SET beat_at = '-infinity' WHERE build_id = $1 AND token = $2"
OWN = "SELECT FROM engine.builds WHERE build_id = $1 AND token = $2 FOR UPDATE"
NOTE_CHUNK = """
    INSERT INTO engine.build_chunks (build_id, chunk, events)
    SELECT build_id, $3, $4 FROM engine.builds WHERE build_id = $1 AND token = $2 FOR SHARE RETURNING chunk
"""
CHUNKS = "SELECT chunk, events FROM engine.build_chunks WHERE build_id = $1"
FILLED = "UPDATE engine.builds SET filled = true WHERE build_id = $1"
START = """
    UPDATE engine.checkpoints SET position = $2, updated_at = clock_timestamp()
     WHERE version_id IN (SELECT version_id FROM engine.versions WHERE build_id = $1 AND status = 'building')
"""


@dataclass(frozen=True, slots=True)
class Extent:
    """What the tables are filled from: events up to `upto`, those up to `base_position` from a snapshot.

    It is done in chunks: number n > 0 is `chunk_learners` learner keys, up to `last_learner`; number 0 is
    what belongs to no learner.
    """

    upto: int
    base_position: int | None
    last_learner: int
    chunk_learners: int

    @property
    def chunks(self) -> int:
        """How many chunks of learners there are."""
        return -(-self.last_learner // self.chunk_learners) if self.upto else 0


@dataclass(frozen=True, slots=True)
class Build:
    """Versions in the making, inputs first; the process that holds `token` is at it."""

    build_id: int
    token: int
    extent: Extent
    filled: bool
    versions: Mapping[str, Version]
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A build that is not finished, and whether a process is at it."""

    build_id: int
    kind: str
    base_position: int | None
    beat_at: datetime
    alive: bool
    names: frozenset[str]
    made: frozenset[str]


async def under_way(connection: Connection) -> list[UnderWay]:
    """All builds that are not finished."""
    rows = await connection.fetch(statement(__package__, "builds_under_way"), SILENCE)
    return [
        UnderWay(
            row["build_id"], row["kind"], row["base_position"], row["beat_at"], row["alive"],
            frozenset(row["names"]), frozenset(row["made"]),
        )
        for row in rows
    ]  # fmt: skip


async def begin(
    connection: Connection, catalog: Catalog, models: Sequence[ReadModel], extent: Extent
) -> Build:
    """A new build of `models`, inputs first, or the one of the same models that was interrupted.

    Another interrupted build of any of these is dropped. Raises BuildUnderWay when a process is at one.
    """
    await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
    made = frozenset(f"{m.name} {m.fingerprint} {m.update}" for m in models)
    for other in await overlapping(connection, (model.name for model in models)):
        same_source = extent.base_position is not None or other.base_position is None
        if other.kind == "rebuild" and other.made == made and same_source:
            return await _resume(connection, catalog, other.build_id)
        await drop(connection, other)
    row = await fetch_one(connection, ADD, "rebuild", False, *astuple(extent))
    versions = await books.create_versions(connection, catalog, models, row["build_id"])
    return Build(row["build_id"], row["token"], extent, False, versions, catalog)


async def overlapping(connection: Connection, names: Iterable[str]) -> list[UnderWay]:
    """Interrupted builds of any of these read models; raises BuildUnderWay when a process is at one."""
    wanted = frozenset(names)
    found = [build for build in await under_way(connection) if build.names & wanted]
    for build in found:
        if build.alive:
            raise BuildUnderWay(sorted(build.names), build.beat_at)
    return found


async def _resume(connection: Connection, catalog: Catalog, build_id: int) -> Build:
    row = await fetch_one(connection, TAKE_OVER, build_id)
    made = {version["read_model"]: version for version in await connection.fetch(MADE, build_id)}
    versions = {
        model.name: Version(model, made[model.name]["version_id"], made[model.name]["table_name"])
        for model in catalog
        if model.name in made
    }
    return Build(build_id, row["token"], extent_of(row), row["filled"], versions, catalog)


def extent_of(row: asyncpg.Record) -> Extent:
    """The extent in a row of engine.builds."""
    return Extent(row["upto"], row["base_position"], row["last_learner"], row["chunk_learners"])


async def drop(connection: Connection, build: UnderWay | Build) -> None:
    """Throw away what a build has made so far; what a rollback was bringing back retires again."""
    row = await fetch_one(connection, TAKE_OVER, build.build_id)
    if row["kind"] == "rollback":
        await connection.execute(statement(__package__, "retire_again"), build.build_id)
        return
    made = await connection.fetch(MADE, build.build_id)
    await books.drop_versions(connection, [version["version_id"] for version in made])
    await connection.execute("DELETE FROM engine.builds WHERE build_id = $1", build.build_id)


async def own(connection: Connection, build: Build) -> None:
    """Hold the build until the commit; raises BuildLost when another process has taken it over."""
    if await connection.fetchrow(OWN, build.build_id, build.token) is None:
        raise BuildLost("another process has taken this rebuild over")


async def chunks_done(connection: Connection, build: Build) -> dict[int, int]:
    """How many events each finished chunk stood for."""
    return {row["chunk"]: row["events"] for row in await connection.fetch(CHUNKS, build.build_id)}


async def note_chunk(connection: Connection, build: Build, chunk: int, events: int) -> None:
    """A chunk is done, in the commit that holds its rows."""
    if await connection.fetchval(NOTE_CHUNK, build.build_id, build.token, chunk, events) is None:
        raise BuildLost("another process has taken this rebuild over")


async def note_filled(connection: Connection, build: Build) -> None:
    """All chunks are done: from `upto` on the tables are kept by folding what is new."""
    async with connection.transaction():
        await own(connection, build)
        await connection.execute(START, build.build_id, build.extent.upto)
        await connection.execute(FILLED, build.build_id)


@asynccontextmanager
async def alive(pool: Pool, build: Build) -> AsyncGenerator[None]:
    """Give signs of life until the end of the block, so that no other process takes the build over."""
    beating = asyncio.create_task(_beat(pool, build))
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        with suppress(LogUnavailable):
            async with acquire(pool) as connection:
                await connection.execute(FALL_SILENT, build.build_id, build.token)


async def _beat(pool: Pool, build: Build) -> None:
    while True:
        await asyncio.sleep(BEAT)
        with suppress(LogUnavailable):
            async with acquire(pool) as connection:
                await connection.execute(SIGN_OF_LIFE, build.build_id, build.token)
