"""Open-loop load in a process of its own: requests leave at their time, whatever became of earlier ones.

Every latency counts from the moment a request was due, so a queue cannot hide. Some batches carry a
marker: an event whose learner's day is asked for until it shows. Reads a `Stream` as JSON from
standard input, writes a `StreamResult` as JSON to standard output.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.events import Facts, cloud_event, facts, read_lines
from bench.figures import Latency, latency_of
from bench.http_client import Asker, post
from bench.load import body_of

BATCH = "application/cloudevents-batch+json"
CONNECTIONS = 16
MARKED_LEARNERS = 50
MARKED_DAY = "2026-09-15"
VISIBLE = (
    "query Visible($user: ID!, $day: Date!, $position: Position!)"
    " { dailyStats(userId: $user, date: $day, waitForPosition: $position) { reviews } }"
)


class Stream(msgspec.Struct):
    """`batch` events every `interval_ms` for `seconds`, each `marker_every`th batch with a marker.

    Events are the lines of `file` behind the first `skip`; `first_marker` numbers the markers on over
    several streams into the same log.
    """

    command_port: int
    query_port: int
    file: str
    skip: int
    batch: int
    interval_ms: float
    seconds: float
    marker_every: int
    first_marker: int = 0
    host: str = "127.0.0.1"

    @property
    def batches(self) -> int:
        """Batches to send; the last one carries a marker."""
        wanted = int(self.seconds * 1_000 / self.interval_ms)
        return wanted // self.marker_every * self.marker_every

    @property
    def markers(self) -> int:
        """Batches that carry one."""
        return self.batches // self.marker_every

    @property
    def lines(self) -> int:
        """Lines of `file` that are used."""
        return self.batches * self.batch - self.markers


class StreamResult(msgspec.Struct):
    """`accepted` from due to acknowledged, `visible` from due to shown, `behind` from accepted to shown."""

    sent: int
    stored: int
    seconds: float
    wrong: list[str]
    accepted: Latency
    visible: Latency
    behind: Latency


def marker(number: int) -> Facts:
    """Marker event `number`: learners take turns, all on one day."""
    return facts(number) | {
        "id": f"marker-{number:08d}",
        "learner": f"bench-marker-{number % MARKED_LEARNERS:03d}",
        "time": f"{MARKED_DAY}T12:00:00Z",
        "timezone": "UTC",
    }


class OpenLoop:
    """Sends the batches of a stream at their times and looks for its markers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._bodies = list(_bodies(stream))
        self._posters: asyncio.Queue[Asker] = asyncio.Queue()
        self._askers: asyncio.Queue[Asker] = asyncio.Queue()
        self._stored = 0
        self._wrong: list[str] = []
        self._latencies: dict[str, list[float]] = {"accepted": [], "visible": [], "behind": []}

    async def run(self) -> StreamResult:
        """Send everything; returns when the last marker was seen."""
        stream = self._stream
        for _ in range(CONNECTIONS):
            self._posters.put_nowait(await Asker().open(stream.host, stream.command_port))
            self._askers.put_nowait(await Asker().open(stream.host, stream.query_port))
        began = time.perf_counter() + 0.05
        async with asyncio.TaskGroup() as tasks:
            for number, (body, mark) in enumerate(self._bodies):
                due = began + number * stream.interval_ms / 1_000
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(self._send(due, body, mark))
        seconds = time.perf_counter() - began
        for asker in [*_drained(self._posters), *_drained(self._askers)]:
            asker.close()
        latencies = {name: latency_of(values) for name, values in self._latencies.items()}
        return StreamResult(stream.batches * stream.batch, self._stored, seconds, self._wrong, **latencies)

    async def _send(self, due: float, body: bytes, mark: int | None) -> None:
        status, answer = await _ask(self._posters, body)
        accepted = time.perf_counter()
        self._latencies["accepted"].append(accepted - due)
        results: list[dict[str, Any]] = msgspec.json.decode(answer)["results"]
        self._stored += sum(result["status"] == "stored" for result in results)
        if status != 201:
            self._wrong.append(f"HTTP {status} instead of 201")
        elif mark is not None:
            await self._see(mark, results[-1]["position"])
            shown = time.perf_counter()
            self._latencies["visible"].append(shown - due)
            self._latencies["behind"].append(shown - accepted)

    async def _see(self, number: int, position: int) -> None:
        """Ask for the marked learner's day at the marker's position; it must count all markers so far."""
        variables = {"user": marker(number)["learner"], "day": MARKED_DAY, "position": position}
        body = msgspec.json.encode({"query": VISIBLE, "variables": variables})
        host = f"{self._stream.host}:{self._stream.query_port}"
        status, answer = await _ask(self._askers, post("/graphql", host, "application/json", body))
        expected = number // MARKED_LEARNERS + 1
        days = (msgspec.json.decode(answer).get("data") or {}).get("dailyStats") or [{"reviews": None}]
        reviews = days[0]["reviews"]
        if status != 200 or not isinstance(reviews, int) or reviews < expected:
            self._wrong.append(f"marker {number}: {expected} reviews expected, {answer.decode()}")


async def _ask(pool: asyncio.Queue[Asker], request: bytes) -> tuple[int, bytes]:
    asker = await pool.get()
    answer = await asker.ask(request)
    pool.put_nowait(asker)
    return answer


def _bodies(stream: Stream) -> Iterator[tuple[bytes, int | None]]:
    """(request, number of its marker) of every batch."""
    lines = islice(read_lines(Path(stream.file), stream.skip + stream.lines), stream.skip, None)
    host = f"{stream.host}:{stream.command_port}"
    for batch in range(1, stream.batches + 1):
        round_, rest = divmod(batch, stream.marker_every)
        mark = None if rest else stream.first_marker + round_ - 1
        events = list(islice(lines, stream.batch - (mark is not None)))
        if mark is not None:
            events.append(cloud_event(marker(mark)))
        yield post("/events", host, BATCH, body_of(events, BATCH)), mark


def _drained(queue: asyncio.Queue[Asker]) -> Iterator[Asker]:
    while not queue.empty():
        yield queue.get_nowait()


def main() -> None:
    """Do what standard input says."""
    stream = msgspec.json.decode(sys.stdin.buffer.read(), type=Stream)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(OpenLoop(stream).run())))


if __name__ == "__main__":
    main()
