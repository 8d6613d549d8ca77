"""One durable PostgreSQL for everybody, and a fresh database for each run."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import asyncpg

from progress_context.local.postgres import EmbeddedPostgres
from progress_context.services.all_in_one import migrated

EMPTY = "template1"
OWN = "progress"
MIGRATED = "bench_migrated"
STATEMENTS = Path(__file__).parent / "sql"
SHOWN = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
)


class BenchServer:
    """The embedded PostgreSQL with the settings every user of it gets; databases come and go."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._server.start()
        self.make(MIGRATED)
        asyncio.run(migrated(self.url(MIGRATED)))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def url(self, database: str) -> str:
        """The address of a database."""
        return f"{self._server.url.rsplit('/', 1)[0]}/{database}"

    def make(self, name: str, template: str = EMPTY) -> None:
        """A database that equals `template`."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")

    @contextmanager
    def fresh(self, template: str) -> Generator[str]:
        """The address of a database for one run, with nothing left to write back from earlier ones."""
        name = f"bench_{next(self._numbers)}"
        self.make(name, template)
        self.execute("CHECKPOINT")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def settings(self) -> dict[str, str]:
        """What decides about durability and speed."""
        return asyncio.run(_show(self._server.url))

    def execute(self, sql: str, database: str = OWN) -> None:
        """Run a statement as the owner."""
        asyncio.run(_execute(self.url(database), sql))


@contextmanager
def bench_folder() -> Generator[Path]:
    """A folder of this run's own, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pc-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def query(url: str, name: str) -> list[asyncpg.Record]:
    """The rows of a query in `sql/`."""
    return asyncio.run(_query(url, (STATEMENTS / f"{name}.sql").read_text()))


def query_one(url: str, name: str) -> asyncpg.Record:
    """The one row of a query in `sql/`."""
    (row,) = query(url, name)
    return row


async def _query(url: str, sql: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _show(url: str) -> dict[str, str]:
    connection = await asyncpg.connect(url)
    try:
        return {name: await connection.fetchval(f"SHOW {name}") for name in SHOWN}
    finally:
        await connection.close()
