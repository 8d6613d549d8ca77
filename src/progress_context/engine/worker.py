"""The realtime worker of a shard: follows the log and keeps the read models of its learners at the head."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import structlog

from progress_context import telemetry, tracing
from progress_context.engine import versions as books
from progress_context.engine.active import active
from progress_context.engine.leases import shard_lease
from progress_context.engine.maintain import Advance, Maintainer
from progress_context.engine.parking import POISON, park
from progress_context.errors import CheckpointLost, EngineError, LogUnavailable
from progress_context.log import read
from progress_context.log.database import Connection, Pool, acquire

log = structlog.get_logger(__name__)


class Worker:
    """Advances the active versions page by page; `wake` it when there is news, it also looks by itself.

    `on_advance` hears of every commit. `failure` says why it is not making progress, if it is not; being
    far behind is none.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        page_events: int,
        poll_seconds: float,
        shard: int = 0,
        shards: int = 1,
        on_advance: Callable[[Advance], None] = lambda advance: None,
    ) -> None:
        self._pool = pool
        self._page = page_events
        self._poll = poll_seconds
        self._shard = shard
        self._shards = shards
        self._on_advance = on_advance
        self._news = asyncio.Event()
        self._maintainer: Maintainer | None = None
        self._token: int | None = None
        self.position = 0
        self.head = 0
        self.failure: str | None = "starting"
        self.looked_at = 0.0

    def wake(self, _position: int = 0) -> None:
        """There may be something to do."""
        self._news.set()

    async def run(self, token: int | None = None) -> None:
        """Work until cancelled, under the lease with this token; a database that is away is waited for."""
        self._token = token
        self._maintainer = None
        pause = 0.1
        while True:
            try:
                await self.catch_up()
                pause = 0.1
            except CheckpointLost:  # versions were swapped, or another worker took over: look again
                self._maintainer = None
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._poll)
            except (LogUnavailable, EngineError, asyncpg.PostgresError) as error:
                self.failure = f"{type(error).__name__}: {error}"
                log.error("fold_failed", error=self.failure, position=self.position, shard=self._shard)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._news.wait()

    async def catch_up(self) -> None:
        """Fold everything the log holds now."""
        async with acquire(self._pool) as connection:
            self._news.clear()
            maintainer = await self._current(connection)
            self.head = await read.head(connection)
            while self.position < self.head:
                upto = min(self.head, self.position + self._page)
                await self._fold(connection, maintainer, upto)
                self._went_on()  # although whoever writes without a pause may keep us from ever being done
                if self.position == self.head:
                    self.head = await read.head(connection)
        self._went_on()

    def _went_on(self) -> None:
        self.failure = None
        self.looked_at = time.time()

    async def _fold(self, connection: Connection, maintainer: Maintainer, upto: int) -> None:
        """Fold the page up to `upto`; one that cannot be folded is halved, down to the event."""
        try:
            advance = await self._advance(connection, maintainer, upto)
        except POISON as error:
            if upto - self.position > 1:
                await self._fold(connection, maintainer, self.position + (upto - self.position) // 2)
                return
            if not await park(connection, upto, error):
                raise
            log.error("learner_parked", position=upto, reason=str(error), shard=self._shard)
            telemetry.PARKED.inc()
            return
        telemetry.FOLDED.inc(upto - self.position)
        self.position = upto
        self._on_advance(advance)

    async def _advance(self, connection: Connection, maintainer: Maintainer, upto: int) -> Advance:
        """Fold a page, measured, in a span that is linked to the traces of its events."""
        links: list[str] = []
        if tracing.enabled():
            links = await read.traceparents(connection, self.position, upto, tracing.MAX_LINKS)
        span = tracing.span("fold", links=links, shard=self._shard, after=self.position, position=upto)
        with telemetry.FOLD_SECONDS.time(), span as noted:
            advance = await maintainer.advance(connection, self.position, upto, self._token)
            noted.set(learners=len(advance.learners))
            if len(advance.learners) == 1:
                noted.set(learner_key=next(iter(advance.learners)))
            return advance

    async def _current(self, connection: Connection) -> Maintainer:
        if self._maintainer is None:
            standing = await active(connection)
            reached = await books.checkpoints(connection, books.realtime(standing.versions))
            if set(reached) != set(range(self._shards)):
                raise CheckpointLost("the read models are not there yet, or have another number of shards")
            self._maintainer = Maintainer(
                books.realtime(standing.versions),
                standing.catalog.policy,
                stored=standing.versions,
                shard=self._shard,
                shards=self._shards,
                lease=shard_lease(self._shard),
            )
            self.position = reached[self._shard]
        return self._maintainer
