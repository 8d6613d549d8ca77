"""How services hear of each other here: by Google Pub/Sub if a project is named, else by PostgreSQL."""

from __future__ import annotations

import asyncio
from functools import partial

from progress_context.delivery.port import Incoming, Outgoing
from progress_context.delivery.postgres import LOG_APPENDED, Listener, Notifier, listen
from progress_context.delivery.relay import SESSION, Relay
from progress_context.delivery.relay_lease import RelayLease
from progress_context.errors import SettingsError
from progress_context.log.database import Pool, open_pool
from progress_context.services.server import name_of
from progress_context.settings import Settings, variable_of


async def outgoing_of(settings: Settings, pool: Pool) -> list[Outgoing]:
    """What is to be told of every commit. Raises SettingsError when Google cannot be asked at all."""
    notifier = Notifier(pool, LOG_APPENDED)
    if not settings.pubsub_project:
        return [notifier]
    require_pubsub()
    own = await open_pool(settings.database_url, "progress_command", size=3, session=SESSION)
    return [notifier, Published(settings, own)]


def incoming_of(settings: Settings) -> Incoming:
    """How the projection service hears of the log. Raises SettingsError as `outgoing_of` does."""
    if not settings.pubsub_project:
        return Listener(settings.database_url, "progress_projection", LOG_APPENDED)
    require_pubsub()
    from progress_context.delivery.consumer import PubsubConsumer
    from progress_context.delivery.pubsub import subscription_path

    return PubsubConsumer(subscription_path(settings.pubsub_project, settings.pubsub_prefix))


class Published:
    """The relay of this process, on connections of its own; it hears of what other processes append too."""

    def __init__(self, settings: Settings, pool: Pool) -> None:
        from progress_context.delivery.publisher import PubsubPublisher
        from progress_context.delivery.pubsub import topic_path

        topic = topic_path(settings.pubsub_project, settings.pubsub_prefix)
        self._pool = pool
        lease = RelayLease(pool, topic, holder=name_of(settings.host, settings.command_port))
        self._relay = Relay(pool, PubsubPublisher(topic), lease, poll_seconds=settings.poll_ms / 1_000)
        self._listen = partial(listen, settings.database_url, "progress_command", LOG_APPENDED)

    def announce(self, position: int) -> None:
        """`position` was committed by this process."""
        self._relay.announce(position)

    async def run(self) -> None:
        """Publish, or stand by, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._relay.run())
                tasks.create_task(self._listen(self._relay.announce))
        finally:
            self._pool.terminate()


def require_pubsub() -> None:
    """Raise SettingsError unless Google's library is installed and finds credentials."""
    try:
        from progress_context.delivery.pubsub import require_credentials
    except ImportError:
        raise SettingsError(
            f"{variable_of('pubsub_project')} is set, but Google's library is missing:"
            " install progress-context[pubsub]"
        ) from None
    require_credentials()
