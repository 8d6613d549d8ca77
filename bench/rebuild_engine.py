"""What the benchmark asks of the engine, one call each; as a program: rebuild everything in a database."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

from progress_context.engine import snapshots
from progress_context.engine.as_of import Answer, Position
from progress_context.engine.batch import run_batch
from progress_context.engine.catalog import load
from progress_context.engine.rebuild import bring_up, rebuild
from progress_context.engine.worker import Worker
from progress_context.log.database import Pool, Role, acquire, open_pool
from progress_context.log.profiles import Calendar
from progress_context.query.asked import as_of
from progress_context.settings import Settings

SHARDS = 2

Follow = Callable[[], Awaitable[None]]
AskPast = Callable[[str, int, int], Awaitable[Answer]]


async def build(url: str) -> None:
    """The read models of an engine that never ran."""
    async with _pool(url) as pool:
        await bring_up(pool, load())


async def follow_in_batches(url: str) -> None:
    """Bring the read models that are kept in batches to where the realtime ones are."""
    async with _pool(url) as pool, acquire(pool) as connection:
        await run_batch(connection)


async def take_snapshot(url: str) -> None:
    """A snapshot of where the realtime read models are."""
    catalog = load()
    async with _pool(url) as pool:
        if await snapshots.take(pool, catalog) is None:
            raise RuntimeError("no snapshot was taken")


async def rebuild_all(url: str, *, from_snapshot: bool = False) -> None:
    """Every stored read model computed anew, as `progress-context rebuild --all` does."""
    catalog = load()
    async with _pool(url) as pool:
        names = [model.name for model in catalog.stored()]
        await rebuild(pool, catalog, names, shards=SHARDS, from_snapshot=from_snapshot)


@asynccontextmanager
async def follower(url: str) -> AsyncGenerator[Follow]:
    """The service's own worker with the default page size: each call folds what the log holds now."""
    settings = Settings()
    async with _pool(url) as pool:
        worker = Worker(pool, page_events=settings.page_events, poll_seconds=settings.poll_ms / 1_000)
        yield worker.catch_up


@asynccontextmanager
async def open_past(url: str) -> AsyncGenerator[AskPast]:
    """What the query service asks about the past: a read model of a learner at a position."""
    catalog = load()
    past = as_of(catalog, Calendar("UTC", 0))
    async with _pool(url, "progress_query") as pool, acquire(pool) as connection:

        async def ask(name: str, learner: int, position: int) -> Answer:
            point = await past.find(connection, Position(position))
            return await past.answer(connection, f"SELECT * FROM {name}", [name], learner, point)

        yield ask


@asynccontextmanager
async def _pool(url: str, role: Role = "progress_projection") -> AsyncGenerator[Pool]:
    pool = await open_pool(url, role, size=SHARDS + 2, patience=600)
    try:
        yield pool
    finally:
        await pool.close()


if __name__ == "__main__":
    uvloop.run(rebuild_all(sys.argv[1]))
