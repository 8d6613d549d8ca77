"""google.pubsub.v1.Subscriber/StreamingPull."""

from __future__ import annotations

import asyncio
from typing import Any

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.broker import Broker
from pubsub_emulator.delivery import Entry, Stream
from pubsub_emulator.messages import MEGABYTE, check_ack_ids, message_class
from pubsub_emulator.received import show
from pubsub_emulator.refusal import denied, invalid, not_found, unavailable
from pubsub_emulator.subscriber import check_deadline

MOST_MESSAGES = 500  # in one response
MOST_BYTES = 2 * MEGABYTE

StreamingPullRequest = message_class("StreamingPullRequest")
StreamingPullResponse = message_class("StreamingPullResponse")


class StreamingPull:
    """One subscriber's stream: its requests change leases, its responses bring messages."""

    def __init__(self, broker: Broker, context: Any) -> None:
        self._broker = broker
        self._faults = broker.faults
        self._context = context
        self._began = broker.clock.now()

    async def run(self) -> None:
        """Serve until the client goes. Raises Refused, among others UNAVAILABLE after a stream's usual life."""
        first = await self._read()
        if first is None:
            return
        if self._faults.denied:
            raise denied()
        backlog = self._broker.subscription(first.subscription)
        check_deadline(first.stream_ack_deadline_seconds, least=10)
        stream = Stream(
            first.stream_ack_deadline_seconds,
            first.max_outstanding_messages,
            first.max_outstanding_bytes,
            self._faults.key_window,
        )
        backlog.waiters.add(stream.news)
        self._handle(first, backlog, stream)
        try:
            await self._both(backlog, stream)
        finally:
            backlog.close(stream)

    async def _both(self, backlog: Backlog, stream: Stream) -> None:
        """Read and write at once, until either ends."""
        tasks = [
            asyncio.create_task(self._listen(backlog, stream)),
            asyncio.create_task(self._deliver(backlog, stream)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> Any:
        """The next request; none when the client has no more."""
        request = await self._context.read()
        return request if isinstance(request, StreamingPullRequest) else None

    async def _listen(self, backlog: Backlog, stream: Stream) -> None:
        while (request := await self._read()) is not None:
            await self._faults.thaw()
            if request.subscription:
                raise invalid("The subscription is named in the first request of a stream only.")
            self._handle(request, backlog, stream)

    def _handle(self, request: Any, backlog: Backlog, stream: Stream) -> None:
        if request.stream_ack_deadline_seconds:
            check_deadline(request.stream_ack_deadline_seconds, least=10)
            stream.seconds = request.stream_ack_deadline_seconds
        if request.ack_ids:
            check_ack_ids(request.ack_ids)
            backlog.acknowledge(request.ack_ids)
        by_seconds: dict[int, list[str]] = {}
        for ack_id, seconds in zip(
            request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=True
        ):
            check_deadline(seconds)
            by_seconds.setdefault(seconds, []).append(ack_id)
        for seconds, ack_ids in by_seconds.items():
            backlog.modify(ack_ids, seconds)

    async def _deliver(self, backlog: Backlog, stream: Stream) -> None:
        name = backlog.config.name
        while True:
            stream.news.clear()
            if self._broker.subscriptions.get(name) is not backlog:
                raise not_found(name)
            taken = self._take(backlog, stream)
            if taken:
                await self._send(backlog, taken)
            else:
                await self._wait(stream)

    def _take(self, backlog: Backlog, stream: Stream) -> list[Entry]:
        if self._faults.freeze or backlog.config.push_config.push_endpoint:
            return []
        count = min(MOST_MESSAGES, stream.max_messages - stream.messages)
        size = min(MOST_BYTES, stream.max_bytes - stream.bytes)
        return backlog.take(stream, count, size, stream.seconds)

    async def _send(self, backlog: Backlog, taken: list[Entry]) -> None:
        await self._faults.hold()
        if self._faults.happens(self._faults.stream_unavailable):
            raise unavailable()
        response = StreamingPullResponse()
        response.subscription_properties.message_ordering_enabled = backlog.config.enable_message_ordering
        show(taken, response.received_messages, backlog, self._faults)
        await self._context.write(response)

    async def _wait(self, stream: Stream) -> None:
        """Wait for news; wake now and then for the end of the stream's life and switches that were turned."""
        if self._broker.clock.now() >= self._began + self._faults.stream_seconds:
            raise unavailable()
        try:
            async with asyncio.timeout(0.02 if self._faults.freeze else 0.5):
                await stream.news.wait()
        except TimeoutError:
            pass
