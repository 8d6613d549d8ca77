"""Publishing to Google Pub/Sub: large batches, several under way, one learner's events always in order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import structlog
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherAsyncClient, PublishRequest

from progress_context import telemetry
from progress_context.delivery.message import to_message
from progress_context.delivery.port import OutgoingEvent, Refusal
from progress_context.delivery.pubsub import code_of, is_refusal, pauses, publisher_client

BATCH_MESSAGES = 1_000  # Google's limit
BATCH_BYTES = 9_000_000  # Google's limit is 10 MB with everything around
MESSAGE_OVERHEAD = 8  # bytes that frame a message in its request
LANES = 4  # requests under way at once
LANE_EVENTS = 250  # fewer are not worth another request
CALL_SECONDS = 30.0

Request = PublishRequest.pb()

log = structlog.get_logger(__name__)


class Item(NamedTuple):
    """An event and its message."""

    event: OutgoingEvent
    message: Any


class PubsubPublisher:
    """Publishes to `topic`; the `Publisher` of the relay. `close` it in the end."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._client: PublisherAsyncClient | None = None

    async def publish(self, events: Sequence[OutgoingEvent]) -> list[Refusal]:
        """Return once each event was accepted or refused; tries for ever while Pub/Sub is away.

        Events of one learner are never in two requests at once. A batch that is refused is halved down
        to the events that are to blame.
        """
        async with asyncio.TaskGroup() as tasks:
            lanes = [tasks.create_task(self._publish_in_turn(lane)) for lane in lanes_of(events)]
        return [refusal for lane in lanes for refusal in lane.result()]

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            await self._client.transport.close()

    async def _publish_in_turn(self, events: Sequence[OutgoingEvent]) -> list[Refusal]:
        refused: list[Refusal] = []
        for batch in batches_of(events):
            refused += await self._publish_batch(batch)
        return refused

    async def _publish_batch(self, batch: Sequence[Item]) -> list[Refusal]:
        error = await self._refusal_of(batch)
        if error is None:
            return []
        if len(batch) == 1:
            return [Refusal(batch[0].event, error.message or code_of(error))]
        half = len(batch) // 2
        return await self._publish_batch(batch[:half]) + await self._publish_batch(batch[half:])

    async def _refusal_of(self, batch: Sequence[Item]) -> GoogleAPICallError | None:
        """Why Google will never take this batch; `None` when it was accepted."""
        request = PublishRequest.wrap(Request(topic=self._topic, messages=[item.message for item in batch]))
        for pause in pauses():
            try:
                await self._connected().publish(request=request, retry=None, timeout=CALL_SECONDS)
            except GoogleAPICallError as error:
                telemetry.PUBLISH_ERRORS.labels(code_of(error)).inc()
                if is_refusal(error):
                    return error
                log.warning("publish_failed", topic=self._topic, code=code_of(error), error=error.message)
            else:
                return None
            await asyncio.sleep(pause)
        raise AssertionError("there is always another pause")

    def _connected(self) -> PublisherAsyncClient:
        if self._client is None:
            self._client = publisher_client()
        return self._client


def lanes_of(events: Sequence[OutgoingEvent]) -> list[Sequence[OutgoingEvent]]:
    """Events dealt out by learner: a learner's are in one lane, in order."""
    count = min(LANES, 1 + len(events) // LANE_EVENTS)
    if count == 1:
        return [events]
    lanes: list[list[OutgoingEvent]] = [[] for _ in range(count)]
    for event in events:
        lanes[(event.learner_key or 0) % count].append(event)
    return [lane for lane in lanes if lane]


def batches_of(events: Iterable[OutgoingEvent]) -> Iterator[list[Item]]:
    """Messages in requests of at most 1,000 and 9 MB; one that is larger is alone."""
    batch: list[Item] = []
    bytes_ = 0
    for event in events:
        message = to_message(event)
        size = message.ByteSize() + MESSAGE_OVERHEAD
        if len(batch) == BATCH_MESSAGES or (batch and bytes_ + size > BATCH_BYTES):
            yield batch
            batch, bytes_ = [], 0
        batch.append(Item(event, message))
        bytes_ += size
    if batch:
        yield batch
