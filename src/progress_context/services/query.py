"""progress-query-service: GraphQL over the read models, and the dashboard."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from progress_context import logs, telemetry, tracing
from progress_context.delivery.changes import read_changes
from progress_context.delivery.postgres import READ_MODELS_CHANGED, listen_to_text
from progress_context.engine.standing_metrics import StandingMetrics
from progress_context.errors import LogError
from progress_context.log import migrate
from progress_context.log.database import UNAVAILABLE, acquire, open_pool, pool_state, statement
from progress_context.log.profiles import Calendar
from progress_context.query.admission import ByToken
from progress_context.query.execute import Executor
from progress_context.query.http import GraphQLHttp, HttpOptions
from progress_context.query.limits import Limits
from progress_context.query.persisted import documents_in
from progress_context.query.positions import Positions
from progress_context.query.rate_limit import RedisCounter
from progress_context.query.subscriptions.admission import Admission
from progress_context.query.subscriptions.client import Desk
from progress_context.query.subscriptions.hub import Hub
from progress_context.query.subscriptions.live import Live
from progress_context.query.subscriptions.looks import Looker
from progress_context.query.subscriptions.payloads import Composer
from progress_context.query.subscriptions.stream import Reader
from progress_context.services import authority
from progress_context.services.caching import cache_of
from progress_context.services.projection import catalog_of
from progress_context.services.server import Service
from progress_context.settings import Settings

# Plans are as good for any learner, and planning takes longer than reading; so the first plan is kept.
SESSION = {"plan_cache_mode": "force_generic_plan"}
STATEMENT_BYTES = 1024 * 1024


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    logs.configure("progress-query-service", settings.log_level)
    tracing.configure("progress-query-service", settings.otlp_endpoint)
    gate = authority.gate_of(settings)
    door, counter = authority.door_of(settings, gate)
    pool = await open_pool(
        settings.database_url, "progress_query", size=8, session=SESSION, kept_bytes=STATEMENT_BYTES
    )
    telemetry.watch_pool(pool_state(pool))
    standing = StandingMetrics(pool)
    standing.register()
    positions = Positions(pool)
    default = Calendar(settings.default_time_zone, settings.default_rollover_hour)
    limits = Limits(
        depth=settings.graphql_depth,
        cost=settings.graphql_cost,
        aliases=settings.graphql_aliases,
        tokens=settings.graphql_tokens,
        introspection=authority.as_wished(settings.introspection, settings),
    )
    cache, ahead = cache_of(settings, pool, default, _now)
    executor = Executor(
        pool,
        catalog_of(settings),
        default,
        positions,
        _now,
        limits=limits,
        timeout=settings.graphql_seconds,
        batch_seconds=settings.batch_seconds,
        cache=cache,
    )
    options = HttpOptions(
        graphiql=authority.as_wished(settings.graphiql, settings),
        max_body=settings.graphql_body_bytes,
        batch=settings.graphql_batch,
        origins=tuple(origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()),
    )
    graphql = GraphQLHttp(executor, options, documents_in(settings.graphql_documents), door)

    looker = Looker(pool, positions.hear)
    hub = Hub(looker, Composer(executor, looker), poll_seconds=settings.live_poll_ms / 1000)
    live = Live(_desk(settings, executor, hub, limits, ByToken(door, pool)), options.origins)

    def hear(text: str) -> None:
        changes = read_changes(text)
        if cache is not None:
            cache.hear(changes)
        positions.hear(changes.visible)
        hub.hear(changes)

    async def follow() -> None:
        await listen_to_text(settings.database_url, "progress_query", READ_MODELS_CHANGED, hear)

    async def ready() -> str | None:
        try:
            async with acquire(pool) as connection, asyncio.timeout(3):
                await migrate.check(connection)
                active = await connection.fetchval(
                    "SELECT count(*) FROM engine.versions WHERE status = 'active'"
                )
                await connection.fetchval(statement("progress_context.query", "position"))
        except (LogError, *UNAVAILABLE) as error:
            return str(error) or type(error).__name__
        return None if active else "the read models are not built yet"

    service = Service(
        "progress-query-service",
        graphql.routes(),
        tasks=[follow, hub.run, hub.poll, live.check, *([ahead.run] if ahead else [])],
        ready=ready,
        direct=graphql.endpoints(),
        at_hand=graphql.at_hand(),
        measure=standing.refresh,
        lasting=live,
        behind=authority.front_of(settings),
    )
    try:
        await service.serve(settings.host, settings.query_port, stop)
    finally:
        if isinstance(counter, RedisCounter):
            await counter.close()
        if cache is not None:
            await cache.close()
        pool.terminate()


def _now() -> datetime:
    return datetime.now(UTC)


def _desk(settings: Settings, executor: Executor, hub: Hub, limits: Limits, admission: Admission) -> Desk:
    return Desk(
        executor,
        Reader(executor, limits),
        hub,
        admission,
        most_operations=settings.live_operations,
        slow_seconds=settings.live_slow_seconds,
        init_seconds=settings.live_init_seconds,
    )
