"""Delivery through Pub/Sub: the relay, the consumer, shared backlogs, and accepted → visible.

Google is played by the tests' emulator, a process of its own on this machine: figures say what our side can
do, not what Google's takes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import uvloop
from cyclopts import run

from bench import machine
from bench.database import EMPTY, BenchServer, bench_folder, query, query_one
from bench.events import facts
from bench.figures import spread_of
from bench.harness import Contender, Goal, Report, Run, alternate, console, finish, show_goals, show_rates
from bench.history import HISTORY, History, differences, make_history, recount, rows_by_day
from bench.latencies import show_at_most, show_latencies
from bench.open_loop import StreamResult
from bench.services import projection_service
from bench.visible import Streams, measure_visible
from progress_context.delivery.consumer import PubsubConsumer
from progress_context.delivery.port import OutgoingEvent, Reach
from progress_context.delivery.publisher import PubsubPublisher
from progress_context.delivery.pubsub import (
    EMULATOR,
    publisher_client,
    subscriber_client,
    subscription_path,
    topic_path,
)
from progress_context.delivery.relay import PAGE_EVENTS, SESSION, Relay
from progress_context.delivery.relay_lease import RelayLease
from progress_context.log.database import open_pool
from progress_context.simulator import Simulation

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tests.pubsub_emulator import EmulatorProcess  # which looks for itself under its short name

RELAY = "relay: log → Pub/Sub"
CONSUMER = "consumer: received and acknowledged"
ONE = "backlog, one projection service"
TWO = "backlog, two projection services"
GOALS = (Goal(RELAY, 20_000), Goal(CONSUMER, 20_000), Goal(ONE, None), Goal(TWO, None, ONE))
GOAL_VISIBLE_P99 = 250.0  # milliseconds, accepted → visible

PROJECT = "bench-project"
SHARDS = 2
PATIENCE = 300.0  # seconds

prefixes = (f"b{number}-" for number in itertools.count(1))


@dataclass(frozen=True)
class Sizes:
    """The history, the messages for the consumer, and the streams for visibility."""

    learners: int
    days: int
    messages: int
    streams: Streams


FULL = Sizes(1_200, 20, 200_000, Streams(seconds=15, warm_up_seconds=5, interval_ms=20))
QUICK = Sizes(200, 5, 10_000, Streams(seconds=3, warm_up_seconds=1, interval_ms=20))


class Deliveries:
    """Measures our side of Pub/Sub over one history."""

    def __init__(
        self, loop: asyncio.Runner, emulator: EmulatorProcess, history: History, messages: int, folder: Path
    ) -> None:
        self._loop = loop
        self._emulator = emulator
        self._history = history
        self._messages = messages
        self._folder = folder
        self._expected = recount(history.facts, history.facts_count)

    def contenders(self) -> list[Contender]:
        """Everyone, in the order of the table."""
        return [
            Contender(RELAY, HISTORY, self._relay),
            Contender(CONSUMER, EMPTY, self._consumer),
            Contender(ONE, HISTORY, lambda url: self._backlog(url, 1)),
            Contender(TWO, HISTORY, lambda url: self._backlog(url, 2)),
        ]

    def _relay(self, url: str) -> Run:
        prefix = self._loop.run(made(next(prefixes)))
        seconds = self._loop.run(publish_log(url, topic_path(PROJECT, prefix), self._history.events))
        return self._checked(prefix, self._history.events, seconds)

    def _consumer(self, _url: str) -> Run:
        prefix = self._loop.run(made(next(prefixes)))
        self._loop.run(publish_made_up(topic_path(PROJECT, prefix), self._messages))
        stock = self._checked(prefix, self._messages, 1.0)
        seconds = self._loop.run(consume(self._emulator, subscription_path(PROJECT, prefix), self._messages))
        return Run(self._messages, seconds, stock.missed, stock.duplicated)

    def _checked(self, prefix: str, events: int, seconds: float) -> Run:
        """Nobody followed, so every event must wait in the subscription once."""
        waiting = self._emulator.control.waiting(subscription_path(PROJECT, prefix))
        return Run(events, seconds, max(0, events - waiting), max(0, waiting - events))

    def _backlog(self, url: str, services: int) -> Run:
        prefix = self._loop.run(made(next(prefixes)))
        self._loop.run(publish_log(url, topic_path(PROJECT, prefix), self._history.events))
        environment = {**pubsub_environment(prefix), "PROGRESS_SHARDS": str(SHARDS)}
        with ExitStack() as running:
            for number in range(services):
                log = self._folder / f"projection-{number}.log"
                running.enter_context(projection_service(url, log, environment))
            seconds = until_caught_up(url)
        found = rows_by_day(query(url, "our_daily_rows"))
        return Run(self._history.events, seconds, *differences(self._expected, found))


async def made(prefix: str) -> str:
    """The prefix, once topic and subscription of that name exist."""
    publisher, subscriber = publisher_client(), subscriber_client()
    topic = topic_path(PROJECT, prefix)
    await publisher.create_topic(name=topic)
    await subscriber.create_subscription(name=subscription_path(PROJECT, prefix), topic=topic)
    await publisher.transport.close()
    await subscriber.transport.close()
    return prefix


def pubsub_environment(prefix: str) -> dict[str, str]:
    """What makes a service use the emulator's topics of this prefix."""
    return {"PROGRESS_PUBSUB_PROJECT": PROJECT, "PROGRESS_PUBSUB_PREFIX": prefix}


async def publish_log(url: str, topic: str, events: int) -> float:
    """Seconds until the service's own relay has published the whole log, checkpoint included."""
    pool = await open_pool(url, "progress_command", size=4, session=SESSION)
    lease = RelayLease(pool, topic)
    relay = Relay(pool, PubsubPublisher(topic), lease)

    async def is_done() -> bool:
        position = await pool.fetchval("SELECT position FROM ops.relays WHERE topic = $1", topic)
        return position == events

    began = time.perf_counter()
    await _while_running(relay.run, is_done)
    seconds = time.perf_counter() - began
    pool.terminate()
    return seconds


async def publish_made_up(topic: str, count: int) -> None:
    """As many messages as the consumer is to hear."""
    publisher = PubsubPublisher(topic)
    events = made_up_events(count)
    while page := list(itertools.islice(events, PAGE_EVENTS)):
        await publisher.publish(page)
    await publisher.close()


def made_up_events(count: int) -> Iterator[OutgoingEvent]:
    """Events as the relay reads them, without a log."""
    now = datetime.now(UTC)
    for number in range(count):
        given = facts(number)
        data = f'{{"item_id": "{given["item_id"]}", "judgment": "{given["judgment"]}"}}'
        yield OutgoingEvent(
            number + 1, given["source"], given["id"], "learning.CorrectnessJudged",
            int(given["learner"][-5:]) + 1, given["learner"], now, now, data, None,
        )  # fmt: skip


async def consume(emulator: EmulatorProcess, subscription: str, messages: int) -> float:
    """Seconds until all messages are received and acknowledged, by read models that are always there."""
    consumer = PubsubConsumer(subscription)
    heard: list[int] = []

    async def reach() -> Reach:
        return Reach(messages, messages)

    async def is_done() -> bool:
        stock = emulator.control.waiting(subscription) + emulator.control.leased(subscription)
        return bool(heard) and stock == 0

    began = time.perf_counter()
    await _while_running(lambda: consumer.run(heard.append, reach), is_done)
    return time.perf_counter() - began


async def _while_running(work: Callable[[], Awaitable[None]], is_done: Callable[[], Awaitable[bool]]) -> None:
    """Run `work` until the condition holds; it costs a look every 20 ms."""
    task = asyncio.ensure_future(work())
    try:
        async with asyncio.timeout(PATIENCE):
            while not await is_done():
                if task.done():
                    task.result()
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def until_caught_up(url: str) -> float:
    """Seconds from the first page folded until every shard is at the end of the log."""
    began: float | None = None
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        state = query_one(url, "shards_reached")
        if began is None and state["furthest"]:
            began = time.perf_counter()
        if began is not None and state["complete"]:
            return time.perf_counter() - began
        time.sleep(0.02)
    raise RuntimeError("the projection services did not reach the end of the log")


def show_visible(report: Report, results: list[StreamResult], streams: Streams) -> None:
    """The table of latencies, and the goal."""
    report.notes["visible"] = results
    for result in results:
        report.failures += result.wrong[:3]
    behind = [result.behind for result in results]
    rows = (
        ("sent → accepted (on disk)", [result.accepted for result in results]),
        ("accepted → visible through Pub/Sub", behind),
    )
    show_latencies(f"Milliseconds at {streams.rate:,.0f} events/s, open loop", rows)
    found = spread_of([latency.p99 for latency in behind])
    show_at_most("accepted → visible p99", found, GOAL_VISIBLE_P99, " ms")


def main(*, runs: int = 5, quick: bool = False) -> None:
    """Measure delivery through Pub/Sub, with an emulator in Google's place.

    Parameters
    ----------
    runs
        Rounds; in each every contender runs once.
    quick
        Small sizes: shows that everything works, the figures mean little.
    """
    sizes = QUICK if quick else FULL
    with (
        bench_folder() as folder,
        BenchServer(folder / "postgres") as server,
        EmulatorProcess() as emulator,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
    ):
        os.environ[EMULATOR] = emulator.address
        about = machine.about(server, beside_peers=False)
        machine.show(about)
        simulation = Simulation(learners=sizes.learners, days=sizes.days, end=date(2026, 11, 20))
        history = make_history(server, simulation, folder)
        contenders = Deliveries(loop, emulator, history, sizes.messages, folder).contenders()
        report = Report("delivery", about, alternate(server, contenders, runs))
        environment = pubsub_environment(loop.run(made(next(prefixes))))
        visible = measure_visible(server, folder, sizes.streams, runs, environment)
    show_rates(report, f"Through Pub/Sub, {history.events:,} events of {sizes.learners:,} learners")
    show_goals(report, GOALS)
    show_visible(report, visible, sizes.streams)
    console.print("missed, duplicated: messages beside events; daily rows beside a recount")
    finish(report)


if __name__ == "__main__":
    run(main)
