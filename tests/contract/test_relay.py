"""The relay's promises towards Pub/Sub: all of the log, in each learner's order, whatever dies on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from google.pubsub_v1 import StreamingPullRequest, Subscription

from delivering import LEASE_SECONDS, NEVER, PubsubWay, Trouble, judged, prefixes, running
from delivering import emulator as emulator
from progress_context.delivery.port import OutgoingEvent, Refusal
from progress_context.delivery.publisher import PubsubPublisher
from progress_context.delivery.pubsub import subscriber_client
from progress_context.delivery.relay import Relay
from progress_context.delivery.relay_lease import Held, RelayLease
from progress_context.errors import RelayLost
from progress_context.log.event import NewEvent
from pubsub_emulator import Emulator
from waiting import until
from world import World

TAKEN_OVER = 10.0  # seconds


class Subscriber:
    """An outsider with an ordered subscription to the topic: `positions` by ordering key, as they came."""

    def __init__(self, topic: str) -> None:
        self._name = topic.replace("topics/", "subscriptions/outsider-")
        self._topic = topic
        self.positions: dict[str, list[int]] = {}
        self.messages: dict[int, Any] = {}

    async def subscribe(self) -> Subscriber:
        self._client = subscriber_client()
        wanted = Subscription(name=self._name, topic=self._topic, enable_message_ordering=True)
        await self._client.create_subscription(wanted)
        self._pulling = asyncio.create_task(self._pull())
        return self

    async def close(self) -> None:
        self._pulling.cancel()
        with suppress(asyncio.CancelledError):
            await self._pulling
        await self._client.transport.close()

    async def has(self, *positions: int) -> bool:
        """Whether all these positions came."""
        return set(positions) <= self.messages.keys()

    async def got(self, *positions: int) -> None:
        """Return once all these positions came."""
        await until(lambda: self.has(*positions), seconds=20)

    async def _pull(self) -> None:
        first = StreamingPullRequest(subscription=self._name, stream_ack_deadline_seconds=60)
        acks: asyncio.Queue[StreamingPullRequest] = asyncio.Queue()
        acks.put_nowait(first)

        async def requests() -> AsyncIterator[StreamingPullRequest]:
            while True:
                yield await acks.get()

        async for response in await self._client.streaming_pull(requests=requests()):
            for each in response.received_messages:
                position = int(each.message.attributes["position"])
                self.positions.setdefault(each.message.ordering_key, []).append(position)
                self.messages[position] = each.message
            acks.put_nowait(
                StreamingPullRequest(ack_ids=[each.ack_id for each in response.received_messages])
            )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


@pytest.fixture
async def way(world: World, emulator: Emulator) -> PubsubWay:
    way = await PubsubWay(world.log_pool, next(prefixes)).prepare()
    return way.trouble(emulator, Trouble())


@pytest.fixture
async def subscriber(way: PubsubWay) -> AsyncIterator[Subscriber]:
    subscriber = await Subscriber(way.topic).subscribe()
    yield subscriber
    await subscriber.close()


class Gate:
    """A publisher that stops after, or before, Google has everything, until it is opened or dies."""

    def __init__(self, publisher: PubsubPublisher, *, before: bool = False) -> None:
        self._publisher = publisher
        self._before = before
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def publish(self, events: Sequence[OutgoingEvent]) -> list[Refusal]:
        if not self._before:
            await self._publisher.publish(events)
        self.reached.set()
        await self.opened.wait()
        return await self._publisher.publish(events) if self._before else []

    async def close(self) -> None:
        await self._publisher.close()


class Counting:
    """A publisher that remembers how many events each page had."""

    def __init__(self, publisher: PubsubPublisher) -> None:
        self._publisher = publisher
        self.pages: list[int] = []

    async def publish(self, events: Sequence[OutgoingEvent]) -> list[Refusal]:
        self.pages.append(len(events))
        return await self._publisher.publish(events)

    async def close(self) -> None:
        await self._publisher.close()


class FrozenLease(RelayLease):
    """Of a process that gives no sign of life, and does not notice that its time is over."""

    async def keep(self, held: Held) -> None:
        await asyncio.Event().wait()


async def checkpoint(world: World) -> int:
    async with world.pool.acquire() as connection:
        await connection.execute("RESET ROLE")
        position = await connection.fetchval("SELECT position FROM ops.relays")
        await connection.execute("SET ROLE progress_projection")
    return position


async def unpublished(world: World) -> dict[int, str]:
    async with world.log_pool.acquire() as connection:
        rows = await connection.fetch("SELECT position, reason FROM ops.unpublished ORDER BY position")
    return {row["position"]: row["reason"] for row in rows}


async def has_moved(world: World, position: int) -> bool:
    return await checkpoint(world) == position


def first_of_each(positions: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(positions))


async def test_each_learners_events_come_in_the_order_of_the_log(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    way.emulator.broker.faults.set(publish_unavailable=0.2, publish_ambiguous=0.2)
    await world.append([judged(n) for n in range(3_000)])
    async with running(way.outgoing.run):
        for start in range(3_000, 3_300, 30):
            outcomes = await world.append([judged(n) for n in range(start, start + 30)])
            way.outgoing.announce(outcomes[-1].position or 0)
        await subscriber.got(*range(1, 3_301))
        await until(lambda: has_moved(world, 3_300))
    assert len(subscriber.positions) == 37
    for positions in subscriber.positions.values():
        assert first_of_each(positions) == sorted(set(positions))


async def test_pages_are_bounded_by_bytes_and_follow_each_other_at_once(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    await world.append([judged(n) for n in range(60)])
    publisher = Counting(PubsubPublisher(way.topic))
    relay = Relay(world.log_pool, publisher, way.lease(), poll_seconds=NEVER, page_bytes=500)
    async with running(relay.run):
        await until(lambda: has_moved(world, 60))
    assert max(publisher.pages) < 10
    assert sum(publisher.pages) == 60
    await subscriber.got(*range(1, 61))


async def test_an_event_larger_than_a_page_is_a_page(world: World, way: PubsubWay) -> None:
    await world.append([judged(n) for n in range(3)])
    publisher = Counting(PubsubPublisher(way.topic))
    relay = Relay(world.log_pool, publisher, way.lease(), poll_seconds=NEVER, page_bytes=1)
    async with running(relay.run):
        await until(lambda: has_moved(world, 3))
    assert publisher.pages == [1, 1, 1]


async def test_a_relay_that_stops_hands_over_at_once(world: World, way: PubsubWay) -> None:
    await world.append([judged(n) for n in range(10)])
    async with running(way.outgoing.run):
        await until(lambda: has_moved(world, 10))
    held = await way.lease().take()
    assert held is not None
    assert held.position == 10


async def test_a_refused_key_is_noted_and_everything_else_goes_on(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    await world.append([judged(n) for n in range(74)])
    poor = next(event for event in await world.events() if event.position == 5)
    theirs = {event.position for event in await world.events() if event.learner_key == poor.learner_key}
    way.emulator.broker.faults.set(refused_keys=[str(poor.learner_key)])
    async with running(way.outgoing.run):
        await until(lambda: has_moved(world, 74))
        await subscriber.got(*set(range(1, 75)) - theirs)
        assert (await unpublished(world)).keys() == theirs
        way.emulator.broker.faults.reset()
        outcomes = await world.append([judged(n) for n in range(74, 111)])
        way.outgoing.announce(outcomes[-1].position or 0)
        await subscriber.got(*range(75, 112))
    assert str(poor.learner_key) in subscriber.positions


async def test_a_message_too_large_is_the_only_one_that_stays_behind(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    events = [judged(n, "the same learner") for n in range(9)]
    huge = NewEvent("urn:t", "huge", "learning.Essay", 1, "the same learner", None, None, large_json())
    await world.append([*events[:4], huge, *events[4:]])
    async with running(way.outgoing.run):
        await until(lambda: has_moved(world, 10))
    await subscriber.got(1, 2, 3, 4, 6, 7, 8, 9, 10)
    assert list(await unpublished(world)) == [5]


def large_json() -> str:
    return '"' + 10_500_000 * "x" + '"'


async def test_a_relay_killed_between_publishing_and_its_checkpoint_repeats_and_loses_nothing(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    await world.append([judged(n) for n in range(100)])
    gate = Gate(PubsubPublisher(way.topic))
    async with running(way.relay(gate).run):
        await asyncio.wait_for(gate.reached.wait(), 10)
    assert await checkpoint(world) == 0
    async with running(way.outgoing.run):
        await until(lambda: has_moved(world, 100))
    await subscriber.got(*range(1, 101))
    assert all(sorted(first_of_each(p)) == first_of_each(p) for p in subscriber.positions.values())
    assert sum(len(positions) for positions in subscriber.positions.values()) >= 200


async def test_a_stale_relay_moves_no_checkpoint(
    world: World, way: PubsubWay, subscriber: Subscriber
) -> None:
    await world.append([judged(n) for n in range(50)])
    gate = Gate(PubsubPublisher(way.topic), before=True)
    lease = FrozenLease(world.log_pool, way.topic, seconds=LEASE_SECONDS)
    held = await lease.take()
    assert held is not None
    frozen = asyncio.create_task(way.relay(gate, lease).publish_while_held(held))
    await asyncio.wait_for(gate.reached.wait(), 10)
    async with running(way.outgoing.run):
        await until(lambda: has_moved(world, 50), seconds=TAKEN_OVER)
        gate.opened.set()
        with pytest.RaisesGroup(RelayLost, flatten_subgroups=True):
            await frozen
        await world.append([judged(n) for n in range(50, 60)])
        way.outgoing.announce(60)
        await until(lambda: has_moved(world, 60))
    await gate.close()
    await subscriber.got(*range(1, 61))


async def test_a_checkpoint_moves_for_the_holder_of_the_token_only(world: World, way: PubsubWay) -> None:
    one, two = (RelayLease(world.log_pool, way.topic, seconds=60) for _ in range(2))
    held = await one.take()
    assert held is not None
    assert await two.take() is None
    await one.move(held, 0, 7)
    with pytest.raises(RelayLost):
        await one.move(held, 0, 9)
    async with world.log_pool.acquire() as connection:
        await connection.execute("UPDATE ops.relays SET expires_at = now() - interval '1 s'")
    assert await two.take() is not None
    with pytest.raises(RelayLost):
        await one.move(held, 7, 9)
    with pytest.raises(RelayLost):
        await asyncio.wait_for(RelayLease(world.log_pool, way.topic, seconds=1).keep(held), 10)
    assert await checkpoint(world) == 7
