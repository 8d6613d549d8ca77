"""A small world for law tests: a real log and a real engine in one database, and their rows as values."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import asyncpg

from progress_context.engine import snapshots
from progress_context.engine import versions as books
from progress_context.engine.batch import run_batch
from progress_context.engine.bind import lazy_relation
from progress_context.engine.catalog import Catalog, assemble, load
from progress_context.engine.definition import Policy
from progress_context.engine.maintain import Maintainer
from progress_context.engine.rebuild import bring_up, rebuild
from progress_context.engine.template import with_ctes
from progress_context.engine.version import Version
from progress_context.intake.learning_day import learning_day_in
from progress_context.log import read
from progress_context.log.append import Appender
from progress_context.log.database import Pool, open_pool
from progress_context.log.event import NewEvent, Outcome, StoredEvent
from progress_context.log.profiles import Calendar

Rows = dict[tuple[Any, ...], dict[str, Any]]

CLEAR = """
    RESET ROLE;
    SET session_replication_role = replica;
    TRUNCATE log.events, log.learners, log.profiles, log.voids, log.unknown_types RESTART IDENTITY CASCADE;
    RESET session_replication_role;
    DELETE FROM engine.parked;
    UPDATE log.head SET position = 0, recorded_at = '-infinity', profile_position = 0;
"""


class CrashError(Exception):
    """The process died here, as far as the database can tell."""


class World:
    """Appends histories, folds them in any pieces, and tells what the read models hold.

    In an `eager` world the read models that are made for batches are kept in realtime.
    """

    def __init__(self, url: str, policy: Policy | None = None, *, eager: bool = False) -> None:
        self.url = url
        self.catalog: Catalog = _eager(policy) if eager else load(policy=policy)
        self.log_pool: Pool
        self.pool: Pool

    async def open(self) -> World:
        """Connect, with empty read models."""
        self.log_pool = await open_pool(self.url, "progress_command", size=4)
        self.pool = await open_pool(self.url, "progress_projection", size=4)
        await bring_up(self.pool, self.catalog)
        return self

    async def close(self) -> None:
        """Let go of the database."""
        self.log_pool.terminate()
        self.pool.terminate()

    async def clear(self) -> None:
        """Forget everything: what no role of the product may do."""
        owner = await asyncpg.connect(self.url)
        await owner.execute(CLEAR)
        retired = await owner.fetch("SELECT version_id FROM engine.versions WHERE status <> 'active'")
        await books.drop_versions(owner, [row["version_id"] for row in retired])  # they are ahead of the log
        for version in (await self.versions()).values():
            await owner.execute(f"TRUNCATE {version.table}")
        await owner.execute("UPDATE engine.checkpoints SET position = 0; DELETE FROM engine.snapshots")
        await owner.close()
        await snapshots.prune(self.pool)

    async def append(self, events: Sequence[NewEvent], sizes: Sequence[int] = ()) -> list[Outcome]:
        """Append in groups of the given sizes, the rest in one."""
        appender = Appender(self.log_pool, learning_day_in, Calendar("UTC", 0))
        outcomes: list[Outcome] = []
        for group in pieces(events, sizes):
            outcomes += await appender.append(group)
        return outcomes

    async def catch_up(self, sizes: Sequence[int] = (), *, crash_at: int | None = None) -> None:
        """Fold what is new in pages of the given sizes; the page numbered `crash_at` dies, then again."""
        async with self.pool.acquire() as connection:
            versions = await self.versions()
            realtime = books.realtime(versions)
            maintainer = Maintainer(realtime, self.catalog.policy, stored=versions)
            position = (await books.checkpoints(connection, realtime))[0]
            head = await read.head(connection)
            for number, page in enumerate(pieces(range(position + 1, head + 1), sizes)):
                if number == crash_at:
                    await self._crash(connection, maintainer, page[0] - 1, page[-1])
                await maintainer.advance(connection, page[0] - 1, page[-1])

    async def run_batch(self) -> None:
        """Bring what is kept in batches to where the realtime read models are."""
        async with self.pool.acquire() as connection:
            await run_batch(connection)

    async def _crash(self, connection: Any, maintainer: Maintainer, after: int, upto: int) -> None:
        try:
            async with connection.transaction():
                await maintainer.advance_within(connection, after, upto)
                raise CrashError
        except CrashError:
            return

    async def rebuild(self, *, shards: int = 1) -> None:
        """All read models anew."""
        await rebuild(self.pool, self.catalog, [m.name for m in self.catalog.stored()], shards=shards)

    async def events(self) -> list[StoredEvent]:
        """The whole log."""
        async with self.pool.acquire() as connection:
            return [event async for event in read.follow(connection)]

    async def versions(self) -> dict[str, Version]:
        """The active versions."""
        async with self.pool.acquire() as connection:
            return await books.active_versions(connection, self.catalog)

    async def rows(self, name: str) -> Rows:
        """The stored rows of a read model, by grain."""
        grain = self.catalog[name].grain
        async with self.pool.acquire() as connection:
            records = await connection.fetch(f"SELECT * FROM read.{name}")
        return {tuple(record[c] for c in grain): dict(record) for record in records}

    async def tables(self) -> dict[str, Rows]:
        """Every stored read model."""
        return {model.name: await self.rows(model.name) for model in self.catalog.stored()}

    async def ask(self, name: str, learner: int, at: object, today: object) -> Rows:
        """A lazy read model of one learner at a moment."""
        asked = "SELECT $2::timestamptz AS at, $3::date AS today"
        relation = lazy_relation(self.catalog, self.catalog[name], "$1", asked)
        grain = self.catalog[name].grain
        query = with_ctes([("asked", asked), ("answer", relation)], "SELECT answer.* FROM answer")
        async with self.pool.acquire() as connection:
            records = await connection.fetch(
                f"{query} WHERE ($2, $3) IS NOT NULL AND $1 > 0", learner, at, today
            )
        return {tuple(record[c] for c in grain): dict(record) for record in records}


def _eager(policy: Policy | None) -> Catalog:
    entries = files("progress_context.read_models").iterdir()
    texts = {entry.name: entry.read_text("utf-8") for entry in entries if entry.name.endswith(".sql")}
    changed = {name: text.replace("-- update: batch", "-- update: realtime") for name, text in texts.items()}
    return assemble(changed, policy or Policy())


def pieces(items: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
    """`items` cut into pieces of the given sizes, the rest in one."""
    cut: list[Any] = []
    start = 0
    for size in sizes:
        if start < len(items):
            cut.append(items[start : start + size])
            start += size
    if start < len(items):
        cut.append(items[start:])
    return cut
