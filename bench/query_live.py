"""How soon subscribers are told: 2,000 WebSockets on one query service, and events that concern them.

As a program, in a process of its own: reads a `Watch` as JSON from standard input, writes a `WatchResult` as
JSON to standard output. A latency counts from the moment an event was due to be sent until a payload of its
position or a later one has arrived at a subscriber of its learner.
"""

from __future__ import annotations

import asyncio
import re
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec
import psutil
import uvloop

from bench.database import BenchServer
from bench.events import cloud_event, facts
from bench.figures import Latency, latency_of, spread_of
from bench.harness import Report, console
from bench.history import HISTORY
from bench.http_client import END_OF_HEADERS, Asker, post
from bench.latencies import show_at_most, show_latencies
from bench.load import body_of
from bench.open_loop import BATCH
from bench.query_questions import Questions
from bench.services import whole_system

GOAL = 250.0  # milliseconds, p99
SUBSCRIPTION = (
    "subscription($user: ID!) { progressUpdated(userId: $user, after: 0) { position summary { reviews } } }"
)
OPENED_AT_ONCE = 50
PATIENCE_SECONDS = 30.0
FIRST_EVENT = 900_000_000  # numbers of events that nobody else sends
TEXT, PING, PONG = 1, 9, 10
POSITION = re.compile(rb'"position":"?(\d+)')


@dataclass(frozen=True)
class Crowd:
    """Subscribers; each round a POST with an event of `told` of their learners."""

    name: str
    subscribers: int
    learners: int
    told: int
    rounds: int
    interval_ms: float


CROWDS = (
    Crowd("all watch one learner, 2 events a second", 2_000, 1, 1, 20, 500),
    Crowd("each watches a learner of 1,000, 100 events a second", 2_000, 1_000, 10, 100, 100),
)
QUICK_CROWDS = (
    Crowd("all watch one learner, 2 events a second", 100, 1, 1, 4, 500),
    Crowd("each watches a learner of 50, 100 events a second", 100, 50, 10, 10, 100),
)


class Watch(msgspec.Struct):
    """A learner for each subscriber, and the learners of the events of each round."""

    command_port: int
    query_port: int
    learners: list[str]
    rounds: list[list[str]]
    interval_ms: float
    first_event: int
    host: str = "127.0.0.1"


class WatchResult(msgspec.Struct):
    """`kilobytes`: what the query service's process grew by, for each subscriber, until all were told."""

    latency: Latency
    kilobytes: float
    wrong: list[str]


class Subscriber(asyncio.Protocol):
    """One socket with one subscription; `told` has the moment and the position of every payload."""

    def __init__(self, learner: str) -> None:
        self.learner = learner
        self.told: list[tuple[float, int]] = []
        self.first = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._upgraded = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.first.done():
            self.first.set_exception(exc or ConnectionError("the service closed a socket"))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self._upgraded:
            end = buffer.find(END_OF_HEADERS)
            if end < 0:
                return
            del buffer[: end + len(END_OF_HEADERS)]
            self._upgraded = True
            self._send(TEXT, {"type": "connection_init"})
            payload = {"query": SUBSCRIPTION, "variables": {"user": self.learner}}
            self._send(TEXT, {"id": "1", "type": "subscribe", "payload": payload})
        while (frame := _taken(buffer)) is not None:
            self._read(*frame)

    def close(self) -> None:
        """Go, and listen no more."""
        self._transport.abort()

    def _read(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._send(PONG, None)
        found = POSITION.search(payload)
        if found is not None:
            self.told.append((time.perf_counter(), int(found[1])))
            if not self.first.done():
                self.first.set_result(None)
        elif b'"error"' in payload:
            self.first.set_exception(RuntimeError(payload.decode()))

    def _send(self, opcode: int, message: Any) -> None:
        payload = b"" if message is None else msgspec.json.encode(message)
        size = len(payload)
        head = (
            struct.pack("!BB", 0x80 | opcode, 0x80 | size)
            if size < 126
            else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        )
        self._transport.write(head + bytes(4) + payload)  # a mask of zeros


class Crowds:
    """Opens the sockets, sends the events, and waits until everybody was told of everything."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._subscribers: list[Subscriber] = []
        self._sent: list[tuple[float, dict[str, int]]] = []  # when due, and positions by learner

    async def run(self) -> WatchResult:
        """Do all of it."""
        watch = self._watch
        service = _listener(watch.query_port)
        before = service.memory_info().rss
        for start in range(0, len(watch.learners), OPENED_AT_ONCE):
            await asyncio.gather(*map(self._open, watch.learners[start : start + OPENED_AT_ONCE]))
        kilobytes = (service.memory_info().rss - before) / len(watch.learners) / 1024
        poster = await Asker().open(watch.host, watch.command_port)
        began = time.perf_counter() + 0.05
        number = watch.first_event
        for at, learners in enumerate(watch.rounds):
            events = [
                cloud_event(facts(number + offset) | {"learner": learner})
                for offset, learner in enumerate(learners)
            ]
            number += len(events)
            due = began + at * watch.interval_ms / 1_000
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            host = f"{watch.host}:{watch.command_port}"
            status, answer = await poster.ask(post("/events", host, BATCH, body_of(events, BATCH)))
            if status != 201:
                return WatchResult(latency_of([0]), kilobytes, [f"HTTP {status} {answer.decode()[:500]}"])
            results = msgspec.json.decode(answer)["results"]
            positions = [result["position"] for result in results]
            self._sent.append((due, dict(zip(learners, positions, strict=True))))
        poster.close()
        wrong = await self._everybody_told()
        latencies = self._latencies()
        for subscriber in self._subscribers:
            subscriber.close()
        return WatchResult(latency_of(latencies), kilobytes, wrong)

    async def _open(self, learner: str) -> None:
        subscriber = Subscriber(learner)
        self._subscribers.append(subscriber)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: subscriber, self._watch.host, self._watch.query_port)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await subscriber.first

    async def _everybody_told(self) -> list[str]:
        last: dict[str, int] = {}
        for _, positions in self._sent:
            last |= positions
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while True:
            behind = [
                subscriber.learner
                for subscriber in self._subscribers
                if subscriber.told[-1][1] < last.get(subscriber.learner, 0)
            ]
            if not behind or time.perf_counter() > deadline:
                return [f"a subscriber to {learner} was not told" for learner in behind[:3]]
            await asyncio.sleep(0.1)

    def _latencies(self) -> list[float]:
        """Of every event to every subscriber it concerns; of those who were told."""
        found: list[float] = []
        for subscriber in self._subscribers:
            told = iter(subscriber.told)
            payload = next(told, None)
            for due, positions in self._sent:
                position = positions.get(subscriber.learner, 0)
                while payload is not None and payload[1] < position:
                    payload = next(told, None)
                if position and payload is not None:
                    found.append(payload[0] - due)
        return found


def measure_live(
    server: BenchServer, folder: Path, questions: Questions, crowds: Sequence[Crowd], runs: int
) -> dict[str, list[WatchResult]]:
    """One running system; each crowd in turn, `runs` times after once to warm up."""
    results: dict[str, list[WatchResult]] = {crowd.name: [] for crowd in crowds}
    with server.fresh(HISTORY) as url, whole_system(url, folder) as system:
        first = FIRST_EVENT
        for _ in range(runs + 1):
            for crowd in crowds:
                watch = _watch(crowd, questions, first, system.ports["command"], system.ports["query"])
                results[crowd.name].append(_run(watch))
                first += crowd.rounds * crowd.told
    return results


def show_live(report: Report, results: dict[str, list[WatchResult]]) -> None:
    """The table of latencies, memory, and whether the goal was met."""
    report.notes["live"] = results
    for each in results.values():
        for result in each:
            report.failures += result.wrong[:3]
    rows = [(name, [result.latency for result in each[1:]]) for name, each in results.items()]
    show_latencies("Milliseconds from an event due to its payload at a subscriber, open loop", rows)
    for name, latencies in rows:
        show_at_most(f"{name}: p99", spread_of([latency.p99 for latency in latencies]), GOAL, " ms")
    first = next(iter(results.values()))[0]
    console.print(
        f"memory of the query service: {first.kilobytes:,.0f} KiB more for each of the first subscribers"
    )


def _watch(crowd: Crowd, questions: Questions, first: int, command_port: int, query_port: int) -> Watch:
    watched = Random(first).sample(questions.learners, crowd.learners)
    around = cycle(watched)
    rounds = [[next(around) for _ in range(crowd.told)] for _ in range(crowd.rounds)]
    subscribers = list(islice(cycle(watched), crowd.subscribers))
    return Watch(command_port, query_port, subscribers, rounds, crowd.interval_ms, first)


def _run(watch: Watch) -> WatchResult:
    done = subprocess.run(
        [sys.executable, "-m", "bench.query_live"],
        input=msgspec.json.encode(watch),
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=WatchResult)


def _taken(buffer: bytearray) -> tuple[int, bytes] | None:
    """The first whole frame of a server, taken out of the buffer."""
    if len(buffer) < 2:
        return None
    opcode, size, start = buffer[0] & 15, buffer[1] & 127, 2
    if size == 126:
        start, size = 4, int.from_bytes(buffer[2:4])
    elif size == 127:
        start, size = 10, int.from_bytes(buffer[2:10])
    if len(buffer) < start + size:
        return None
    payload = bytes(buffer[start : start + size])
    del buffer[: start + size]
    return opcode, payload


def _listener(port: int) -> psutil.Process:
    """The process that listens on a port."""
    return next(
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.pid and each.laddr and each.laddr.port == port
    )


def main() -> None:
    """Do what standard input says."""
    watch = msgspec.json.decode(sys.stdin.buffer.read(), type=Watch)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(Crowds(watch).run())))


if __name__ == "__main__":
    main()
