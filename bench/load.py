"""Closed-loop load in a process of its own: each connection sends its next request when it has an answer.

Reads a `Load` as JSON from standard input, writes a `LoadResult` as JSON to standard output.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import msgspec
import uvloop

from bench.events import read_lines
from bench.figures import Latency, latency_of
from bench.http_client import Connection, post

STORED = '"status":"stored"'
ONE_BY_ONE = ("application/cloudevents+json", "application/json")


class Load(msgspec.Struct):
    """What to send: the first `warm_up` + `events` lines of `file`; only the latter are timed.

    Of the answers it counts how often they contain `counted`.
    """

    port: int
    file: str
    events: int
    warm_up: int
    per_request: int
    connections: int
    content_type: str
    host: str = "127.0.0.1"
    path: str = "/events"
    headers: dict[str, str] = {}
    counted: str = STORED


class LoadResult(msgspec.Struct):
    """What came back; `counted` and `statuses` include the warm-up."""

    seconds: float
    counted: int
    statuses: dict[int, int]
    latency: Latency


def body_of(events: list[bytes], content_type: str) -> bytes:
    """One request body in the given media type."""
    if content_type in ONE_BY_ONE:
        (single,) = events
        return single
    if content_type == "application/x-ndjson":
        return b"\n".join(events)
    return b"[" + b",".join(events) + b"]"


class ClosedLoop:
    """Sends requests over all connections until none is left."""

    def __init__(self, counted: str) -> None:
        self.counted = 0
        self._counted = counted.encode()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self._connections: list[Connection] = []
        self._sent_at: dict[Connection, float] = {}
        self._requests: list[bytes] = []
        self._done: asyncio.Future[None] | None = None

    async def open(self, host: str, port: int, connections: int) -> None:
        """Connect."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered, self._lost), host, port
            )
            self._connections.append(connection)

    async def run(self, requests: list[bytes]) -> float:
        """Send all requests; returns the seconds from the first byte sent to the last answer."""
        self._requests = requests[::-1]
        self._done = asyncio.get_running_loop().create_future()
        self.latencies.clear()
        began = time.perf_counter()
        for connection in self._connections:
            self._send_next(connection)
        await self._done
        return time.perf_counter() - began

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    def _send_next(self, connection: Connection) -> None:
        if self._requests:
            self._sent_at[connection] = time.perf_counter()
            connection.send(self._requests.pop())
        elif not self._sent_at and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        self.latencies.append(time.perf_counter() - self._sent_at.pop(connection))
        self.statuses[status] += 1
        self.counted += body.count(self._counted)
        self._send_next(connection)

    def _lost(self, error: Exception) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


def requests_of(load: Load) -> tuple[list[bytes], list[bytes]]:
    """Ready-made requests for the warm-up and for the timed part."""
    lines = read_lines(Path(load.file), load.warm_up + load.events)
    host = f"{load.host}:{load.port}"

    def made(count: int) -> list[bytes]:
        part = islice(lines, count)
        requests: list[bytes] = []
        while events := list(islice(part, load.per_request)):
            body = body_of(events, load.content_type)
            requests.append(post(load.path, host, load.content_type, body, load.headers))
        return requests

    return made(load.warm_up), made(load.events)


async def drive(load: Load) -> LoadResult:
    """Warm up, then measure."""
    warm_up, requests = requests_of(load)
    gc.freeze()
    loop = ClosedLoop(load.counted)
    await loop.open(load.host, load.port, load.connections)
    await loop.run(warm_up)
    seconds = await loop.run(requests)
    loop.close()
    return LoadResult(seconds, loop.counted, dict(loop.statuses), latency_of(loop.latencies))


def main() -> None:
    """Do what standard input says."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(drive(load))))


if __name__ == "__main__":
    main()
