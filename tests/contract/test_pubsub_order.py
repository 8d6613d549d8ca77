"""What a Pub/Sub promises of ordering keys, asked of ours and, as a second opinion, of Google's own emulator."""

from __future__ import annotations

import pytest
from google.pubsub_v1.types import ReceivedMessage

from pubsub_emulator.backends import Backend
from pubsub_emulator.client import Clients, texts

# A look without waiting tells at once that nothing is there; real consumers do not do it.
pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning")


async def test_a_key_keeps_its_order(clients: Clients) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    for n in range(0, 60, 2):
        for key in ("x", "y", "z"):
            await clients.publish(topic, f"{key}{n:02}", f"{key}{n + 1:02}", key=key)
    received: list[str] = []
    async with clients.stream(subscription, max_outstanding_messages=7) as stream:
        while len(received) < 180:
            got = await stream.receive(1)
            received += texts(got)
            stream.ack(*got)
    for key in "xyz":
        assert [text for text in received if text[0] == key] == [f"{key}{n:02}" for n in range(60)]


async def test_a_key_is_with_one_puller_at_a_time(clients: Clients) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    await clients.publish(topic, "a", "b", "c", key="k")
    first = await clients.pull(subscription, 1)
    assert texts(first) == ["a"]
    assert await clients.pull(subscription, wait=False) == []
    await clients.ack(subscription, *first)
    assert texts(await clients.pull(subscription)) == ["b", "c"]


async def test_all_of_a_key_comes_again_from_the_one_given_back(clients: Clients) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    await clients.publish(topic, "a", "b", "c", "d", key="k")
    received = await clients.pull(subscription)
    assert texts(received) == ["a", "b", "c", "d"]
    await clients.ack(subscription, received[0], received[2])
    await clients.lease(subscription, 0, received[1])
    assert texts(await clients.pull(subscription)) == ["b", "c", "d"]


async def test_all_of_a_key_comes_again_from_the_one_not_acknowledged(
    backend: Backend, clients: Clients
) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    await clients.publish(topic, "a", "b", "c", key="k")
    received = await clients.pull(subscription)
    await clients.ack(subscription, received[0])
    backend.advance(11)
    assert texts(await clients.pull_in_time(subscription)) == ["b", "c"]


async def test_a_key_moves_on_when_its_stream_is_gone(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    async with clients.stream(subscription, max_outstanding_messages=1) as stream:
        await clients.publish(topic, "a", "b", key="k")
        assert texts(await stream.receive(1)) == ["a"]
    async with clients.stream(subscription) as stream:
        backend.advance(11)
        assert texts(await stream.receive(2, seconds=20)) == ["a", "b"]


async def test_a_buried_message_lets_its_key_go_on(clients: Clients) -> None:
    dead_topic = clients.topic("dead")
    await clients.publisher.create_topic(name=dead_topic)
    policy = {"dead_letter_topic": dead_topic, "max_delivery_attempts": 5}
    topic, subscription = await clients.topic_with(dead_letter_policy=policy, enable_message_ordering=True)
    await clients.publish(topic, "bad", "good", key="k")
    followers: list[ReceivedMessage] = []
    for _ in range(5):
        first, *followers = await clients.pull_in_time(subscription)
        assert first.message.data == b"bad"
        await clients.lease(subscription, 0, first)
    assert texts(followers or await clients.pull_in_time(subscription)) == ["good"]
