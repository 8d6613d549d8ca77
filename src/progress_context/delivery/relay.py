"""The relay: publishes committed events in the order of the log, behind a checkpoint of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import structlog

from progress_context import telemetry, tracing
from progress_context.delivery.port import OutgoingEvent, Publisher, Refusal
from progress_context.delivery.relay_books import note
from progress_context.delivery.relay_lease import Held, RelayLease
from progress_context.errors import LogUnavailable, RelayLost
from progress_context.log.database import Pool, acquire, in_words, statement
from progress_context.log.read import head

PAGE_EVENTS, PAGE_BYTES = 4_000, 32_000_000
POLL_SECONDS = 0.25

# Plans are kept for the session; made for the small log of the first day, they must fit the large one too.
SESSION = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

log = structlog.get_logger(__name__)


class Relay:
    """Publishes the log to a topic, at least once; run it in as many processes as you like.

    The one that has the `lease` publishes, the others stand by. The checkpoint moves when everything up
    to it was accepted, or noted in `ops.unpublished`. `pool` is best opened with SESSION.
    """

    def __init__(
        self,
        pool: Pool,
        publisher: Publisher,
        lease: RelayLease,
        *,
        poll_seconds: float = POLL_SECONDS,
        page_events: int = PAGE_EVENTS,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._lease = lease
        self._poll = poll_seconds
        self._page_events = page_events
        self._page_bytes = page_bytes
        self._end = 0  # of the log, when it was looked at last
        self._news = asyncio.Event()

    def announce(self, _position: int) -> None:
        """There is something to publish. Never waits, never fails."""
        self._news.set()

    async def run(self) -> None:
        """Publish, or stand by, until cancelled; a database or broker that is away is waited for."""
        try:
            await self._publish_in_turn()
        finally:
            await self._publisher.close()

    async def _publish_in_turn(self) -> None:
        while True:
            try:
                if held := await self._lease.take():
                    log.info("relay_begins", topic=self._lease.topic, after=held.position, token=held.token)
                    await self.publish_while_held(held)
            except* (RelayLost, LogUnavailable, asyncpg.PostgresError) as errors:
                log.warning("relay_interrupted", topic=self._lease.topic, reasons=_in_words(errors))
            await asyncio.sleep(self._lease.pause)

    async def publish_while_held(self, held: Held) -> None:
        """Publish until the lease is lost, which raises RelayLost in an exception group."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._lease.keep(held))
                tasks.create_task(self._follow(held))
        finally:
            telemetry.RELAY_LAG.set(0)  # whoever publishes next knows
            await self._lease.release(held)

    async def _follow(self, held: Held) -> None:
        position = held.position
        page = await self._page(position)
        while True:
            if page:
                async with asyncio.TaskGroup() as tasks:
                    reading = tasks.create_task(self._page_after(page))
                    tasks.create_task(self._publish(held, position, page))
                position, page = page[-1].position, reading.result()
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll):
                        await self._news.wait()
                page = await self._page(position)

    async def _page_after(self, page: Sequence[OutgoingEvent]) -> list[OutgoingEvent]:
        """What follows, unless the page went to the end of the log."""
        return await self._page(page[-1].position) if page[-1].position < self._end else []

    async def _page(self, after: int) -> list[OutgoingEvent]:
        self._news.clear()
        async with acquire(self._pool) as connection:
            self._end = await head(connection)
            telemetry.RELAY_LAG.set(max(0, self._end - after))
            if self._end <= after:
                return []
            rows = await connection.fetch(
                statement(__package__, "page_to_publish"), after, self._page_events, self._page_bytes
            )
        return [OutgoingEvent(*row) for row in rows]

    async def _publish(self, held: Held, after: int, page: Sequence[OutgoingEvent]) -> None:
        links = tracing.traceparents_in(event.context for event in page)
        span = tracing.span("relay", kind="producer", links=links, after=after, position=page[-1].position)
        with telemetry.PUBLISH_SECONDS.time(), span as noted:
            refused = await self._publisher.publish(page)
            noted.set(events=len(page), refused=len(refused))
        if refused:
            await self._note(refused)
        await self._lease.move(held, after, page[-1].position)
        telemetry.PUBLISHED.inc(len(page) - len(refused))
        telemetry.RELAY_LAG.set(max(0, self._end - page[-1].position))

    async def _note(self, refused: Sequence[Refusal]) -> None:
        """Write down, before the checkpoint moves on, what nobody will be told of."""
        for event, reason in refused:
            log.error("event_refused", topic=self._lease.topic, position=event.position, reason=reason)
        telemetry.UNPUBLISHED.inc(len(refused))
        async with acquire(self._pool) as connection:
            await note(connection, self._lease.topic, refused)


def _in_words(errors: BaseExceptionGroup[BaseException]) -> list[str]:
    """What happened, without the groups around it."""
    words: list[str] = []
    for error in errors.exceptions:
        words += _in_words(error) if isinstance(error, BaseExceptionGroup) else [in_words(error)]
    return words
