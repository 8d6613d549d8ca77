"""Following the log through Google Pub/Sub: messages are news, acknowledged when they are durable."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from google.api_core.exceptions import GoogleAPICallError, ServiceUnavailable
from google.pubsub_v1 import (
    AcknowledgeRequest,
    ModifyAckDeadlineRequest,
    StreamingPullRequest,
    StreamingPullResponse,
    SubscriberAsyncClient,
)

from progress_context import telemetry
from progress_context.delivery.message import POSITION
from progress_context.delivery.outstanding import Outstanding
from progress_context.delivery.port import GetReach, OnNews
from progress_context.delivery.pubsub import code_of, is_refusal, pauses, subscriber_client
from progress_context.errors import LogUnavailable

LEASE_SECONDS = 30  # the ack deadline of the stream; extended while we wait
SETTLE_SECONDS = 0.05  # between two looks at what is durable
STRANGER_SECONDS = 30.0  # a position the log does not have by then is not one of our log
HEARTBEAT_SECONDS = 25.0
LETTING_GO_SECONDS = 2.0
CALL_SECONDS = 10.0
CALL_IDS = 1_000  # ack ids in one request
MOST_MESSAGES, MOST_BYTES = 10_000, 50_000_000  # outstanding; then Google sends no more

log = structlog.get_logger(__name__)


class PubsubConsumer:
    """Hears of the log from `subscription`, which any number of processes may share.

    A message is acknowledged when all realtime read models, whoever keeps them, have committed its
    position. Until then its lease is extended; when too many wait, no more are asked for. News of a
    position that the log does not have, from a database that was restored, say, are waited for
    `stranger_seconds` and then acknowledged with a warning: there is nothing to be done about them.
    """

    def __init__(
        self,
        subscription: str,
        *,
        lease_seconds: int = LEASE_SECONDS,
        settle_seconds: float = SETTLE_SECONDS,
        stranger_seconds: float = STRANGER_SECONDS,
        most_messages: int = MOST_MESSAGES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subscription = subscription
        self._lease_seconds = lease_seconds
        self._settle_seconds = settle_seconds
        self._stranger_seconds = stranger_seconds
        self._most_messages = most_messages
        self._clock = clock
        self._id = uuid.uuid4().hex
        self._outstanding = Outstanding(lease_seconds)
        self._arrived = asyncio.Event()
        self._durable = 0
        self._has_failed = False  # a call since the last pause
        self._client: SubscriberAsyncClient

    async def run(self, on_news: OnNews, reach: GetReach) -> None:
        """Call `on_news(position)` with the newest position of whatever arrives, until cancelled.

        Then what is not acknowledged goes back, for others to hear of at once.
        """
        self._client = subscriber_client()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pull(on_news))
                tasks.create_task(self._settle(reach))
        finally:
            await self._let_go()

    async def _pull(self, on_news: OnNews) -> None:
        waits = pauses()
        while True:
            try:
                stream = await self._client.streaming_pull(
                    requests=self._requests(), retry=None, timeout=None
                )
                async for response in stream:
                    self._take(response, on_news)
                    waits = pauses()
            except GoogleAPICallError as error:
                say = log.info if isinstance(error, ServiceUnavailable) else log.warning
                say("stream_ended", code=code_of(error), error=error.message)
            await asyncio.sleep(next(waits))

    async def _requests(self) -> AsyncIterator[StreamingPullRequest]:
        yield StreamingPullRequest(
            subscription=self._subscription,
            stream_ack_deadline_seconds=self._lease_seconds,
            client_id=self._id,
            max_outstanding_messages=self._most_messages,
            max_outstanding_bytes=MOST_BYTES,
        )
        while True:  # a silent stream is taken for dead on the way
            await asyncio.sleep(HEARTBEAT_SECONDS)
            yield StreamingPullRequest()

    def _take(self, response: StreamingPullResponse, on_news: OnNews) -> None:
        received: Sequence[Any] = StreamingPullResponse.pb(response).received_messages
        now = self._clock()
        newest = 0
        for each in received:
            position = _position_of(each.message)
            self._outstanding.add(each.ack_id, position, now)
            newest = max(newest, position)
        telemetry.MESSAGES_RECEIVED.inc(len(received))
        telemetry.MESSAGES_OUTSTANDING.set(len(self._outstanding))
        self._arrived.set()
        if newest:
            on_news(newest)

    async def _settle(self, reach: GetReach) -> None:
        waits = pauses()
        while True:
            await self._arrived.wait()
            self._has_failed = False
            with suppress(LogUnavailable):  # what we hold is kept until the database is back
                await self._settle_once(reach)
            await self._extend()
            telemetry.MESSAGES_OUTSTANDING.set(len(self._outstanding))
            if not self._outstanding:
                self._arrived.clear()
            if not self._has_failed:
                waits = pauses()
            await asyncio.sleep(next(waits) if self._has_failed else self._settle_seconds)

    async def _settle_once(self, reach: GetReach) -> None:
        if self._outstanding.newest > self._durable:
            self._durable, head = await reach()
            strangers = self._outstanding.strangers(head, self._clock() - self._stranger_seconds)
            if strangers:
                log.warning("news_of_unknown_positions", messages=len(strangers), head=head)
                await self._acknowledge(strangers)
        await self._acknowledge(self._outstanding.settled(self._durable))

    async def _acknowledge(self, ack_ids: Sequence[str]) -> None:
        for some in _pieces(ack_ids):
            request = AcknowledgeRequest(subscription=self._subscription, ack_ids=some)
            if await self._is_done(self._client.acknowledge(request, retry=None, timeout=CALL_SECONDS)):
                self._outstanding.drop(some)
                telemetry.MESSAGES_ACKNOWLEDGED.inc(len(some))

    async def _extend(self) -> None:
        for some in _pieces(self._outstanding.expiring(self._clock())):
            if await self._is_done(self._set_deadline(some, self._lease_seconds)):
                self._outstanding.extend(some, self._clock())

    async def _let_go(self) -> None:
        """Others are to hear of what we leave; if that fails, they do when our leases end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LETTING_GO_SECONDS):
                for some in _pieces(self._outstanding.all()):
                    await self._is_done(self._set_deadline(some, 0))
                await self._client.transport.close()
        self._outstanding.drop(self._outstanding.all())

    def _set_deadline(self, ack_ids: Sequence[str], seconds: int) -> Coroutine[Any, Any, None]:
        request = ModifyAckDeadlineRequest(
            subscription=self._subscription, ack_ids=ack_ids, ack_deadline_seconds=seconds
        )
        return self._client.modify_ack_deadline(request, retry=None, timeout=CALL_SECONDS)

    async def _is_done(self, call: Coroutine[Any, Any, None]) -> bool:
        """Whether there is nothing more to be done: it worked, or it never will. Else try again later."""
        try:
            await call
        except GoogleAPICallError as error:
            log.warning("messages_not_settled", code=code_of(error), error=error.message)
            if not is_refusal(error):
                self._has_failed = True
                return False
        return True


def _position_of(message: Any) -> int:
    """0, which is always durable, for a message that is none of our relay's."""
    text = message.attributes.get(POSITION, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _pieces(ack_ids: Sequence[str]) -> list[Sequence[str]]:
    return [ack_ids[start : start + CALL_IDS] for start in range(0, len(ack_ids), CALL_IDS)]
