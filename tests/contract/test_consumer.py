"""The consumer's promises towards Pub/Sub: what it acknowledges, when, and what it leaves to others."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from google.pubsub_v1 import PubsubMessage
from structlog.testing import capture_logs

from delivering import PubsubWay, Trouble, prefixes, running
from delivering import emulator as emulator
from progress_context.delivery.consumer import STRANGER_SECONDS, PubsubConsumer
from progress_context.delivery.port import Reach
from progress_context.delivery.pubsub import FIRST_PAUSE, publisher_client
from progress_context.errors import LogUnavailable
from progress_context.log.database import open_pool
from pubsub_emulator import Emulator
from waiting import until

LEASE = 40  # seconds; the clock is put forward, and a busy machine has time to extend what is left


class Follower:
    """A projection service as its consumer sees it: what it heard, and how far it says it is."""

    def __init__(self, way: PubsubWay, *, most_messages: int = 1_000) -> None:
        self.heard: list[int] = []
        self.durable = 0
        self.head = 1_000
        self.is_away = False
        self.consumer = PubsubConsumer(
            way.subscription,
            lease_seconds=LEASE,
            settle_seconds=0.005,
            most_messages=most_messages,
            clock=way.emulator.broker.clock.now,
        )

    async def run(self) -> None:
        await self.consumer.run(self.heard.append, self.reach)

    async def reach(self) -> Reach:
        if self.is_away:
            raise LogUnavailable("the database is away")
        return Reach(self.durable, self.head)

    async def has_heard(self, position: int) -> bool:
        return max(self.heard, default=0) >= position


@pytest.fixture
async def way(emulator: Emulator, database_url: str) -> AsyncIterator[PubsubWay]:
    pool = await open_pool(database_url, "progress_command", size=1)
    way = await PubsubWay(pool, next(prefixes)).prepare()
    yield way.trouble(emulator, Trouble())
    pool.terminate()


async def publish(way: PubsubWay, *positions: object) -> None:
    client = publisher_client()
    messages = [PubsubMessage(data=b"{}", attributes={"position": str(each)}) for each in positions]
    await client.publish(topic=way.topic, messages=messages)
    await client.transport.close()


def left(way: PubsubWay) -> set[str]:
    """Positions that are not acknowledged, as their messages say."""
    return {entry.message.pb.attributes["position"] for entry in way.backlog.entries.values()}


async def is_left(way: PubsubWay, *positions: object) -> bool:
    return left(way) == {str(each) for each in positions}


async def pass_time(way: PubsubWay) -> None:
    """More than half a lease passes, and the consumer has time to extend its leases."""
    clock = way.emulator.broker.clock
    clock.advance(LEASE * 0.6)
    await until(lambda: has_leases_beyond(way, clock.now() + LEASE * 0.7))


async def has_leases_beyond(way: PubsubWay, moment: float) -> bool:
    return all(entry.deadline > moment for entry in way.backlog.leases.values())


async def test_what_is_durable_is_acknowledged_and_nothing_else(way: PubsubWay) -> None:
    follower = Follower(way)
    async with running(follower.run):
        await publish(way, 1, 2, 3, 4)
        await until(lambda: follower.has_heard(4))
        assert len(left(way)) == 4
        follower.durable = 2
        await until(lambda: is_left(way, 3, 4))
        follower.durable = 4
        await until(lambda: is_left(way))
        await publish(way, 3)  # again, long after
        await until(lambda: is_left(way))


async def test_leases_are_extended_while_the_read_models_are_behind(way: PubsubWay) -> None:
    follower = Follower(way)
    async with running(follower.run):
        await publish(way, 1, 2, 3)
        await until(lambda: follower.has_heard(3))
        for _ in range(5):
            await pass_time(way)
        assert [entry.failures for entry in way.backlog.entries.values()] == [0, 0, 0]
        assert follower.heard.count(3) == 1


async def test_no_more_is_asked_for_than_may_wait(way: PubsubWay) -> None:
    follower = Follower(way, most_messages=10)
    async with running(follower.run):
        await publish(way, *range(1, 101))
        await until(lambda: follower.has_heard(10))
        assert len(way.backlog.leases) == 10
        assert max(follower.heard) == 10
        follower.durable = 100
        await until(lambda: is_left(way))
        assert max(follower.heard) == 100


async def test_what_a_stopped_consumer_leaves_others_hear_of_at_once(way: PubsubWay) -> None:
    one, two = Follower(way), Follower(way)
    async with running(one.run):
        await publish(way, 1, 2, 3)
        await until(lambda: one.has_heard(3))
    two.durable = 3
    async with running(two.run):
        await until(lambda: two.has_heard(3), seconds=LEASE / 2)
        await until(lambda: is_left(way))


async def test_a_position_that_the_log_does_not_have_holds_up_nothing(way: PubsubWay) -> None:
    follower = Follower(way)
    follower.head = follower.durable = 5
    async with running(follower.run):
        await publish(way, 4, 99)
        await until(lambda: is_left(way, 99))
        clock = way.emulator.broker.clock
        await pass_time(way)
        assert left(way) == {"99"}  # it may be a position that is not visible here yet
        arrived_at = clock.now()
        while clock.now() < arrived_at + STRANGER_SECONDS:
            await pass_time(way)
        await until(lambda: is_left(way))


@pytest.mark.parametrize("position", ["", "twelve", "-1", "٣", 10**30])
async def test_messages_of_others_are_acknowledged_and_are_no_news(way: PubsubWay, position: object) -> None:
    follower = Follower(way)
    async with running(follower.run):
        await publish(way, position)
        await until(lambda: is_left(way))
        assert follower.heard == []


async def test_a_database_that_is_away_is_waited_for(way: PubsubWay) -> None:
    follower = Follower(way)
    follower.is_away = True
    follower.durable = 3
    async with running(follower.run):
        await publish(way, 1, 2, 3)
        await until(lambda: follower.has_heard(3))
        assert len(left(way)) == 3
        follower.is_away = False
        await until(lambda: is_left(way))


async def test_acknowledgements_that_fail_are_sent_again(way: PubsubWay) -> None:
    follower = Follower(way)
    follower.durable = 50
    way.emulator.broker.faults.set(call_unavailable=0.7)
    async with running(follower.run):
        for position in range(1, 51):
            await publish(way, position)
        await until(lambda: is_left(way))


async def test_calls_that_fail_are_tried_again_ever_more_slowly(way: PubsubWay) -> None:
    follower = Follower(way)
    follower.durable = 1
    way.emulator.broker.faults.set(call_unavailable=1.0)
    with capture_logs() as lines:
        async with running(follower.run):
            await publish(way, 1)
            await until(lambda: has_failed(lines, times=1))
            began = time.monotonic()
            await until(lambda: has_failed(lines, times=5))
            pauses = [FIRST_PAUSE * factor / 2 for factor in (1, 2, 4, 8)]
            assert time.monotonic() - began > sum(pauses)
            way.emulator.broker.faults.set(call_unavailable=0.0)
            await until(lambda: is_left(way))


async def has_failed(lines: Sequence[Mapping[str, object]], times: int) -> bool:
    return [line["event"] for line in lines].count("messages_not_settled") >= times


async def test_a_subscription_that_comes_into_being_later_is_followed(way: PubsubWay) -> None:
    follower = Follower(way)
    config = way.backlog.config
    way.emulator.broker.unsubscribe(way.subscription)
    async with running(follower.run):
        way.emulator.broker.subscribe(config)
        await publish(way, 7)
        await until(lambda: follower.has_heard(7))
