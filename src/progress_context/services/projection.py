"""progress-projection-service: follows the log and keeps the read models."""

from __future__ import annotations

import asyncio
import time

import structlog

from progress_context import telemetry
from progress_context.delivery.postgres import LOG_APPENDED, READ_MODELS_CHANGED, Notifier, listen
from progress_context.engine.catalog import Catalog, load
from progress_context.engine.definition import Policy
from progress_context.engine.maintain import Advance
from progress_context.engine.rebuild import bring_up
from progress_context.engine.worker import Worker
from progress_context.errors import LogError
from progress_context.log import migrate
from progress_context.log.database import Pool, acquire, open_pool, until_available
from progress_context.services.server import Service
from progress_context.settings import Settings

STALE_SECONDS = 10.0

log = structlog.get_logger(__name__)


def catalog_of(settings: Settings) -> Catalog:
    """The read models of this deployment; raises ReadModelError."""
    policy = Policy(settings.idle_gap, settings.study_cap_seconds, settings.streak_grace)
    return load(settings.read_models, policy)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    telemetry.configure_logging("progress-projection-service")
    catalog = catalog_of(settings)
    pool = await open_pool(settings.database_url, "progress_projection", size=6)
    notifier = Notifier(pool, READ_MODELS_CHANGED)

    def announce(advance: Advance) -> None:
        notifier.announce(advance.upto)

    worker = Worker(
        pool,
        catalog,
        page_events=settings.page_events,
        poll_seconds=settings.poll_ms / 1000,
        on_advance=announce,
    )

    async def follow() -> None:
        await _bring_up(pool, catalog)
        await worker.run()

    async def hear() -> None:
        await listen(settings.database_url, "progress_projection", LOG_APPENDED, worker.wake)

    async def ready() -> str | None:
        if worker.failure is not None:
            return worker.failure
        age = time.time() - worker.looked_at
        patience = max(STALE_SECONDS, 3 * settings.poll_ms / 1000)
        return f"the log was last looked at {age:.0f} s ago" if age > patience else None

    service = Service("progress-projection-service", [], tasks=[follow, hear, notifier.run], ready=ready)
    try:
        await service.serve(settings.host, settings.projection_port, stop)
    finally:
        pool.terminate()


async def _bring_up(pool: Pool, catalog: Catalog) -> None:
    """Wait for a migrated database, then build what is missing or was edited."""

    async def attempt() -> list[str]:
        async with acquire(pool) as connection:
            await migrate.check(connection)
        return await bring_up(pool, catalog)

    while True:
        try:
            built = await until_available(attempt, patience=30)
        except LogError as error:
            log.warning("waiting_for_database", error=str(error))
            await asyncio.sleep(1)
        else:
            if built:
                log.info("read_models_built", names=built)
            return
