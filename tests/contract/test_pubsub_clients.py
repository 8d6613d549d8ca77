"""Google's high-level clients, with their threads and batches, on each emulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.publisher.exceptions import PublishToPausedOrderingKeyException
from google.cloud.pubsub_v1.subscriber.message import Message
from google.cloud.pubsub_v1.types import PublisherOptions

from pubsub_emulator.backends import Backend
from pubsub_emulator.client import Clients, texts
from waiting import until


@pytest.fixture
def publisher(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublisherClient]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", backend.address)
    client = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
    yield client
    client.stop()
    client.transport.close()


@pytest.fixture
def subscriber(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[SubscriberClient]:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", backend.address)
    client = SubscriberClient()
    yield client
    client.close()


async def finished(future: Future[Any]) -> Any:
    """The outcome of a thread's future."""
    return await asyncio.wait_for(asyncio.wrap_future(future), 20)


async def test_messages_go_through_in_the_order_of_their_keys(
    clients: Clients, publisher: PublisherClient, subscriber: SubscriberClient
) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    received: list[str] = []

    def take(message: Message) -> None:
        received.append(f"{message.ordering_key}{message.data.decode()}")
        message.ack()

    pulling = subscriber.subscribe(subscription, take)
    for n in range(100):
        for key in ("x", "y", "z"):
            publisher.publish(topic, f"{n:03}".encode(), ordering_key=key)
    try:
        await until(lambda: _reached(received, 300), seconds=30)
    finally:
        pulling.cancel()
        await asyncio.to_thread(pulling.result)
    for key in ("x", "y", "z"):
        assert [text for text in received if text[0] == key] == [f"{key}{n:03}" for n in range(100)]


async def _reached(received: list[str], count: int) -> bool:
    return len(received) >= count


@pytest.mark.parametrize("backend", ["ours"], indirect=True)
async def test_a_refused_key_is_paused_until_it_is_resumed(
    clients: Clients, publisher: PublisherClient, backend: Backend
) -> None:
    assert backend.control
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    backend.control.set(refused_keys=["k"])
    with pytest.raises(exceptions.InvalidArgument):
        await finished(publisher.publish(topic, b"a", ordering_key="k"))
    backend.control.reset()
    with pytest.raises(PublishToPausedOrderingKeyException):
        await finished(publisher.publish(topic, b"b", ordering_key="k"))
    await finished(publisher.publish(topic, b"other", ordering_key="l"))
    publisher.resume_publish(topic, "k")
    await finished(publisher.publish(topic, b"c", ordering_key="k"))
    assert sorted(texts(await clients.pull(subscription))) == ["c", "other"]


@pytest.mark.parametrize("backend", ["ours"], indirect=True)
async def test_a_publisher_repeats_what_was_unavailable(
    clients: Clients, publisher: PublisherClient, backend: Backend
) -> None:
    assert backend.control
    topic, subscription = await clients.topic_with()
    backend.control.set(publish_unavailable=0.5, seed=1)
    for n in range(5):
        await finished(publisher.publish(topic, str(n).encode()))
    backend.control.reset()
    assert sorted(texts(await clients.pull(subscription))) == ["0", "1", "2", "3", "4"]
