"""progress-projection-service: follows the log and keeps the read models."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

import structlog

from progress_context import telemetry
from progress_context.delivery.postgres import LOG_APPENDED, READ_MODELS_CHANGED, Notifier, listen
from progress_context.engine.catalog import Catalog, load
from progress_context.engine.definition import Policy
from progress_context.engine.leases import Work
from progress_context.engine.planned import check_planned
from progress_context.engine.projector import Projector
from progress_context.engine.renewal import Mode, Renewal, build_first
from progress_context.engine.shards import reshard
from progress_context.engine.snapshots import SnapshotKeeper
from progress_context.errors import CheckpointLost, LogError
from progress_context.log import migrate
from progress_context.log.database import Pool, acquire, open_pool, until_available
from progress_context.services.server import Service
from progress_context.settings import Settings

log = structlog.get_logger(__name__)


def catalog_of(settings: Settings, *more: Path) -> Catalog:
    """The read models of this deployment, and `more` files; raises ReadModelError."""
    policy = Policy(settings.idle_gap, settings.study_cap_seconds, settings.streak_grace)
    return load(settings.read_models, policy, *more)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    telemetry.configure_logging("progress-projection-service")
    catalog = catalog_of(settings)
    pool = await open_pool(settings.database_url, "progress_projection", size=settings.shards + 6)
    notifier = Notifier(pool, READ_MODELS_CHANGED)
    projector = Projector(
        pool,
        shards=settings.shards,
        page_events=settings.page_events,
        poll_seconds=settings.poll_ms / 1000,
        batch_seconds=settings.batch_seconds,
        worker=_name_of(settings),
        singles=_done_once(pool, catalog, settings),
        on_advance=lambda advance: notifier.announce(advance.visible),
    )
    up = False

    async def follow() -> None:
        nonlocal up
        await _get_ready(pool, catalog, settings.shards)
        up = True
        await projector.run()

    async def hear() -> None:
        await listen(settings.database_url, "progress_projection", LOG_APPENDED, projector.wake)

    async def ready() -> str | None:
        return projector.failure() if up else "the read models are being built"

    service = Service("progress-projection-service", [], tasks=[follow, hear, notifier.run], ready=ready)
    try:
        await service.serve(settings.host, settings.projection_port, stop)
    finally:
        pool.terminate()


def _done_once(pool: Pool, catalog: Catalog, settings: Settings) -> dict[str, Work]:
    """What one service at a time does beside the shards and the batches."""
    work: dict[str, Work] = {"rebuild": Renewal(pool, catalog, cast("Mode", settings.rebuild)).run}
    if settings.snapshot_events:
        keeper = SnapshotKeeper(
            pool, catalog, every_events=settings.snapshot_events, keep=settings.snapshots_kept
        )
        work["snapshots"] = lambda _token: keeper.run()
    return work


def _name_of(settings: Settings) -> str | None:
    """Who listens on this machine's loopback has a name of its own, for as long as it listens."""
    if settings.host.startswith("127.") or settings.host in ("localhost", "::1"):
        return f"{socket.gethostname()}:{settings.projection_port}"
    return None


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
