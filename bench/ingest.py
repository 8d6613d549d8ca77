"""How fast events become durable: POST /events beside the peers' appends and a bare COPY."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cyclopts import run

from bench import machine, peers
from bench.copy_limit import copy_rows
from bench.database import EMPTY, MIGRATED, BenchServer, bench_folder, query_one
from bench.events import LEARNERS, write_inputs
from bench.harness import Contender, Goal, Report, Run, alternate, console, finish, show_goals, show_rates
from bench.load import Load, LoadResult
from bench.services import command_service

BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
SINGLE = "application/cloudevents+json"

BATCHED = "POST by 100, 16 connections"
ONE_BY_ONE = "POST by 1, 32 connections"
EMMETT_ONE = "Emmett append by 1, 32 at a time"
EMMETT_HUNDRED = "Emmett append by 100, 8 at a time"
SAVE_HUNDRED = "eventsourcing save by 100, 4 threads"
COPY = "limit: COPY, 5,000 a commit"

THREADS = 4  # of eventsourcing: faster than 1 and, by single events, than 16

GOALS = (
    Goal(BATCHED, 30_000),
    Goal(BATCHED, 1, EMMETT_HUNDRED),
    Goal(ONE_BY_ONE, 4_000),
    Goal(ONE_BY_ONE, 2, EMMETT_ONE),
    Goal(BATCHED, None, SAVE_HUNDRED),
    Goal(BATCHED, None, COPY),
)


@dataclass(frozen=True)
class Sizes:
    """How many events a run of each kind takes: some seconds' worth."""

    batched: int
    single: int
    peer_batched: int
    peer_single: int


FULL = Sizes(batched=200_000, single=30_000, peer_batched=60_000, peer_single=10_000)
QUICK = Sizes(batched=20_000, single=4_000, peer_batched=10_000, peer_single=1_000)


class Appends:
    """Measures appends of events from two input files."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self._folder = folder
        self._sizes = sizes
        self._ours, self._theirs = write_inputs(folder, _with_warm_up(sizes.batched))

    def contenders(self) -> list[Contender]:
        """Everyone, in the order of the table."""
        sizes = self._sizes
        return [
            self._post("POST by 100, 8 connections", sizes.batched, 100, 8, BATCH),
            self._post(BATCHED, sizes.batched, 100, 16, BATCH),
            self._post("POST by 100 as NDJSON, 16 conn.", sizes.batched, 100, 16, LINES),
            self._post(ONE_BY_ONE, sizes.single, 1, 32, SINGLE),
            self._eventsourcing("eventsourcing save by 1, 4 threads", sizes.peer_single, 1),
            self._eventsourcing("eventsourcing save by 10, 4 threads", sizes.peer_batched, 10),
            self._eventsourcing(SAVE_HUNDRED, sizes.peer_batched, 100),
            self._emmett(EMMETT_ONE, sizes.single, per_call=1, concurrency=32),
            self._emmett(EMMETT_HUNDRED, sizes.batched, per_call=100, concurrency=8),
            Contender(COPY, MIGRATED, self._copy),
        ]

    def _post(self, name: str, events: int, per_request: int, connections: int, kind: str) -> Contender:
        def measure(url: str) -> Run:
            warm_up = _with_warm_up(events) - events
            with command_service(url, self._folder) as service:
                port = service.ports["command"]
                result = send(Load(port, str(self._ours), events, warm_up, per_request, connections, kind))
            run = _checked(url, "stored_in_log", warm_up + events, events, result.seconds)
            unacknowledged = warm_up + events - result.counted
            return msgspec.structs.replace(
                run, missed=max(run.missed, unacknowledged), latency=result.latency
            )

        return Contender(name, MIGRATED, measure)

    def _eventsourcing(self, name: str, events: int, per_call: int) -> Contender:
        def measure(url: str) -> Run:
            warm_up = _with_warm_up(events) - events
            result = peers.drive_python(
                "eventsourcing_append", environment=peers.connection_environment(url),
                file=str(self._theirs), events=events, warm_up=warm_up, per_call=per_call, learners=LEARNERS,
                threads=THREADS,
            )  # fmt: skip
            return _checked(url, "saved_by_eventsourcing", warm_up + events, events, result["seconds"])

        return Contender(name, EMPTY, measure)

    def _emmett(self, name: str, events: int, *, per_call: int, concurrency: int) -> Contender:
        def measure(url: str) -> Run:
            warm_up = _with_warm_up(events) - events
            result = peers.drive_node(
                "emmett_append", url=url, file=str(self._theirs), events=events, warm_up=warm_up,
                per_call=per_call, concurrency=concurrency, connections=concurrency, learners=LEARNERS,
            )  # fmt: skip
            return _checked(url, "saved_by_emmett", warm_up + events, events, result["seconds"])

        return Contender(name, EMPTY, measure)

    def _copy(self, url: str) -> Run:
        events = self._sizes.batched
        warm_up = _with_warm_up(events) - events
        seconds = asyncio.run(copy_rows(url, self._ours, warm_up, events))
        return _checked(url, "copied", warm_up + events, events, seconds)


def send(load: Load) -> LoadResult:
    """Run the load generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(load),
        stdout=subprocess.PIPE,
        timeout=600,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=LoadResult)


def main(*, runs: int = 5, quick: bool = False) -> None:
    """Measure appends, ours and the peers'.

    Parameters
    ----------
    runs
        Rounds; in each every contender runs once.
    quick
        Small sizes: shows that everything works, the figures mean little.
    """
    peers.install()
    with bench_folder() as folder, BenchServer(folder / "postgres") as server:
        facts = machine.about(server)
        machine.show(facts)
        contenders = Appends(folder, QUICK if quick else FULL).contenders()
        report = Report("ingest", facts, alternate(server, contenders, runs))
    show_rates(report, "Events made durable")
    show_goals(report, GOALS)
    console.print("missed: sent, but not there or not acknowledged · duplicated: there more than once")
    finish(report)


def _with_warm_up(events: int) -> int:
    """A tenth more, in whole hundreds, for caches, compilers and streams yet to be created."""
    return events + max(1_000, events // 1_000 * 100)


def _checked(url: str, name: str, expected: int, events: int, seconds: float) -> Run:
    there = query_one(url, name)
    return Run(events, seconds, expected - there["events"], there["rows"] - there["events"])


if __name__ == "__main__":
    run(main)
