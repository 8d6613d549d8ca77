"""progress-projection-service: follows the log and keeps the read models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import structlog

from progress_context import logs, telemetry, tracing
from progress_context.delivery.changes import Changes
from progress_context.delivery.postgres import READ_MODELS_CHANGED, Notifier
from progress_context.engine.catalog import Catalog, load
from progress_context.engine.definition import Policy
from progress_context.engine.leases import Work
from progress_context.engine.planned import check_planned
from progress_context.engine.projector import Projector
from progress_context.engine.reach import reach
from progress_context.engine.renewal import Mode, Renewal, build_first
from progress_context.engine.shards import reshard
from progress_context.engine.snapshots import SnapshotKeeper
from progress_context.engine.standing_metrics import StandingMetrics
from progress_context.errors import CheckpointLost, LogError
from progress_context.log import migrate
from progress_context.log.database import (
    LETTING_GO,
    Pool,
    acquire,
    in_words,
    open_pool,
    pool_state,
    until_available,
)
from progress_context.news.follower import LEASE, Follower
from progress_context.services.delivering import incoming_of
from progress_context.services.server import Service, name_of
from progress_context.settings import Settings

log = structlog.get_logger(__name__)


def catalog_of(settings: Settings, *more: Path) -> Catalog:
    """The read models of this deployment, and `more` files; raises ReadModelError."""
    policy = Policy(settings.idle_gap, settings.study_cap_seconds, settings.streak_grace)
    return load(settings.read_models, policy, *more)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    logs.configure("progress-projection-service", settings.log_level)
    tracing.configure("progress-projection-service", settings.otlp_endpoint)
    catalog = catalog_of(settings)
    incoming = incoming_of(settings)
    pool = await open_pool(
        settings.database_url, "progress_projection", size=settings.shards + 7, session=LETTING_GO
    )
    telemetry.watch_pool(pool_state(pool))
    standing = StandingMetrics(pool)
    standing.register()
    notifier = Notifier(pool, READ_MODELS_CHANGED)
    projector = Projector(
        pool,
        shards=settings.shards,
        page_events=settings.page_events,
        poll_seconds=settings.poll_ms / 1000,
        batch_seconds=settings.batch_seconds,
        worker=name_of(settings.host, settings.projection_port),
        singles=_done_once(pool, catalog, settings),
        on_advance=lambda advance: notifier.announce_changes(
            Changes(advance.visible, advance.upto, advance.learners)
        ),
    )
    up = False

    async def follow() -> None:
        nonlocal up
        await _get_ready(pool, catalog, settings.shards)
        up = True
        await projector.run()

    async def hear() -> None:
        await incoming.run(projector.wake, lambda: reach(pool))

    async def ready() -> str | None:
        return projector.failure() if up else await _why_not_up(pool)

    service = Service(
        "progress-projection-service",
        [],
        tasks=[follow, hear, notifier.run],
        ready=ready,
        measure=standing.refresh,
    )
    try:
        await service.serve(settings.host, settings.projection_port, stop)
    finally:
        pool.terminate()


def _done_once(pool: Pool, catalog: Catalog, settings: Settings) -> dict[str, Work]:
    """What one service at a time does beside the shards and the batches."""
    work: dict[str, Work] = {"rebuild": Renewal(pool, catalog, cast("Mode", settings.rebuild)).run}
    if settings.news_max_age:
        work[LEASE] = Follower(pool, catalog, max_age=settings.news_max_age).run
    if settings.snapshot_events:
        keeper = SnapshotKeeper(
            pool, catalog, every_events=settings.snapshot_events, keep=settings.snapshots_kept
        )
        work["snapshots"] = lambda _token: keeper.run()
    return work


async def _why_not_up(pool: Pool) -> str:
    try:
        async with acquire(pool) as connection:
            await migrate.check(connection)
    except LogError as error:
        return in_words(error)
    return "the read models are being built"


async def _get_ready(pool: Pool, catalog: Catalog, shards: int) -> None:
    """Wait for a migrated database, and build everything when nothing was ever built."""

    async def attempt() -> None:
        async with acquire(pool) as connection:
            await migrate.check(connection)
            await check_planned(connection, catalog)
        await build_first(pool, catalog)
        await reshard(pool, shards)

    while True:
        try:
            await until_available(attempt, patience=30)
        except (LogError, CheckpointLost) as error:
            log.warning("waiting_for_database", error=str(error))
            await asyncio.sleep(1)
        else:
            return
