"""Schemas, topics and subscriptions with their messages: the state of the emulator. No I/O."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any, Protocol

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.clock import Clock
from pubsub_emulator.delivery import Entry, Message
from pubsub_emulator.faults import Faults
from pubsub_emulator.filters import compile_filter
from pubsub_emulator.messages import done_with, message_class
from pubsub_emulator.refusal import not_found
from pubsub_emulator.revisions import Revision

DELETED_TOPIC = "_deleted-topic_"
DELETED_SCHEMA = "_deleted-schema_"
DEAD_LETTER = "CloudPubSubDeadLetterSource"


class Topic:
    """A topic and the subscriptions on it."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.subscriptions: dict[str, Backlog] = {}


class Notes(Protocol):
    """Where the broker writes down what it must not forget."""

    def note(self, kind: str, request: Any) -> None:
        """Write down a request."""
        ...


class Broker:
    """All schemas, topics and subscriptions by full name; with a `journal`, what is published is written down."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.clock = Clock()
        self.schemas: dict[str, list[Revision]] = {}  # the oldest revision first
        self.topics: dict[str, Topic] = {}
        self.subscriptions: dict[str, Backlog] = {}
        self.journal: Notes | None = None
        self._numbers = itertools.count(1)

    def schema(self, name: str) -> list[Revision]:
        """The revisions of a schema; raises NOT_FOUND."""
        try:
            return self.schemas[name]
        except KeyError:
            raise not_found(name) from None

    def topic(self, name: str) -> Topic:
        """The topic; raises NOT_FOUND."""
        try:
            return self.topics[name]
        except KeyError:
            raise not_found(name) from None

    def subscription(self, name: str) -> Backlog:
        """The subscription; raises NOT_FOUND."""
        try:
            return self.subscriptions[name]
        except KeyError:
            raise not_found(name) from None

    def publish(self, topic: Topic, messages: Any, sizes: list[int]) -> list[str]:
        """Hand checked messages to all subscriptions; gives their ids."""
        now = self.clock.now()
        seconds, nanos = int(now), int(now % 1 * 1e9)
        published: list[Message] = []
        for pb, size in zip(messages, sizes, strict=True):
            number = next(self._numbers)
            pb.message_id = str(number)
            stamp = pb.publish_time
            stamp.seconds, stamp.nanos = seconds, nanos
            published.append(Message(number, pb, now, size))
        if self.journal:
            self.journal.note(
                "Publish", message_class("PublishRequest")(topic=topic.config.name, messages=messages)
            )
        for backlog in topic.subscriptions.values():
            backlog.add(published)
        return [message.pb.message_id for message in published]

    def restore(self, request: Any) -> None:
        """Take in what was published in an earlier life."""
        topic = self.topic(request.topic)
        messages = [
            Message(
                int(pb.message_id), pb, pb.publish_time.seconds + pb.publish_time.nanos / 1e9, pb.ByteSize()
            )
            for pb in request.messages
        ]
        for backlog in topic.subscriptions.values():
            backlog.add(messages)

    def number_from(self, number: int) -> None:
        """The next message gets this number."""
        self._numbers = itertools.count(number)

    def subscribe(self, config: Any) -> Backlog:
        """A new, empty subscription."""
        accepts = compile_filter(config.filter)
        backlog = Backlog(config, accepts, self._bury, self._settled, self.faults, self.clock)
        self.subscriptions[config.name] = backlog
        self.topics[config.topic].subscriptions[config.name] = backlog
        return backlog

    def unsubscribe(self, name: str) -> None:
        """Delete a subscription with its messages; whoever waits for them is told."""
        backlog = self.subscriptions.pop(name)
        topic = self.topics.get(backlog.config.topic)
        if topic:
            topic.subscriptions.pop(name)
        backlog.wake()

    def drop_topic(self, name: str) -> None:
        """Delete a topic; its subscriptions keep their messages and get no more."""
        for backlog in self.topics.pop(name).subscriptions.values():
            backlog.config.topic = DELETED_TOPIC

    def drop_schema(self, name: str) -> None:
        """Delete a schema with all its revisions; its topics remember that there was one."""
        del self.schemas[name]
        for topic in self.topics.values():
            if topic.config.schema_settings.schema == name:
                topic.config.schema_settings.schema = DELETED_SCHEMA

    def tick(self) -> None:
        """Let time pass in all subscriptions."""
        for backlog in self.subscriptions.values():
            backlog.tick()

    def drop_older(self) -> None:
        """Drop what is older than its subscription keeps it."""
        for backlog in self.subscriptions.values():
            backlog.drop_older()

    def _settled(self, subscription: str, numbers: list[int]) -> None:
        if self.journal:
            self.journal.note("Acknowledge", done_with(subscription, numbers))

    def _bury(self, entry: Entry, config: Any) -> bool:
        """Publish a message that failed too often to the dead-letter topic; false if that is gone."""
        topic = self.topics.get(config.dead_letter_policy.dead_letter_topic)
        if topic is None:
            return False
        copy = message_class("PubsubMessage")()
        copy.CopyFrom(entry.message.pb)
        _, project, _, name = config.name.split("/")
        published = datetime.fromtimestamp(entry.message.published, UTC).isoformat(timespec="milliseconds")
        facts = {
            "DeliveryCount": str(entry.failures),
            "Subscription": name,
            "SubscriptionProject": project,
            "TopicPublishTime": published,
        }
        copy.attributes.update({DEAD_LETTER + fact: value for fact, value in facts.items()})
        self.publish(topic, [copy], [copy.ByteSize()])
        return True
