"""Both ways of delivery, with troubles at will, and everything that follows the log through them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol

import asyncpg
import pytest

from oracle.compare import differences
from oracle.decoded import decode
from oracle.recount import DEFAULT_POLICY, recount
from progress_context.delivery.consumer import PubsubConsumer
from progress_context.delivery.port import GetReach, Incoming, OnNews, Outgoing, Publisher
from progress_context.delivery.postgres import LOG_APPENDED, Listener, Notifier
from progress_context.delivery.publisher import PubsubPublisher
from progress_context.delivery.pubsub import (
    EMULATOR,
    publisher_client,
    subscriber_client,
    subscription_path,
    topic_path,
)
from progress_context.delivery.relay import Relay
from progress_context.delivery.relay_lease import RelayLease
from progress_context.engine import versions as books
from progress_context.engine.projector import Projector
from progress_context.engine.reach import reach
from progress_context.log.database import Pool
from progress_context.log.event import NewEvent
from pubsub_emulator import Emulator
from pubsub_emulator.backlog import Backlog
from waiting import until
from world import World

SHARDS = 2
LEASE_SECONDS = 0.8
RELAY_PAGE = 1_000  # events
NEVER = 3_600.0  # seconds between polls: only news move anything
READ_MODELS = ("daily_stats", "item_progress", "active_days", "streak_runs")
PROJECT = "test-project"


NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)

prefixes = (f"t{number}-" for number in itertools.count(1))


def judged(number: int, learner: str | None = None) -> NewEvent:
    """An answer, of one of 37 learners in turn."""
    at = NOON + timedelta(minutes=7 * number)
    data = f'{{"item_id":"i{number % 11}","judgment":"AutoConfirmed","session_id":"s{number // 5}"}}'
    who = learner or f"learner-{number % 37}"
    return NewEvent("urn:t", f"e{number}", "learning.CorrectnessJudged", 1, who, at, None, data)


@pytest.fixture
async def emulator(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Emulator]:
    """Pub/Sub in this process, where clients find it."""
    async with Emulator() as emulator:
        monkeypatch.setenv(EMULATOR, emulator.address)
        yield emulator


@dataclass(frozen=True)
class Trouble:
    """What happens to news on their way: copies, shares lost, order, and how often everything breaks off."""

    copies: int = 1
    lost: float = 0.0
    shuffled: bool = False
    breaks: float = 0.0


class Way(Protocol):
    """A delivery under test."""

    outgoing: Outgoing

    def incoming(self) -> Incoming:
        """What another follower hears through."""
        ...

    async def break_off(self) -> None:
        """All connections that carry news end now."""
        ...

    async def settled(self) -> bool:
        """Whether nothing is on its way any more."""
        ...


class PostgresWay:
    """NOTIFY, with a wrapper around what hears it."""

    def __init__(self, world: World, trouble: Trouble) -> None:
        self.outgoing: Outgoing = Notifier(world.log_pool, LOG_APPENDED)
        self._url = world.url
        self._trouble = trouble

    def incoming(self) -> Incoming:
        """A listener whose ears are as bad as the trouble says."""
        return BadEars(Listener(self._url, "progress_projection", LOG_APPENDED), self._trouble)

    async def break_off(self) -> None:
        """As an administrator does it."""
        owner = await asyncpg.connect(self._url)
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )
        await owner.close()

    async def settled(self) -> bool:
        """A notification leaves nothing behind."""
        return True


class BadEars:
    """Loses, repeats, delays what a listener hears."""

    def __init__(self, listener: Listener, trouble: Trouble) -> None:
        self._listener = listener
        self._trouble = trouble
        self._dice = Random(1)

    async def run(self, on_news: OnNews, reach: GetReach, /) -> None:
        """As the listener, with the trouble on top."""

        def hear(position: int) -> None:
            for _ in range(self._trouble.copies):
                if self._dice.random() >= self._trouble.lost:
                    delay = self._dice.random() / 20 if self._trouble.shuffled else 0
                    asyncio.get_running_loop().call_later(delay, on_news, position)

        await self._listener.run(hear, reach)


class PubsubWay:
    """The relay and consumers on an emulator in this process."""

    def __init__(self, pool: Pool, prefix: str) -> None:
        self.topic = topic_path(PROJECT, prefix)
        self.subscription = subscription_path(PROJECT, prefix)
        self._pool = pool
        self.outgoing: Outgoing = self.relay(PubsubPublisher(self.topic))

    def lease(self) -> RelayLease:
        """The right to publish, for another process."""
        return RelayLease(self._pool, self.topic, seconds=LEASE_SECONDS)

    def relay(self, publisher: Publisher, lease: RelayLease | None = None) -> Relay:
        """Another process that publishes the log: when it is told to, never by its poll."""
        chosen = lease or self.lease()
        return Relay(self._pool, publisher, chosen, poll_seconds=NEVER, page_events=RELAY_PAGE)

    async def prepare(self) -> PubsubWay:
        """Make topic and subscription."""
        publisher, subscriber = publisher_client(), subscriber_client()
        await publisher.create_topic(name=self.topic)
        await subscriber.create_subscription(name=self.subscription, topic=self.topic)
        await publisher.transport.close()
        await subscriber.transport.close()
        return self

    def trouble(self, emulator: Emulator, trouble: Trouble) -> PubsubWay:
        """Turn the switches of an emulator in this process."""
        self.emulator = emulator
        emulator.broker.faults.set(
            copies=trouble.copies,
            lose=trouble.lost,
            shuffle=trouble.shuffled,
            stream_unavailable=trouble.breaks,
            publish_unavailable=trouble.breaks,
            publish_ambiguous=trouble.breaks,
            call_unavailable=trouble.breaks,
        )
        return self

    def incoming(self) -> Incoming:
        """Another consumer of the one subscription."""
        return PubsubConsumer(self.subscription, settle_seconds=0.01)

    async def break_off(self) -> None:
        """Every stream ends with UNAVAILABLE, as Google ends them after half an hour."""
        faults, backlog = self.emulator.broker.faults, self.backlog
        streams = set(backlog.waiters)
        faults.set(stream_seconds=0)
        backlog.wake()
        await until(lambda: _none_of(streams, backlog.waiters))
        faults.set(stream_seconds=1_800)

    @property
    def backlog(self) -> Backlog:
        """The followers' subscription, inside the emulator."""
        return self.emulator.broker.subscriptions[self.subscription]

    async def settled(self) -> bool:
        """Every message was acknowledged; those that broke off on their way come again a lease later."""
        self.emulator.broker.clock.advance(31)
        return not self.backlog.entries


async def _none_of(streams: set[asyncio.Event], now: set[asyncio.Event]) -> bool:
    return not streams & now


@asynccontextmanager
async def following(
    world: World, way: Way, *, followers: int = 2, poll: float = NEVER
) -> AsyncGenerator[list[Projector]]:
    """The outgoing side, and projection processes that share the shards, while the block runs."""
    projectors = [projector(world, poll) for _ in range(followers)]
    async with running(way.outgoing.run, *(p.run for p in projectors)):
        await until(lambda: held(projectors))
        hearing = [heard_by(world, way.incoming(), p) for p in projectors]
        async with running(*hearing):
            yield projectors


def heard_by(world: World, incoming: Incoming, follower: Projector) -> Callable[[], Any]:
    """What wires a follower to its news, as the service does."""
    return lambda: incoming.run(follower.wake, lambda: reach(world.pool))


def projector(world: World, poll: float) -> Projector:
    """A projection process."""
    return Projector(
        world.pool,
        shards=SHARDS,
        page_events=50,
        poll_seconds=poll,
        batch_seconds=NEVER,
        lease_seconds=LEASE_SECONDS,
    )


async def held(projectors: Sequence[Projector]) -> bool:
    """Whether every shard is held, evenly."""
    shares = [len(p.held_shards()) for p in projectors]
    return sum(shares) == SHARDS and max(shares) - min(shares) <= 1


@asynccontextmanager
async def running(*works: Callable[[], Any]) -> AsyncGenerator[list[asyncio.Task[None]]]:
    """Each of these as a task, cancelled in the end; one that failed fails the block."""
    tasks = [asyncio.create_task(work()) for work in works]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def tell(world: World, way: Way, events: Sequence[NewEvent]) -> None:
    """Append a group and announce it, as the command service does."""
    outcomes = await world.append(events)
    way.outgoing.announce(max(outcome.position or 0 for outcome in outcomes))


async def arrived(world: World, position: int, seconds: float = 20) -> None:
    """Wait until all read models reflect a position."""

    async def everywhere() -> bool:
        async with world.pool.acquire() as connection:
            reached = await books.checkpoints(connection, books.realtime(await world.versions()))
        return set(reached.values()) == {position}

    await until(everywhere, seconds=seconds)


async def disagreements(world: World) -> list[str]:
    """What the read models hold beside a recount of the log."""
    truth = recount(await world.events(), DEFAULT_POLICY)
    found: list[str] = []
    for name in READ_MODELS:
        rows = decode(name, await world.rows(name), DEFAULT_POLICY)
        found += differences(getattr(truth, name), rows, leave_out=("accuracy", "incorrect"))
    return found
