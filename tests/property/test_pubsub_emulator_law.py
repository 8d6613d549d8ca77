"""Whatever subscribers do, and however deliveries fail: nothing is lost, and each key keeps its order."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import types
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.broker import Broker, Topic
from pubsub_emulator.delivery import Entry, Stream
from pubsub_emulator.messages import message_class

KEYS = ("", "x", "y", "z")
STREAMS = 3
DEADLINE = 10.0


class Delivered:
    """A message in the hand of a subscriber."""

    def __init__(self, entry: Entry) -> None:
        self.number = entry.message.number
        self.key = entry.message.key
        self.ack_id = entry.ack_id


class StoppedClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self._now = 1_000_000.0

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Subscribers(RuleBasedStateMachine):
    """Streams and pulls on one subscription with ordering, in any interleaving."""

    @initialize(
        backoff=st.sampled_from([0, 3]), window=st.sampled_from([1, 2, 1000]), drop=st.sampled_from([0, 0.3])
    )
    def begin(self, backoff: int, window: int, drop: float) -> None:
        self.broker = Broker()
        self.clock: Any = StoppedClock()
        self.broker.clock = self.clock
        self.broker.faults.set(drop=drop)
        self.topic = self.broker.topics["t"] = Topic(types.Topic.pb(types.Topic(name="t")))
        config = types.Subscription.pb(types.Subscription(name="s", topic="t", enable_message_ordering=True))
        config.message_retention_duration.seconds = 10**9
        if backoff:
            config.retry_policy.minimum_backoff.CopyFrom(Duration(seconds=backoff))
            config.retry_policy.maximum_backoff.CopyFrom(Duration(seconds=backoff))
        self.backlog: Backlog = self.broker.subscribe(config)
        self.window = window
        self.streams = [self.new_stream() for _ in range(STREAMS)]
        self.published: dict[str, list[int]] = defaultdict(list)
        self.acknowledged: set[int] = set()
        self.in_hand: list[Delivered] = []
        self.shown: dict[str, list[int]] = defaultdict(list)

    def new_stream(self) -> Stream:
        return Stream(DEADLINE, 5, 0, self.window)

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 4))
    def publish(self, key: str, count: int) -> None:
        messages = [message_class("PubsubMessage")(data=b"a", ordering_key=key) for _ in range(count)]
        ids = self.broker.publish(self.topic, messages, [1] * count)
        self.published[key] += [int(number) for number in ids]

    @rule(who=st.integers(0, STREAMS), count=st.integers(1, 6))
    def receive(self, who: int, count: int) -> None:
        stream = self.streams[who] if who < STREAMS else None
        room = min(count, stream.max_messages - stream.messages) if stream else count
        for entry in self.backlog.take(stream, room, 10**9, DEADLINE):
            self.show(Delivered(entry))

    def show(self, delivered: Delivered) -> None:
        """The law of order: a key's messages are delivered one after the other, or again from an earlier one."""
        self.in_hand.append(delivered)
        if not delivered.key:
            return
        order = self.published[delivered.key]
        seen = self.shown[delivered.key]
        place = order.index(delivered.number)
        assert place <= (order.index(seen[-1]) + 1 if seen else 0), "a message overtook another"
        seen.append(delivered.number)

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), how=st.sampled_from(["ack", "nack", "extend"]))
    def answer(self, data: st.DataObject, how: str) -> None:
        delivered = data.draw(st.sampled_from(self.in_hand))
        if how == "ack":
            if self.backlog.find(delivered.ack_id):
                self.acknowledged.add(delivered.number)
            self.backlog.acknowledge([delivered.ack_id])
        else:
            self.backlog.modify([delivered.ack_id], DEADLINE if how == "extend" else 0)

    @rule(seconds=st.sampled_from([1.0, 4.0, DEADLINE + 1]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.backlog.tick()

    @rule(who=st.integers(0, STREAMS - 1))
    def reconnect(self, who: int) -> None:
        self.backlog.close(self.streams[who])
        self.streams[who] = self.new_stream()

    @invariant()
    def accounts_are_right(self) -> None:
        if not hasattr(self, "backlog"):
            return
        leased = list(self.backlog.leases.values())
        assert all(entry.ack_id == ack_id for ack_id, entry in self.backlog.leases.items())
        for stream in self.streams:
            assert stream.messages == sum(entry.stream is stream for entry in leased)
        everything = {number for numbers in self.published.values() for number in numbers}
        assert everything - self.acknowledged <= set(self.backlog.entries)

    def teardown(self) -> None:
        """The law of delivery: subscribers that acknowledge get all there is, however it stood before."""
        if not hasattr(self, "backlog"):
            return
        self.broker.faults.reset()
        for _ in range(20 + 2 * len(self.backlog.entries)):
            self.wait(DEADLINE + 1)
            for who in range(STREAMS + 1):
                self.receive(who, 6)
                self.backlog.acknowledge([delivered.ack_id for delivered in self.in_hand])
        assert self.backlog.entries == {}


Subscribers.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSubscribers = Subscribers.TestCase
