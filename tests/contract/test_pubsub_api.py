"""Pub/Sub's administration and the codes of its errors, asked of ours and of Google's own emulator."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import PubsubMessage, Subscription, Topic

from pubsub_emulator.client import Clients, texts

Call = Callable[[Clients], Awaitable[Any]]

MEGABYTE = 1_000_000


def subscribe(**options: Any) -> Call:
    """Creates a subscription of the topic that exists."""

    def call(clients: Clients) -> Awaitable[Any]:
        name = {"name": clients.subscription("another"), "topic": clients.topic("events")}
        return clients.subscriber.create_subscription({**name, **options})

    return call


def send(*messages: PubsubMessage, topic: str = "events") -> Call:
    """Publishes."""
    return lambda clients: clients.publisher.publish(
        topic=clients.topic(topic), messages=list(messages), retry=None
    )


def update(path: str, **options: Any) -> Call:
    """Updates one field of the subscription that exists."""

    def call(clients: Clients) -> Awaitable[Any]:
        changed = Subscription(name=clients.subscription("reader"), topic=clients.topic("events"), **options)
        return clients.subscriber.update_subscription(
            {"subscription": changed, "update_mask": FieldMask(paths=[path])}
        )

    return call


GONE, TAKEN, WRONG = exceptions.NotFound, exceptions.AlreadyExists, exceptions.InvalidArgument
ERRORS: dict[str, tuple[type[Exception], Call]] = {
    "publish to no topic": (GONE, send(PubsubMessage(data=b"a"), topic="none")),
    "publish nothing": (WRONG, send()),
    "publish an empty message": (WRONG, send(PubsubMessage(ordering_key="k"))),
    "publish 1,001 messages": (WRONG, send(*[PubsubMessage(data=b"a")] * 1001)),
    "publish 101 attributes": (WRONG, send(PubsubMessage(attributes={f"a{n}": "" for n in range(101)}))),
    "publish a long attribute": (WRONG, send(PubsubMessage(attributes={"a": "x" * 1025}))),
    "publish a long name": (WRONG, send(PubsubMessage(attributes={"x" * 257: "a"}))),
    "publish a long key": (WRONG, send(PubsubMessage(data=b"a", ordering_key="x" * 1025))),
    "publish over 10 MB": (WRONG, send(PubsubMessage(data=b"x" * (10 * MEGABYTE + 1)))),
    "create a topic again": (TAKEN, lambda c: c.publisher.create_topic(name=c.topic("events"))),
    "create a topic of Google's": (WRONG, lambda c: c.publisher.create_topic(name=c.topic("google-x"))),
    "create a topic of a short name": (WRONG, lambda c: c.publisher.create_topic(name=c.topic("ab"))),
    "create a topic of no project": (WRONG, lambda c: c.publisher.create_topic(name="events")),
    "get no topic": (GONE, lambda c: c.publisher.get_topic(topic=c.topic("none"))),
    "delete no topic": (GONE, lambda c: c.publisher.delete_topic(topic=c.topic("none"))),
    "list subscriptions of no topic": (
        GONE,
        lambda c: c.publisher.list_topic_subscriptions(topic=c.topic("none")),
    ),
    "subscribe again": (
        TAKEN,
        lambda c: c.subscriber.create_subscription(name=c.subscription("reader"), topic=c.topic("events")),
    ),
    "subscribe to no topic": (
        GONE,
        lambda c: c.subscriber.create_subscription(name=c.subscription("other"), topic=c.topic("none")),
    ),
    "subscribe with a short deadline": (WRONG, subscribe(ack_deadline_seconds=9)),
    "subscribe with a long deadline": (WRONG, subscribe(ack_deadline_seconds=601)),
    "subscribe with a short retention": (
        WRONG,
        subscribe(message_retention_duration=timedelta(minutes=9)),
    ),
    "subscribe with no dead-letter topic": (
        GONE,
        subscribe(dead_letter_policy={"dead_letter_topic": "projects/x/topics/none"}),
    ),
    "subscribe with few attempts": (
        WRONG,
        lambda c: subscribe(
            dead_letter_policy={"dead_letter_topic": c.topic("events"), "max_delivery_attempts": 4}
        )(c),
    ),
    "subscribe with a long backoff": (
        WRONG,
        subscribe(retry_policy={"maximum_backoff": timedelta(seconds=601)}),
    ),
    "subscribe with half a filter": (WRONG, subscribe(filter='attributes.x = "')),
    "subscribe with a filter without brackets": (
        WRONG,
        subscribe(filter="attributes:a AND attributes:b OR attributes:c"),
    ),
    "subscribe with a long filter": (WRONG, subscribe(filter=f'attributes.x = "{"y" * 256}"')),
    "update no subscription": (
        GONE,
        lambda c: c.subscriber.update_subscription(
            {
                "subscription": {"name": c.subscription("none"), "topic": c.topic("events")},
                "update_mask": FieldMask(paths=["labels"]),
            }
        ),
    ),
    "update the ordering": (WRONG, update("enable_message_ordering", enable_message_ordering=True)),
    "update the filter": (WRONG, update("filter", filter="attributes:x")),
    "update what is not there": (WRONG, update("nonsense")),
    "update out of bounds": (WRONG, update("ack_deadline_seconds", ack_deadline_seconds=5)),
    "pull from no subscription": (GONE, lambda c: c.pull(c.subscription("none"))),
    "pull nothing": (WRONG, lambda c: c.pull(c.subscription("reader"), 0)),
    "acknowledge in no subscription": (
        GONE,
        lambda c: c.subscriber.acknowledge(subscription=c.subscription("none"), ack_ids=["a"]),
    ),
    "acknowledge nothing": (
        WRONG,
        lambda c: c.subscriber.acknowledge(subscription=c.subscription("reader"), ack_ids=[]),
    ),
    "acknowledge over 512 KiB": (
        WRONG,
        lambda c: c.subscriber.acknowledge(subscription=c.subscription("reader"), ack_ids=["a"] * 3000),
    ),
    "lease for too long": (
        WRONG,
        lambda c: c.subscriber.modify_ack_deadline(
            subscription=c.subscription("reader"), ack_ids=["a"], ack_deadline_seconds=601
        ),
    ),
    "seek in no subscription": (GONE, lambda c: c.subscriber.seek({"subscription": c.subscription("none")})),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_what_is_wrong_is_refused_with_its_code(clients: Clients, what: str) -> None:
    await clients.topic_with()
    expected, call = ERRORS[what]
    with pytest.raises(expected):
        await call(clients)


async def test_messages_as_large_as_they_may_be_arrive(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "x" * (10 * MEGABYTE - 500))
    (received,) = await clients.pull_in_time(subscription)
    assert len(received.message.data) == 10 * MEGABYTE - 500


async def test_a_subscription_has_googles_defaults(clients: Clients) -> None:
    _, subscription = await clients.topic_with()
    made = await clients.subscriber.get_subscription(subscription=subscription)
    assert made.ack_deadline_seconds == 10
    assert made.message_retention_duration == timedelta(days=7)
    assert not made.enable_message_ordering
    assert not made.push_config.push_endpoint


async def test_an_update_changes_what_it_names_and_nothing_else(clients: Clients) -> None:
    _, name = await clients.topic_with(labels={"team": "a"}, ack_deadline_seconds=20)
    changed = Subscription(name=name, ack_deadline_seconds=30, message_retention_duration=timedelta(hours=1))
    after = await clients.subscriber.update_subscription(
        {"subscription": changed, "update_mask": FieldMask(paths=["ack_deadline_seconds"])}
    )
    assert after.ack_deadline_seconds == 30
    assert dict(after.labels) == {"team": "a"}
    assert after.message_retention_duration == timedelta(days=7)
    assert await clients.subscriber.get_subscription(subscription=name) == after


async def test_an_update_takes_policies_away(clients: Clients) -> None:
    _, name = await clients.topic_with(retry_policy={"minimum_backoff": timedelta(seconds=20)})
    after = await clients.subscriber.update_subscription(
        {"subscription": {"name": name}, "update_mask": FieldMask(paths=["retry_policy"])}
    )
    assert not Subscription.pb(after).HasField("retry_policy")


async def test_labels_of_a_topic_can_be_changed(clients: Clients) -> None:
    topic, _ = await clients.topic_with()
    changed = Topic(name=topic, labels={"team": "b"})
    await clients.publisher.update_topic({"topic": changed, "update_mask": FieldMask(paths=["labels"])})
    assert dict((await clients.publisher.get_topic(topic=topic)).labels) == {"team": "b"}


async def test_lists_come_in_pages_and_keep_projects_apart(clients: Clients) -> None:
    topic, reader = await clients.topic_with()
    others = [clients.subscription(f"reader{n}") for n in range(5)]
    for name in others:
        await clients.subscriber.create_subscription(name=name, topic=topic)
    expected = sorted([reader, *others])
    project = f"projects/{clients.project}"
    pages = await clients.subscriber.list_subscriptions({"project": project, "page_size": 2})
    assert sorted([found.name async for found in pages]) == expected
    attached = await clients.publisher.list_topic_subscriptions({"topic": topic, "page_size": 2})
    assert sorted([name async for name in attached]) == expected
    topics = await clients.publisher.list_topics(project=project)
    assert [found.name async for found in topics] == [topic]


async def test_a_subscription_can_be_made_anew_under_its_name(clients: Clients) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "old")
    await clients.subscriber.delete_subscription(subscription=subscription)
    await clients.subscriber.create_subscription(name=subscription, topic=topic)
    await clients.publish(topic, "new")
    assert texts(await clients.pull_in_time(subscription)) == ["new"]
