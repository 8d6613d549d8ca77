"""progress-command-service: receives events, appends them to the log, tells that there is news."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from progress_context import logs, telemetry, tracing
from progress_context.errors import LogError, LogUnavailable, SettingsError
from progress_context.intake.http import Intake
from progress_context.intake.learning_day import learning_day_in, zone_of
from progress_context.intake.senders import Senders
from progress_context.log import migrate
from progress_context.log.append import Appender
from progress_context.log.database import (
    LETTING_GO,
    UNAVAILABLE,
    Pool,
    acquire,
    in_words,
    open_pool,
    pool_state,
)
from progress_context.log.event import NewEvent, Outcome
from progress_context.log.group_commit import GroupCommit
from progress_context.log.profiles import Calendar
from progress_context.services import authority
from progress_context.services.delivering import outgoing_of
from progress_context.services.receiving import Receiving
from progress_context.services.server import Service
from progress_context.settings import Settings, variable_of

APPEND_SECONDS = 15.0  # senders wait: a server that does not answer must become a 503


def appender(pool: Pool, settings: Settings) -> Appender:
    """The one way into the log, with this deployment's calendar for learners who name none."""
    return Appender(pool, learning_day_in, default_calendar(settings))


def default_calendar(settings: Settings) -> Calendar:
    """The calendar of learners who name none; raises SettingsError for a zone nobody knows."""
    try:
        zone_of(settings.default_time_zone)
    except ValueError as error:
        variable = variable_of("default_time_zone")
        raise SettingsError(f"{variable}={settings.default_time_zone!r}: {error}") from None
    return Calendar(settings.default_time_zone, settings.default_rollover_hour)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run the service until `stop` is set."""
    logs.configure("progress-command-service", settings.log_level)
    tracing.configure("progress-command-service", settings.otlp_endpoint)
    gate = authority.gate_of(settings)
    pool = await open_pool(
        settings.database_url, "progress_command", size=6, patience=APPEND_SECONDS, session=LETTING_GO
    )
    telemetry.watch_pool(pool_state(pool))
    outgoing = await outgoing_of(settings, pool)
    append = appender(pool, settings).append

    async def measured(events: Sequence[NewEvent]) -> list[Outcome]:
        telemetry.APPEND_GROUP_EVENTS.observe(len(events))
        links = tracing.traceparents_in(event.context for event in events)
        with telemetry.APPEND_SECONDS.time(), tracing.span("append", links=links, events=len(events)) as span:
            outcomes = await append(events)
            if tracing.enabled():
                span.set(position=max(outcome.position or 0 for outcome in outcomes))
            return outcomes

    def announce(position: int) -> None:
        for way in outgoing:
            way.announce(position)

    commits = GroupCommit(measured, waiting_events=settings.append_queue_events, on_appended=announce)
    telemetry.APPEND_LIMIT.set(settings.append_queue_events)
    telemetry.APPEND_WAITING.set_function(lambda: commits.events_waiting)
    intake = Intake(
        commits.submit,
        max_body=settings.max_body_bytes,
        max_events=settings.max_batch_events,
        max_skew=settings.max_clock_skew,
        senders=Senders(gate),
    )
    receiving = Receiving(settings, pool, commits.submit, stop)

    async def drain() -> None:
        await receiving.drained()
        await commits.drained()

    service = Service(
        "progress-command-service",
        [*intake.routes(), *receiving.routes],
        direct=intake.endpoints() | receiving.endpoints,
        tasks=[commits.run, *(way.run for way in outgoing), *receiving.tasks],
        ready=_Readiness(pool),
        drain=drain,
        behind=authority.front_of(settings),
    )
    try:
        await service.serve(settings.host, settings.command_port, stop)
    finally:
        pool.terminate()


class _Readiness:
    """Ready when the log can be written: right schema, sound counter row, database up and writable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self) -> str | None:
        try:
            async with acquire(self._pool) as connection, asyncio.timeout(3):
                await migrate.check(connection)
                if await connection.fetchval("SELECT pg_is_in_recovery()"):
                    raise LogUnavailable("the database is read-only")
        except (LogError, *UNAVAILABLE) as error:
            return in_words(error)
        return None
