"""The realtime worker: follows the log and keeps every realtime read model at its head."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import structlog

from progress_context import telemetry
from progress_context.engine import versions as books
from progress_context.engine.catalog import Catalog
from progress_context.engine.maintain import Advance, Maintainer
from progress_context.errors import CheckpointLost, LogUnavailable
from progress_context.log import read
from progress_context.log.database import Connection, Pool, acquire

log = structlog.get_logger(__name__)


class Worker:
    """Advances the active versions page by page; `wake` it when there is news, it also looks by itself.

    `on_advance` hears of every commit. `failure` says why it is not making progress, if it is not.
    """

    def __init__(
        self,
        pool: Pool,
        catalog: Catalog,
        *,
        page_events: int,
        poll_seconds: float,
        on_advance: Callable[[Advance], None] = lambda advance: None,
    ) -> None:
        self._pool = pool
        self._catalog = catalog
        self._page = page_events
        self._poll = poll_seconds
        self._on_advance = on_advance
        self._news = asyncio.Event()
        self._maintainer: Maintainer | None = None
        self.position = 0
        self.head = 0
        self.failure: str | None = "starting"
        self.looked_at = 0.0

    def wake(self, _position: int = 0) -> None:
        """There may be something to do."""
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled; a database that is away is waited for."""
        pause = 0.1
        while True:
            try:
                await self.catch_up()
                pause = 0.1
            except CheckpointLost:
                self._maintainer = None  # versions were swapped, or another worker is ahead: look again
            except (LogUnavailable, asyncpg.PostgresError) as error:
                self.failure = f"{type(error).__name__}: {error}"
                log.error("fold_failed", error=self.failure, position=self.position)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), timeout=self._poll)

    async def catch_up(self) -> None:
        """Fold everything the log holds now."""
        async with acquire(self._pool) as connection:
            self._news.clear()
            maintainer = await self._current(connection)
            self.head = await read.head(connection)
            while self.position < self.head:
                upto = min(self.head, self.position + self._page)
                await self._fold(connection, maintainer, upto)
                if self.position == self.head:
                    self.head = await read.head(connection)
        self.failure = None
        self.looked_at = time.time()
        self._measure()

    async def _fold(self, connection: Connection, maintainer: Maintainer, upto: int) -> None:
        with telemetry.FOLD_SECONDS.time():
            advance = await maintainer.advance(connection, self.position, upto)
        telemetry.FOLDED.inc(upto - self.position)
        telemetry.CHECKPOINT_MOVED.set_to_current_time()
        self.position = upto
        self._measure()
        self._on_advance(advance)

    async def _current(self, connection: Connection) -> Maintainer:
        if self._maintainer is None:
            active = await books.active_versions(connection, self._catalog)
            positions = await books.positions(connection, active.values())
            if len(positions) != 1 or len(active) != len(self._catalog.stored()):
                raise CheckpointLost("the active versions are not the ones this service was made for")
            self._maintainer = Maintainer(list(active.values()), self._catalog.policy)
            self.position = positions.pop()
        return self._maintainer

    def _measure(self) -> None:
        telemetry.CHECKPOINT_POSITION.set(self.position)
        telemetry.HEAD_POSITION.set(self.head)
        telemetry.LAG_EVENTS.set(max(0, self.head - self.position))
