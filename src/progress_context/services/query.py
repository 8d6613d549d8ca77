"""progress-query-service: GraphQL over the read models, and the dashboard."""

from __future__ import annotations

import asyncio

from progress_context import telemetry
from progress_context.delivery.postgres import READ_MODELS_CHANGED, listen
from progress_context.errors import LogError
from progress_context.log.database import UNAVAILABLE, acquire, open_pool, statement
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from progress_context.query.http import GraphQLHttp
from progress_context.query.positions import Positions
from progress_context.services.projection import catalog_of
from progress_context.services.server import Service
from progress_context.settings import Settings


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    telemetry.configure_logging("progress-query-service")
    pool = await open_pool(settings.database_url, "progress_query", size=8)
    positions = Positions(pool)
    default = Calendar(settings.default_time_zone, settings.default_rollover_hour)
    executor = Executor(pool, catalog_of(settings), default, positions)

    def hear(position: int) -> None:
        positions.hear(position)

    async def follow() -> None:
        await listen(settings.database_url, "progress_query", READ_MODELS_CHANGED, hear)

    async def ready() -> str | None:
        try:
            async with acquire(pool) as connection, asyncio.timeout(3):
                active = await connection.fetchval(
                    "SELECT count(*) FROM engine.versions WHERE status = 'active'"
                )
                await connection.fetchval(statement("progress_context.query", "position"))
        except (LogError, *UNAVAILABLE) as error:
            return str(error) or type(error).__name__
        return None if active else "the read models are not built yet"

    service = Service(
        "progress-query-service",
        GraphQLHttp(executor, graphiql=settings.graphiql).routes(),
        tasks=[follow],
        ready=ready,
    )
    try:
        await service.serve(settings.host, settings.query_port, stop)
    finally:
        pool.terminate()
