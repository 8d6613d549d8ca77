"""What must outlive the process: Google loses nothing that it accepted, so neither does an emulator that is killed."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pubsub_emulator.broker import Broker
from pubsub_emulator.messages import MOST_MESSAGES, done_with, message_class

HEAD = struct.Struct("<BI")
ADMINISTRATION = {
    "CreateSchema": "CreateSchemaRequest",
    "CommitSchema": "CommitSchemaRequest",
    "DeleteSchema": "DeleteSchemaRequest",
    "CreateTopic": "Topic",
    "UpdateTopic": "UpdateTopicRequest",
    "DeleteTopic": "DeleteTopicRequest",
    "CreateSubscription": "Subscription",
    "UpdateSubscription": "UpdateSubscriptionRequest",
    "DeleteSubscription": "DeleteSubscriptionRequest",
    "ModifyPushConfig": "ModifyPushConfigRequest",
    "Seek": "SeekRequest",
}
REQUESTS = ADMINISTRATION | {
    "Publish": "PublishRequest",  # with the ids and times that the messages were given
    "Acknowledge": "AcknowledgeRequest",  # with message ids in the place of ack ids
}
KINDS = list(REQUESTS)
Frame = tuple[str, Any]
Call = Callable[[str, Any], object]


class Journal:
    """A file of requests, each written before it is answered; a killed process loses none, a machine might.

    Leases, delivery attempts, what was acknowledged and retained, and subscriptions to deleted topics are
    not kept over a restart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab", buffering=0)

    def note(self, kind: str, request: Any) -> None:
        """Write down a request of one of KINDS."""
        self._file.write(_framed(kind, request))

    def restore(self, broker: Broker, call: Call) -> None:
        """Bring an empty broker to where the file ends, then begin the file anew with what is left.

        `call` answers the requests of ADMINISTRATION, by name.
        """
        for kind, request in _frames(self._path.read_bytes()):
            if kind == "Publish":
                broker.restore(request)
            elif kind == "Acknowledge":
                broker.subscription(request.subscription).forget(map(int, request.ack_ids))
            else:
                call(kind, request)
        self._begin_anew(broker)
        broker.number_from(
            time.time_ns() // 1_000
        )  # above all that were given before: ids are never used again
        broker.journal = self

    def _begin_anew(self, broker: Broker) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.writelines(itertools.starmap(_framed, _state(broker)))
        fresh.replace(self._path)
        self._file.close()
        self._file = self._path.open("ab", buffering=0)


def _framed(kind: str, request: Any) -> bytes:
    payload = request.SerializeToString()
    return HEAD.pack(KINDS.index(kind), len(payload)) + payload


def _frames(content: bytes) -> Iterator[Frame]:
    """All requests; one that was cut off at the end was never answered."""
    start = 0
    while start + HEAD.size <= len(content):
        number, length = HEAD.unpack_from(content, start)
        start += HEAD.size
        if start + length > len(content):
            return
        kind = KINDS[number]
        yield kind, message_class(REQUESTS[kind]).FromString(content[start : start + length])
        start += length


def _state(broker: Broker) -> Iterator[Frame]:
    for name, revisions in broker.schemas.items():
        yield from _schema(name, [revision.config for revision in revisions])
    for topic in broker.topics.values():
        yield "CreateTopic", topic.config
    for name, topic in broker.topics.items():
        for backlog in topic.subscriptions.values():
            yield "CreateSubscription", backlog.config
        yield from _messages(name, {sub: backlog.pending() for sub, backlog in topic.subscriptions.items()})


def _schema(name: str, revisions: list[Any]) -> Iterator[Frame]:
    parent, _, schema_id = name.rpartition("/schemas/")
    first, *others = revisions
    create = message_class("CreateSchemaRequest")
    yield "CreateSchema", create(parent=parent, schema_id=schema_id, schema=first)
    for other in others:
        yield "CommitSchema", message_class("CommitSchemaRequest")(name=name, schema=other)


def _messages(topic: str, pending: dict[str, dict[int, Any]]) -> Iterator[Frame]:
    """Everything that somebody still waits for, and which of it the others have done with."""
    together = {number: pb for each in pending.values() for number, pb in each.items()}
    for some in _pieces(sorted(together)):
        yield "Publish", message_class("PublishRequest")(topic=topic, messages=[together[n] for n in some])
    for subscription, waiting in pending.items():
        for some in _pieces(sorted(together.keys() - waiting.keys())):
            yield "Acknowledge", done_with(subscription, some)


def _pieces(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), MOST_MESSAGES):
        yield numbers[start : start + MOST_MESSAGES]
