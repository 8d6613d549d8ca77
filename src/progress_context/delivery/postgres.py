"""Delivery on one machine: PostgreSQL NOTIFY, sent after the commit and coalesced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from progress_context.delivery.changes import Changes
from progress_context.delivery.port import GetReach, OnNews
from progress_context.errors import LogUnavailable
from progress_context.log.database import UNAVAILABLE, Pool, Role, acquire, connect

LOG_APPENDED = "progress_log_appended"
READ_MODELS_CHANGED = "progress_read_models_changed"

PAUSE = 0.005  # seconds between two notifications: what happens meanwhile shares the next one

# News need not survive a crash of the server, since listeners also poll: do not wait for the disk.
NOTIFY = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"

log = structlog.get_logger(__name__)


class Notifier:
    """Tells a channel the newest position; positions that come while one is being sent share the next."""

    def __init__(self, pool: Pool, channel: str) -> None:
        self._pool = pool
        self._channel = channel
        self._newest = 0
        self._changes: Changes | None = None
        self._news = asyncio.Event()

    def announce(self, position: int) -> None:
        """Send `position` soon; never waits, never fails."""
        self._newest = max(self._newest, position)
        self._news.set()

    def announce_changes(self, changes: Changes) -> None:
        """Send who changed soon, together with whoever else changes until then; never waits, never fails."""
        self._changes = changes if self._changes is None else self._changes.and_then(changes)
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled. News that cannot be sent are dropped: listeners also poll."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                async with acquire(self._pool) as connection:
                    await connection.execute(NOTIFY, self._channel, self._take())
            except LogUnavailable as error:
                log.warning("notification_dropped", channel=self._channel, error=str(error))
            await asyncio.sleep(PAUSE)

    def _take(self) -> str:
        changes, self._changes = self._changes, None
        return str(self._newest) if changes is None else changes.text()


class Listener:
    """Hears a channel; the poll of whoever listens does the rest."""

    def __init__(self, url: str, role: Role, channel: str) -> None:
        self._url = url
        self._role: Role = role
        self._channel = channel

    async def run(self, on_news: OnNews, _reach: GetReach) -> None:
        """Call `on_news(position)` for every notification until cancelled; reconnects by itself."""
        await listen(self._url, self._role, self._channel, on_news)


async def listen(url: str, role: Role, channel: str, on_news: Callable[[int], None]) -> None:
    """Call `on_news(position)` for every notification until cancelled; reconnects by itself.

    After each connection `on_news(0)` is called once, since news may have been missed.
    """
    await listen_to_text(url, role, channel, lambda text: on_news(int(text)))


async def listen_to_text(url: str, role: Role, channel: str, on_text: Callable[[str], None]) -> None:
    """As `listen`, for notifications that say more than a position; after each connection comes "0"."""
    while True:
        try:
            await _listen_once(url, role, channel, on_text)
        except (LogUnavailable, *UNAVAILABLE) as error:
            log.warning("listener_disconnected", channel=channel, error=str(error))
        await asyncio.sleep(0.5)


async def _listen_once(url: str, role: Role, channel: str, on_text: Callable[[str], None]) -> None:
    connection = await connect(url, role)
    closed = asyncio.Event()

    def receive(_connection: object, _pid: int, _channel: str, payload: object) -> None:
        on_text(str(payload))

    connection.add_termination_listener(lambda _: closed.set())
    try:
        await connection.add_listener(channel, receive)
        on_text("0")
        while not closed.is_set():
            try:
                async with asyncio.timeout(15):
                    await closed.wait()
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=10)  # notices a half-open connection
    finally:
        await _close(connection)


async def _close(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    try:
        await connection.close(timeout=2)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
