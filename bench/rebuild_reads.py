"""GraphQL answers while all read models are rebuilt, and on the same machine when nothing else happens."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from itertools import cycle
from pathlib import Path

import msgspec
import uvloop

from bench.database import BenchServer
from bench.figures import Latency, latency_of, spread_of
from bench.harness import Report
from bench.http_client import Asker, post
from bench.latencies import show_at_most, show_latencies
from bench.rebuild_history import LONG, LongHistory
from bench.services import query_service

CONNECTIONS = 8
INTERVAL = 0.01  # seconds between two questions, whatever became of the ones before
WARM_UP = 1.0  # seconds
LEAST_SAMPLES = 100
GOAL = 2.0  # times the p95 of quiet reads
QUESTIONS = 2_000
DAY = """
query($user: ID!, $day: Date!) {
  dailyStats(userId: $user, date: $day) {
    date reviews correct accuracy sessions studyTime { seconds } newItems activities active
  }
}
"""


class Reads(msgspec.Struct):
    """Milliseconds from when a question was due to its answer; `wrong` names answers that were not right."""

    quiet: Latency
    during: Latency
    wrong: list[str]

    @property
    def ratio(self) -> float:
        """How many times the p95 grows."""
        return self.during.p95 / self.quiet.p95


class Reader:
    """Asks for random days of random learners and checks the answers."""

    def __init__(self, port: int, long: LongHistory, seed: int) -> None:
        dice = random.Random(seed)
        days = dice.choices(list(long.expected), k=QUESTIONS)
        host = f"127.0.0.1:{port}"
        self._port = port
        self._questions = cycle([(_question(host, *day), long.expected[day][0]) for day in days])
        self._free: asyncio.Queue[Asker] = asyncio.Queue()
        self._latencies: list[float] = []
        self.wrong: list[str] = []

    async def open(self) -> None:
        """Connect."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await Asker().open("127.0.0.1", self._port))

    def close(self) -> None:
        """Say good-bye."""
        while not self._free.empty():
            self._free.get_nowait().close()

    async def read_while(self, go_on: Callable[[], bool]) -> Latency:
        """Ask at steady intervals as long as `go_on` says so, and at least `LEAST_SAMPLES` times."""
        self._latencies = []
        began = time.perf_counter()
        number = 0
        async with asyncio.TaskGroup() as tasks:
            while number < LEAST_SAMPLES or go_on():
                due = began + number * INTERVAL
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(self._ask(due, *next(self._questions)))
                number += 1
        return latency_of(self._latencies)

    async def _ask(self, due: float, request: bytes, reviews: int) -> None:
        asker = await self._free.get()
        status, answer = await asker.ask(request)
        self._free.put_nowait(asker)
        self._latencies.append(time.perf_counter() - due)
        days = (msgspec.json.decode(answer).get("data") or {}).get("dailyStats") or [{}]
        if status != 200 or days[0].get("reviews") != reviews:
            self.wrong.append(f"{reviews} reviews expected, HTTP {status} {answer.decode()}")


def measure_reads(server: BenchServer, long: LongHistory, folder: Path, runs: int) -> list[Reads]:
    """In each run the same questions during a rebuild, and for as long as it took when it is over."""
    results: list[Reads] = []
    with server.fresh(LONG) as url, query_service(url, folder) as service:
        for number in range(runs):
            reader = Reader(service.ports["query"], long, seed=number)
            results.append(uvloop.run(_read(reader, url)))
    return results


def show_reads(report: Report, results: Sequence[Reads]) -> None:
    """The table of answers, quiet and during a rebuild, and whether the goal was met."""
    report.notes["reads"] = results
    for result in results:
        report.failures += result.wrong[:3]
    show_latencies(
        "Milliseconds of a GraphQL dailyStats, open loop",
        [
            ("nothing else happens", [result.quiet for result in results]),
            ("during a rebuild of everything", [result.during for result in results]),
        ],
    )
    show_at_most("p95 during a rebuild ÷ quiet", spread_of([result.ratio for result in results]), GOAL)


async def _read(reader: Reader, url: str) -> Reads:
    await reader.open()
    try:
        await reader.read_while(_for(WARM_UP))
        began = time.perf_counter()
        rebuilding = asyncio.create_task(asyncio.to_thread(_rebuild, url))
        during = await reader.read_while(lambda: not rebuilding.done())
        await rebuilding
        took = time.perf_counter() - began
        await reader.read_while(_for(WARM_UP))
        quiet = await reader.read_while(_for(took))
    finally:
        reader.close()
    return Reads(quiet, during, reader.wrong)


def _rebuild(url: str) -> None:
    """Rebuild everything in a process of its own, which takes no time from the one that asks."""
    subprocess.run([sys.executable, "-m", "bench.rebuild_engine", url], check=True)


def _for(seconds: float) -> Callable[[], bool]:
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() < until


def _question(host: str, learner: str, day: date) -> bytes:
    body = msgspec.json.encode({"query": DAY, "variables": {"user": learner, "day": day}})
    return post("/graphql", host, "application/json", body)
