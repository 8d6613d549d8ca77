"""What a Pub/Sub promises of messages, asked of ours and, as a second opinion, of Google's own emulator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from google.api_core import exceptions

from pubsub_emulator.backends import Backend
from pubsub_emulator.client import Clients, texts

# A look without waiting tells at once that nothing is there; real consumers do not do it.
pytestmark = pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning")


async def test_what_is_acknowledged_does_not_come_again(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    ids = await clients.publish(topic, "a", "b", kind="test")
    received = await clients.pull(subscription)
    assert sorted(texts(received)) == ["a", "b"]
    assert {m.message.message_id for m in received} == set(ids)
    assert dict(received[0].message.attributes) == {"kind": "test"}
    await clients.ack(subscription, *received)
    backend.advance(11)
    assert await clients.pull(subscription, wait=False) == []


async def test_a_pull_waits_for_the_first_message(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    pulling = asyncio.create_task(clients.pull(subscription))
    await clients.publish(topic, "a")
    assert texts(await pulling) == ["a"]


async def test_each_subscription_gets_all_that_is_published_after_it_began(clients: Clients) -> None:
    topic, first = await clients.topic_with()
    await clients.publish(topic, "a")
    second = clients.subscription("second")
    await clients.subscriber.create_subscription({"name": second, "topic": topic})
    await clients.publish(topic, "b")
    assert sorted(texts([*await clients.pull(first), *await clients.pull(first, wait=False)])) == ["a", "b"]
    assert texts(await clients.pull(second)) == ["b"]


async def test_what_is_not_acknowledged_in_time_comes_again(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with(ack_deadline_seconds=10)
    await clients.publish(topic, "a")
    (first,) = await clients.pull(subscription)
    assert await clients.pull(subscription, wait=False) == []
    backend.advance(11)
    (second,) = await clients.pull_in_time(subscription)
    assert second.message.message_id == first.message.message_id
    assert second.ack_id != first.ack_id


async def test_a_lease_can_be_extended(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with(ack_deadline_seconds=10)
    await clients.publish(topic, "a")
    (first,) = await clients.pull(subscription)
    await clients.lease(subscription, 20, first)
    backend.advance(15)
    assert await clients.pull(subscription, wait=False) == []
    await clients.ack(subscription, first)
    backend.advance(100)
    assert await clients.pull(subscription, wait=False) == []


async def test_what_is_given_back_comes_again_at_once(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "a")
    (first,) = await clients.pull(subscription)
    await clients.lease(subscription, 0, first)
    assert texts(await clients.pull(subscription)) == ["a"]


async def test_an_outdated_ack_id_is_passed_over(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "a")
    (first,) = await clients.pull(subscription)
    await clients.lease(subscription, 0, first)
    (second,) = await clients.pull(subscription)
    await clients.ack(subscription, first)
    await clients.lease(subscription, 0, second)
    assert texts(await clients.pull(subscription)) == ["a"]


async def test_a_stream_brings_messages_and_takes_acknowledgements(
    backend: Backend, clients: Clients
) -> None:
    topic, subscription = await clients.topic_with()
    async with clients.stream(subscription) as stream:
        await clients.publish(topic, "a", "b")
        received = await stream.receive(2)
        stream.ack(received[0])
        stream.lease(0, received[1])
        (again,) = await stream.receive(1)
        assert again.message.message_id == received[1].message.message_id
        await clients.ack(subscription, again)
    backend.advance(11)
    assert await clients.pull(subscription, wait=False) == []


async def test_two_streams_share_a_subscription(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    limit = {"max_outstanding_messages": 5}
    async with clients.stream(subscription, **limit) as one, clients.stream(subscription, **limit) as other:
        await clients.publish(topic, *(str(n) for n in range(10)))
        received = [*await one.receive(5), *await other.receive(5)]
        assert sorted(texts(received)) == [str(n) for n in range(10)]


async def test_no_more_messages_are_under_way_than_a_stream_allows(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, *(str(n) for n in range(10)))
    async with clients.stream(subscription, max_outstanding_messages=3) as stream:
        received = await stream.receive(3)
        assert len(received) == 3
        with pytest.raises(TimeoutError):
            await stream.receive(1, seconds=0.5)
    async with clients.stream(subscription, max_outstanding_messages=3) as stream:
        received = await stream.receive(3)
        stream.ack(*received[:2])
        assert len(await stream.receive(2)) == 2


async def test_no_more_bytes_are_under_way_than_a_stream_allows(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, *("x" * 1000 for _ in range(10)))
    async with clients.stream(subscription, max_outstanding_bytes=2500) as stream:
        received = await stream.receive(2)
        assert len(received) in (2, 3)
        with pytest.raises(TimeoutError):
            await stream.receive(1, seconds=0.5)


async def test_attempts_are_counted_and_then_the_message_is_buried(clients: Clients) -> None:
    dead_topic, dead = clients.topic("dead"), clients.subscription("dead")
    await clients.publisher.create_topic(name=dead_topic)
    await clients.subscriber.create_subscription({"name": dead, "topic": dead_topic})
    policy = {"dead_letter_topic": dead_topic, "max_delivery_attempts": 5}
    topic, subscription = await clients.topic_with(dead_letter_policy=policy)
    await clients.publish(topic, "bad", kind="test")
    for attempt in range(1, 6):
        (received,) = await clients.pull_in_time(subscription)
        assert received.delivery_attempt == attempt
        await clients.lease(subscription, 0, received)
    (buried,) = await clients.pull_in_time(dead)
    assert buried.message.data == b"bad"
    attributes = dict(buried.message.attributes)
    assert attributes["kind"] == "test"
    assert attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    assert attributes["CloudPubSubDeadLetterSourceSubscription"] == "reader"
    assert attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] == clients.project
    assert "CloudPubSubDeadLetterSourceTopicPublishTime" in attributes
    assert await clients.pull(subscription, wait=False) == []


async def test_a_retry_policy_puts_redelivery_off(backend: Backend, clients: Clients) -> None:
    policy = {"minimum_backoff": timedelta(seconds=2), "maximum_backoff": timedelta(seconds=60)}
    topic, subscription = await clients.topic_with(retry_policy=policy)
    await clients.publish(topic, "a")
    for _ in range(2):
        (received,) = await clients.pull_in_time(subscription)
        await clients.lease(subscription, 0, received)
        assert await clients.pull(subscription, wait=False) == []
        backend.advance(4.1)


FILTERS = [
    ('attributes.kind = "x"', "xx"),
    ('attributes.kind != "x"', "y", "-"),
    ("attributes:kind", "xx", "y"),
    ("NOT attributes:kind", "-"),
    ('hasPrefix(attributes.lang, "en")', "xx"),
    ('attributes.kind = "x" AND attributes.lang = "en"',),  # nothing
    ('attributes.kind = "y" OR hasPrefix(attributes.lang, "en-")', "xx", "y"),
    ('(attributes.kind = "x" OR attributes.kind = "y") AND NOT attributes.lang = "en-GB"', "y"),
    ('attributes."kind" = "x"', "xx"),
]


@pytest.mark.parametrize(("condition", "expected"), [(f, list(e)) for f, *e in FILTERS])
async def test_a_filter_leaves_messages_out(clients: Clients, condition: str, expected: list[str]) -> None:
    topic, subscription = await clients.topic_with(filter=condition)
    await clients.publish(topic, "xx", kind="x", lang="en-GB")
    await clients.publish(topic, "y", kind="y")
    await clients.publish(topic, "-", other="1")
    assert texts(await clients.pull(subscription, wait=False)) == expected


async def test_seeking_back_brings_acknowledged_messages_again(clients: Clients) -> None:
    topic, subscription = await clients.topic_with(retain_acked_messages=True, enable_message_ordering=True)
    await clients.publish(topic, "a", "b", key="k")
    received = await clients.pull(subscription)
    await clients.ack(subscription, *received)
    await clients.subscriber.seek({"subscription": subscription, "time": received[0].message.publish_time})
    assert texts(await clients.pull(subscription)) == ["a", "b"]


async def test_seeking_to_a_time_ahead_acknowledges_all(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "a")
    ahead = datetime.now(UTC) + timedelta(hours=1)
    await clients.subscriber.seek({"subscription": subscription, "time": ahead})
    backend.advance(11)
    assert await clients.pull(subscription, wait=False) == []


async def test_what_is_older_than_the_retention_is_gone(backend: Backend, clients: Clients) -> None:
    topic, subscription = await clients.topic_with(message_retention_duration=timedelta(minutes=10))
    await clients.publish(topic, "old")
    backend.advance(500)
    await clients.publish(topic, "new")
    backend.advance(200)
    assert texts(await clients.pull(subscription)) == ["new"]
    assert backend.control
    assert backend.control.waiting(subscription) == 0


async def test_a_deleted_subscription_ends_its_streams(clients: Clients) -> None:
    _, subscription = await clients.topic_with()
    async with clients.stream(subscription) as stream:
        await clients.subscriber.delete_subscription(subscription=subscription)
        with pytest.raises(exceptions.NotFound):
            await stream.receive(1)
    with pytest.raises(exceptions.NotFound):
        await clients.pull(subscription)


async def test_a_subscription_outlives_its_topic(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "a")
    await clients.publisher.delete_topic(topic=topic)
    left = await clients.subscriber.get_subscription(subscription=subscription)
    assert left.topic == "_deleted-topic_"
    assert texts(await clients.pull(subscription)) == ["a"]
    with pytest.raises(exceptions.NotFound):
        await clients.publish(topic, "b")
