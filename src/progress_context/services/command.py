"""progress-command-service: receives events, appends them to the log, tells that there is news."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from progress_context import telemetry
from progress_context.delivery.postgres import LOG_APPENDED, Notifier
from progress_context.errors import LogError, LogUnavailable, SettingsError
from progress_context.intake.http import Intake
from progress_context.intake.learning_day import learning_day_in, zone_of
from progress_context.log import migrate
from progress_context.log.append import Appender
from progress_context.log.database import UNAVAILABLE, Pool, acquire, in_words, open_pool
from progress_context.log.event import NewEvent, Outcome
from progress_context.log.group_commit import GroupCommit
from progress_context.log.profiles import Calendar
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
    telemetry.configure_logging("progress-command-service")
    pool = await open_pool(settings.database_url, "progress_command", size=6, patience=APPEND_SECONDS)
    notifier = Notifier(pool, LOG_APPENDED)
    append = appender(pool, settings).append

    async def measured(events: Sequence[NewEvent]) -> list[Outcome]:
        telemetry.APPEND_GROUP_EVENTS.observe(len(events))
        with telemetry.APPEND_SECONDS.time():
            return await append(events)

    commits = GroupCommit(
        measured, waiting_events=settings.append_queue_events, on_appended=notifier.announce
    )
    telemetry.APPEND_WAITING.set_function(lambda: commits.events_waiting)
    intake = Intake(
        commits.submit,
        max_body=settings.max_body_bytes,
        max_events=settings.max_batch_events,
        max_skew=settings.max_clock_skew,
    )
    service = Service(
        "progress-command-service",
        intake.routes(),
        direct=intake.endpoints(),
        tasks=[commits.run, notifier.run],
        ready=_Readiness(pool),
        drain=commits.drained,
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
