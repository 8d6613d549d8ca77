"""How the command service takes messages: pushed by Pub/Sub, pulled from it, dead letters beside the log."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import structlog

from progress_context import telemetry
from progress_context.errors import LogUnavailable, SettingsError
from progress_context.intake.messages import MessageIntake, buried_in
from progress_context.intake.pubsub_message import Limits
from progress_context.intake.push import Push, PushedBy, Take
from progress_context.log import dead_letters
from progress_context.log.database import Pool, acquire
from progress_context.log.group_commit import Submit
from progress_context.services.delivering import require_pubsub
from progress_context.settings import Settings, variable_of
from progress_context.tokens import KeySet, Verifier

GOOGLE = "https://accounts.google.com"
PUSH_ALGORITHMS = ("RS256", "ES256")
COUNT_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Receiving:
    """The message side of the command service. `stop` ends pulling; `drained` waits for that end.

    Raises SettingsError for settings that contradict each other.
    """

    def __init__(self, settings: Settings, pool: Pool, submit: Submit, stop: asyncio.Event) -> None:
        take = MessageIntake(submit, buried_in(pool), limits_of(settings)).take
        push = Push(take, pushed_by(settings))
        self.routes = push.routes()
        self.endpoints = push.endpoints()
        self.tasks: list[Callable[[], Coroutine[Any, Any, None]]] = [partial(_count_letters, pool)]
        self.drained: Callable[[], Awaitable[None]] = _nothing_to_drain
        if settings.pull:
            pulled = _Pulled(settings, take, stop)
            self.tasks.append(pulled.run)
            self.drained = pulled.ended


class _Pulled:
    """The pulling side, whose client must be made on the loop that it works on."""

    def __init__(self, settings: Settings, take: Take, stop: asyncio.Event) -> None:
        if not settings.pubsub_project:
            raise SettingsError(
                f"{variable_of('pull')} is set, but {variable_of('pubsub_project')} does not say from where"
            )
        require_pubsub()
        from progress_context.delivery.pubsub import pauses, subscriber_client
        from progress_context.intake.pull import Puller, subscriptions

        names = subscriptions(settings.pubsub_project, settings.pubsub_prefix)
        puller = Puller(subscriber_client(), names, take, pauses)
        self.run = partial(puller.run, stop)
        self.ended = puller.ended


def limits_of(settings: Settings) -> Limits:
    """What one message may hold: the same as one request."""
    return Limits(settings.max_body_bytes, settings.max_batch_events, settings.max_clock_skew)


def pushed_by(settings: Settings) -> PushedBy | None:
    """Who may push; `None` when nobody is named. Raises SettingsError when only half is said."""
    wanted = {name: getattr(settings, name) for name in ("push_audience", "push_service_account")}
    missing = [variable_of(name) for name, value in wanted.items() if not value]
    if len(missing) == len(wanted):
        return None
    if missing:
        raise SettingsError(f"{missing[0]} is not set, so nobody could be told from anybody else who pushes")
    issuers = {settings.push_issuer}
    if settings.push_issuer == GOOGLE:
        issuers.add(GOOGLE.removeprefix("https://"))  # older tokens name it so
    verifier = Verifier(
        audience=settings.push_audience,
        issuers=issuers,
        keys=KeySet(settings.push_jwks_url),
        algorithms=PUSH_ALGORITHMS,
    )
    return PushedBy(verifier, settings.push_service_account)


async def _count_letters(pool: Pool) -> None:
    """Keep the number of dead letters that wait among the metrics."""
    while True:
        try:
            async with acquire(pool) as connection:
                telemetry.DEAD_LETTERS.set(await dead_letters.count_waiting(connection))
        except LogUnavailable as error:
            log.debug("dead_letters_not_counted", error=str(error))
        await asyncio.sleep(COUNT_SECONDS)


async def _nothing_to_drain() -> None:
    return
