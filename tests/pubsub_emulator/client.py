"""Google's asyncio clients on an emulator, and a StreamingPull that a test holds in its hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Self

import grpc.aio
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherAsyncClient, SchemaServiceAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.schema_service.transports import SchemaServiceGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport
from google.pubsub_v1.types import PubsubMessage, ReceivedMessage, StreamingPullRequest

OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))


class Clients:
    """A schema, a publisher and a subscriber client on one channel to `address`, working in one project."""

    def __init__(self, address: str, project: str) -> None:
        self.project = project
        self._channel = grpc.aio.insecure_channel(address, options=OPTIONS)
        self.schemas = SchemaServiceAsyncClient(
            transport=SchemaServiceGrpcAsyncIOTransport(channel=self._channel)
        )
        self.publisher = PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(channel=self._channel))
        self.subscriber = SubscriberAsyncClient(
            transport=SubscriberGrpcAsyncIOTransport(channel=self._channel)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    def schema(self, name: str) -> str:
        """The full name of a schema."""
        return f"projects/{self.project}/schemas/{name}"

    def topic(self, name: str) -> str:
        """The full name of a topic."""
        return f"projects/{self.project}/topics/{name}"

    def subscription(self, name: str) -> str:
        """The full name of a subscription."""
        return f"projects/{self.project}/subscriptions/{name}"

    async def topic_with(self, **options: Any) -> tuple[str, str]:
        """A new topic with one subscription that has these options."""
        topic, subscription = self.topic("events"), self.subscription("reader")
        await self.publisher.create_topic(name=topic)
        await self.subscriber.create_subscription({"name": subscription, "topic": topic, **options})
        return topic, subscription

    async def publish(self, topic: str, *data: str, key: str = "", **attributes: str) -> list[str]:
        """Publish messages with these data, in one request; gives their ids."""
        messages = [
            PubsubMessage(data=text.encode(), ordering_key=key, attributes=attributes) for text in data
        ]
        answer = await self.publisher.publish(topic=topic, messages=messages, retry=None)
        return list(answer.message_ids)

    async def pull(self, subscription: str, most: int = 100, *, wait: bool = True) -> list[ReceivedMessage]:
        """One Pull; without `wait` what is there now."""
        request = {"subscription": subscription, "max_messages": most, "return_immediately": not wait}
        answer = await self.subscriber.pull(request, retry=None, timeout=10)
        return list(answer.received_messages)

    async def pull_in_time(self, subscription: str, seconds: float = 20) -> list[ReceivedMessage]:
        """What comes within so many seconds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not (received := await self.pull(subscription)):
                pass
        return received

    async def ack(self, subscription: str, *received: ReceivedMessage) -> None:
        """Acknowledge."""
        await self.subscriber.acknowledge(subscription=subscription, ack_ids=[m.ack_id for m in received])

    async def lease(self, subscription: str, seconds: int, *received: ReceivedMessage) -> None:
        """ModifyAckDeadline; 0 gives the messages back."""
        await self.subscriber.modify_ack_deadline(
            subscription=subscription, ack_ids=[m.ack_id for m in received], ack_deadline_seconds=seconds
        )

    @contextlib.asynccontextmanager
    async def stream(self, subscription: str, **first: Any) -> AsyncGenerator[Held]:
        """A StreamingPull with these fields in its first request."""
        requests: asyncio.Queue[StreamingPullRequest | None] = asyncio.Queue()
        opening = {"subscription": subscription, "stream_ack_deadline_seconds": 10, **first}
        requests.put_nowait(StreamingPullRequest(opening))
        call: Any = await self.subscriber.streaming_pull(_until_none(requests))
        held = Held(call, requests)
        reading = asyncio.create_task(held.read())
        try:
            yield held
        finally:
            requests.put_nowait(None)
            call.cancel()
            await reading


class Held:
    """An open stream."""

    def __init__(self, call: Any, requests: asyncio.Queue[StreamingPullRequest | None]) -> None:
        self._call = call
        self._requests = requests
        self._responses: asyncio.Queue[list[ReceivedMessage] | BaseException] = asyncio.Queue()

    async def read(self) -> None:
        """Read until the stream ends."""
        try:
            async for response in self._call:
                self._responses.put_nowait(list(response.received_messages))
        except (GoogleAPICallError, asyncio.CancelledError) as error:
            self._responses.put_nowait(error)

    async def receive(self, count: int, *, seconds: float = 10) -> list[ReceivedMessage]:
        """At least `count` messages: those of the next responses. Raises TimeoutError, or the stream's error."""
        received: list[ReceivedMessage] = []
        async with asyncio.timeout(seconds):
            while len(received) < count:
                response = await self._responses.get()
                if isinstance(response, BaseException):
                    raise response
                received.extend(response)
        return received

    def ack(self, *received: ReceivedMessage) -> None:
        """Acknowledge over the stream."""
        self._requests.put_nowait(StreamingPullRequest(ack_ids=[m.ack_id for m in received]))

    def lease(self, seconds: int, *received: ReceivedMessage) -> None:
        """Change ack deadlines over the stream; 0 gives the messages back."""
        self._requests.put_nowait(
            StreamingPullRequest(
                modify_deadline_ack_ids=[m.ack_id for m in received],
                modify_deadline_seconds=[seconds] * len(received),
            )
        )


async def _until_none(
    requests: asyncio.Queue[StreamingPullRequest | None],
) -> AsyncIterator[StreamingPullRequest]:
    while (request := await requests.get()) is not None:
        yield request


def texts(received: list[ReceivedMessage]) -> list[str]:
    """The data of messages."""
    return [message.message.data.decode() for message in received]
