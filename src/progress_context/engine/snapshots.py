"""Snapshots: copies of folds and rollups at one position, for rebuilds and questions about the past.

They hold nothing that the log does not, and can be thrown away at any time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg
import structlog

from progress_context import telemetry
from progress_context.engine import versions as books
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import RESERVED, ReadModel
from progress_context.engine.history import Base
from progress_context.engine.template import fill, quote, quote_all
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost, EngineError, LogUnavailable
from progress_context.log.database import Connection, Pool, acquire, in_words, statement

EVERY_EVENTS = 100_000
EVERY = timedelta(days=1)
KEEP = 3
TRIES = 40  # looks for a moment at which all shards are at one position
PAUSE = 0.05  # seconds between two looks
PATIENCE = 24 * 3600.0  # seconds that copying or adding up one table may take
LOCK_TIMEOUT = "300ms"  # a reader who holds a table longer keeps it until the next time

ADD = "INSERT INTO engine.snapshots (position, parked) VALUES ($1, $2) RETURNING snapshot_id, taken_at"
ADD_TABLE = """
    INSERT INTO engine.snapshot_tables (snapshot_id, read_model, fingerprint, table_name, row_count, checksum)
    VALUES ($1, $2, $3, $4, $5, $6)
"""
TABLES = """
    SELECT read_model, table_name, row_count, checksum,
           to_regclass(format('snapshot.%I', table_name)) IS NOT NULL AS is_there
      FROM engine.snapshot_tables WHERE snapshot_id = $1 ORDER BY read_model
"""
MARK = "UPDATE engine.snapshot_tables SET damaged_at = now() WHERE snapshot_id = $1 AND read_model = $2"
FORGET = "DELETE FROM engine.snapshots WHERE snapshot_id = ANY ($1::bigint[])"
LEFTOVERS = """
    SELECT tablename FROM pg_tables
     WHERE schemaname = 'snapshot' AND tablename NOT IN (SELECT table_name FROM engine.snapshot_tables)
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is: how many tables and rows, how large on disk, and which read models are damaged."""

    snapshot_id: int
    position: int
    taken_at: datetime
    tables: int
    rows: int
    bytes: int
    damaged: list[str]


def copied(catalog: Catalog) -> list[ReadModel]:
    """The read models a snapshot holds, inputs first: those kept by merging changes as they come.

    Everything else is computed from them.
    """
    chosen: dict[str, ReadModel] = {}
    for model in catalog.stored():
        sources = [name for name in model.inputs if name not in RESERVED]
        if model.update == "realtime" and not model.recomputed and all(name in chosen for name in sources):
            chosen[model.name] = model
    return list(chosen.values())


async def take(pool: Pool, catalog: Catalog) -> int | None:
    """Copy the read models at the position they share, in one commit, while live work goes on; its id.

    None, with a warning, when shards stay apart, or when an event of no learner is parked, since everyone's
    rows may lack it; None when there is nothing to copy yet.
    """
    reason = ""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(PAUSE)
        try:
            async with acquire(pool) as connection, connection.transaction(isolation="repeatable_read"):
                return await take_within(connection, catalog)
        except CheckpointLost as error:
            reason = str(error)
    log.warning("snapshot_skipped", reason=reason)
    return None


async def take_within(connection: Connection, catalog: Catalog) -> int | None:
    """As `take`, inside the caller's REPEATABLE READ; raises CheckpointLost when shards are apart."""
    active = await books.active_versions(connection, catalog)
    versions = [active[model.name] for model in copied(catalog) if model.name in active]
    positions = set((await books.checkpoints(connection, versions)).values())
    if len(positions) > 1:
        raise CheckpointLost(f"the shards are apart, at {', '.join(map(str, sorted(positions)))}")
    position = max(positions, default=0)
    if position == 0:
        return None
    parked = {row["learner_key"] for row in await connection.fetch("SELECT learner_key FROM engine.parked")}
    if None in parked:
        log.warning("snapshot_skipped", reason="an event of no learner is parked: rebuild --all")
        return None
    row = await connection.fetchrow(ADD, position, sorted(parked))
    assert row is not None
    for version in versions:
        await _copy(connection, version, row["snapshot_id"])
    return row["snapshot_id"]


async def _copy(connection: Connection, version: Version, snapshot_id: int) -> None:
    model = version.model
    copy = Version(model, version.version_id, f"{model.name}__{snapshot_id}", "snapshot")
    columns = quote_all(model.columns)
    await connection.execute(
        f"CREATE TABLE {copy.table} AS SELECT {columns} FROM {version.table}", timeout=PATIENCE
    )
    await connection.execute(
        f"ALTER TABLE {copy.table} ADD PRIMARY KEY ({quote_all(model.grain)})", timeout=PATIENCE
    )
    await connection.execute(f"ANALYZE {copy.table}", timeout=PATIENCE)
    sums = await _sums(connection, copy.table_name)
    await connection.execute(ADD_TABLE, snapshot_id, model.name, model.fingerprint, copy.table_name, *sums)


async def _sums(connection: Connection, table_name: str) -> asyncpg.Record:
    table = f"snapshot.{quote(table_name)}"
    row = await connection.fetchrow(fill("checksum", table=table), timeout=PATIENCE)
    assert row is not None
    return row


async def due(connection: Connection, every_events: int = EVERY_EVENTS, every: timedelta = EVERY) -> bool:
    """Whether it is time for another one: see `snapshot_due.sql`."""
    return await connection.fetchval(statement(__package__, "snapshot_due"), every_events, every)


async def listed(connection: Connection) -> list[Snapshot]:
    """All snapshots, newest first."""
    rows = await connection.fetch(statement(__package__, "listed_snapshots"))
    return [Snapshot(**row) for row in rows]


async def verify(pool: Pool, snapshot_id: int) -> list[str]:
    """The read models whose copy is not what was copied; they are marked, and the snapshot is not used again.

    Raises EngineError when there is no such snapshot.
    """
    async with acquire(pool) as connection:
        tables = await connection.fetch(TABLES, snapshot_id)
        if not tables:
            raise EngineError(f"there is no snapshot {snapshot_id}")
        damaged = [row["read_model"] for row in tables if not await _is_sound(connection, row)]
        for name in damaged:
            log.warning("snapshot_damaged", snapshot=snapshot_id, read_model=name)
            await connection.execute(MARK, snapshot_id, name)
        return damaged


async def _is_sound(connection: Connection, table: asyncpg.Record) -> bool:
    if not table["is_there"]:
        return False
    try:
        sums = await _sums(connection, table["table_name"])
    except asyncpg.InternalServerError:  # PostgreSQL itself finds the file corrupted
        return False
    return (sums["row_count"], sums["checksum"]) == (table["row_count"], table["checksum"])


async def newest(
    connection: Connection, catalog: Catalog, upto: int, learner_key: int | None = None
) -> Base | None:
    """The newest snapshot at or before `upto` that was not found damaged; with a learner, one for them.

    Its tables are taken at their word: this is for one learner's rows. A rebuild wants `newest_sound`.
    """
    models = {model.name: model for model in copied(catalog)}
    rows = await connection.fetch(
        statement(__package__, "nearest_snapshot"),
        upto,
        list(models),
        [model.fingerprint for model in models.values()],
        learner_key,
    )
    if not rows:
        return None
    versions = {
        row["read_model"]: Version(models[row["read_model"]], 0, row["table_name"], "snapshot")
        for row in rows
    }
    return Base(rows[0]["snapshot_id"], rows[0]["position"], versions, frozenset(rows[0]["parked"]))


async def newest_sound(pool: Pool, catalog: Catalog, upto: int) -> Base | None:
    """As `newest`, with every checksum verified; learners in `parked` must be computed from their events."""
    while True:
        async with acquire(pool) as connection:
            base = await newest(connection, catalog, upto)
        if base is None or not await verify(pool, base.snapshot_id):
            return base


async def prune(pool: Pool, keep: int = KEEP) -> list[int]:
    """Drop what is damaged or out of date, and all but `keep` of the snapshots; the ids of those dropped.

    Kept are the newest one, and others spread over the log: see `surplus`.
    """
    async with acquire(pool) as connection:
        async with connection.transaction():
            await connection.execute(statement(__package__, "forget_copies"))
            all_ = await listed(connection)
            usable = [(s.position, s.snapshot_id) for s in all_ if s.tables and not s.damaged]
            kept = set(usable) - set(surplus(usable, keep))
            ids = [s.snapshot_id for s in all_ if (s.position, s.snapshot_id) not in kept]
            await connection.execute(FORGET, ids)
        for row in await connection.fetch(LEFTOVERS):
            await _drop(connection, row["tablename"])
    return ids


def surplus(snapshots: Iterable[tuple[int, int]], keep: int) -> list[tuple[int, int]]:
    """Which of the (position, id) to drop so that `keep` remain, the newest among them.

    One after the other goes the one that leaves the smallest gap in the log: then no past moment is far
    from a snapshot before it.
    """
    kept = sorted(snapshots)
    dropped: list[tuple[int, int]] = []

    def gap_without(index: int) -> int:
        before = kept[index - 1][0] if index else 0
        return kept[index + 1][0] - before

    while len(kept) > keep:
        dropped.append(kept.pop(min(range(len(kept) - 1), key=gap_without, default=0)))
    return dropped


async def _drop(connection: Connection, table_name: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT)
            await connection.execute(f"DROP TABLE IF EXISTS snapshot.{quote(table_name)}")
    except asyncpg.LockNotAvailableError:
        log.info("snapshot_table_in_use", table=table_name)


class SnapshotKeeper:
    """Takes a snapshot whenever one is due, and keeps the newest few."""

    def __init__(
        self,
        pool: Pool,
        catalog: Catalog,
        *,
        every_events: int = EVERY_EVENTS,
        keep: int = KEEP,
        look_seconds: float = 30.0,
    ) -> None:
        self._pool = pool
        self._catalog = catalog
        self._every_events = every_events
        self._keep = keep
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Work until cancelled; a failure is logged and tried again."""
        while True:
            try:
                await self.look()
            except (LogUnavailable, asyncpg.PostgresError) as error:
                log.error("snapshot_failed", error=in_words(error))
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Take one if it is due, and throw away what is not needed."""
        async with acquire(self._pool) as connection:
            is_due = await due(connection, self._every_events)
        if is_due:
            with telemetry.SNAPSHOT_SECONDS.time():
                taken = await take(self._pool, self._catalog)
            if taken is not None:
                log.info("snapshot_taken", snapshot=taken)
        await prune(self._pool, self._keep)
