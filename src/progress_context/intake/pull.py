"""Pulling messages from Pub/Sub: a stream per subscription, batch by batch into the log."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from typing import Any, NamedTuple

import structlog
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import StreamingPullRequest, StreamingPullResponse, SubscriberAsyncClient

from progress_context import telemetry
from progress_context.intake.leases import LEASE_SECONDS, Leases, Pauses
from progress_context.intake.messages import short_name
from progress_context.intake.pubsub_message import Message
from progress_context.intake.push import Take

SOURCES = ("learning-events", "algorithm-events", "vocabulary-events", "user-events")

MOST_MESSAGES, MOST_BYTES = 2_000, 32_000_000  # with us at a time; then Google sends no more
BATCH_MESSAGES, BATCH_BYTES = 1_000, 8_000_000  # in one append
HEARTBEAT_SECONDS = 25.0
LONGEST_PAUSE = 2.0  # seconds between two attempts to append
FINISH_SECONDS = 3.0  # for the batch under way when the service stops

log = structlog.get_logger(__name__)


class _Received(NamedTuple):
    ack_id: str
    message: Message


def subscriptions(project: str, prefix: str) -> list[str]:
    """The full names of the subscriptions to the topics of other contexts."""
    return [f"projects/{project}/subscriptions/{prefix}progress-command-{topic}" for topic in SOURCES]


class Puller:
    """Pulls several subscriptions, which any number of processes may share."""

    def __init__(
        self, client: SubscriberAsyncClient, subscriptions: Sequence[str], take: Take, pauses: Pauses
    ) -> None:
        self._client = client
        self._pulls = [Pull(client, subscription, take, pauses) for subscription in subscriptions]
        self._ended = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Pull until `stop` is set and what is under way is done; return when cancelled only."""
        async with asyncio.TaskGroup() as tasks:
            for pull in self._pulls:
                tasks.create_task(pull.run(stop))
        await self._client.transport.close()
        self._ended.set()
        await asyncio.Event().wait()

    async def ended(self) -> None:
        """Return once nothing is under way any more, after `stop`."""
        await self._ended.wait()


class Pull:
    """Pulls one subscription: a message is acknowledged once it is stored or a dead letter.

    One batch is under way at a time, so events are appended in the order of their delivery. A batch that
    cannot be appended now is kept, its leases extended, and tried again: giving it back would count as a
    failed delivery, and after some of these Google puts a message away.
    """

    def __init__(self, client: SubscriberAsyncClient, subscription: str, take: Take, pauses: Pauses) -> None:
        self._client = client
        self._subscription = subscription
        self._take = take
        self._pauses = pauses
        self._leases = Leases(client, subscription, pauses)
        self._received: deque[_Received] = deque()
        self._arrived = asyncio.Event()
        self._id = uuid.uuid4().hex

    async def run(self, stop: asyncio.Event) -> None:
        """Pull until `stop` is set; then finish the batch under way and give back the rest."""
        async with asyncio.TaskGroup() as tasks:
            receiving = tasks.create_task(self._receive())
            keeping = tasks.create_task(self._leases.run())
            working = tasks.create_task(self._work(stop))
            await stop.wait()
            receiving.cancel()
            self._arrived.set()
            await asyncio.wait({working}, timeout=FINISH_SECONDS)
            working.cancel()
            keeping.cancel()
        await self._leases.give_back()

    async def _receive(self) -> None:
        pauses = self._pauses()
        while True:
            try:
                stream = await self._client.streaming_pull(
                    requests=self._requests(), retry=None, timeout=None
                )
                async for response in stream:
                    self._keep(response)
                    pauses = self._pauses()
                code = "OK"
            except Exception as error:  # noqa: BLE001 - whatever ended the stream, another is opened
                code = _code_of(error)
                tell = log.info if code == "UNAVAILABLE" else log.warning  # Google ends every stream so
                tell("pull_ended", subscription=self._subscription, code=code, error=str(error))
            telemetry.PULL_RESTARTS.labels(short_name(self._subscription), code).inc()
            await asyncio.sleep(next(pauses))

    async def _requests(self) -> AsyncIterator[StreamingPullRequest]:
        yield StreamingPullRequest(
            subscription=self._subscription,
            stream_ack_deadline_seconds=LEASE_SECONDS,
            client_id=self._id,
            max_outstanding_messages=MOST_MESSAGES,
            max_outstanding_bytes=MOST_BYTES,
        )
        while True:  # a silent stream is taken for dead on the way
            await asyncio.sleep(HEARTBEAT_SECONDS)
            yield StreamingPullRequest()

    def _keep(self, response: StreamingPullResponse) -> None:
        sent: Sequence[Any] = StreamingPullResponse.pb(response).received_messages
        received = [_Received(each.ack_id, _message(each.message, self._subscription)) for each in sent]
        self._leases.hold(each.ack_id for each in received)
        self._received.extend(received)
        telemetry.INTAKE_RECEIVED.labels(short_name(self._subscription)).inc(len(received))
        self._arrived.set()

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            batch = self._next_batch()
            if not batch:
                self._arrived.clear()
                await self._arrived.wait()
            elif await self._is_taken([each.message for each in batch], stop):
                self._leases.acknowledge(each.ack_id for each in batch)

    def _next_batch(self) -> list[_Received]:
        batch: list[_Received] = []
        size = 0
        while self._received and len(batch) < BATCH_MESSAGES:
            size += len(self._received[0].message.data)
            if batch and size > BATCH_BYTES:
                break
            batch.append(self._received.popleft())
        return batch

    async def _is_taken(self, messages: Sequence[Message], stop: asyncio.Event) -> bool:
        """Try until it works, or until the service is to stop."""
        for pause in self._pauses():
            try:
                await self._take(messages)
            except Exception as error:  # noqa: BLE001 - nothing is lost as long as we try again
                log.warning("messages_wait", subscription=self._subscription, error=str(error))
            else:
                return True
            if stop.is_set():
                break
            await asyncio.sleep(min(pause, LONGEST_PAUSE))
        return False


def _message(message: Any, subscription: str) -> Message:
    return Message(
        channel="pull",
        subscription=subscription,
        message_id=message.message_id,
        data=message.data,
        attributes=dict(message.attributes),
        ordering_key=message.ordering_key,
        published_at=message.publish_time.ToDatetime(UTC),
    )


def _code_of(error: Exception) -> str:
    if isinstance(error, GoogleAPICallError) and error.grpc_status_code:
        return error.grpc_status_code.name
    return type(error).__name__
