"""From sending an event to seeing it in GraphQL, under a steady stream into the whole running system."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.database import BenchServer, query_one
from bench.events import write_inputs
from bench.figures import spread_of
from bench.harness import Report
from bench.history import HISTORY
from bench.latencies import show_at_most, show_latencies
from bench.open_loop import Stream, StreamResult
from bench.services import whole_system

GOAL_P50, GOAL_P99 = 30.0, 150.0  # milliseconds, sent → visible


@dataclass(frozen=True)
class Streams:
    """What is sent: the same in the warm-up and in every run."""

    seconds: float
    warm_up_seconds: float
    batch: int = 20
    interval_ms: float = 10.0
    marker_every: int = 5

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.batch * 1_000 / self.interval_ms


def measure_visible(
    server: BenchServer,
    folder: Path,
    streams: Streams,
    runs: int,
    environment: Mapping[str, str] | None = None,
) -> list[StreamResult]:
    """One system that has caught up with the history, and `runs` streams into it after a warm-up."""
    longest = [streams.warm_up_seconds] + runs * [streams.seconds]
    file, _ = write_inputs(folder, int(sum(longest) * streams.rate))
    results: list[StreamResult] = []
    with server.fresh(HISTORY) as url:
        with whole_system(url, folder, environment) as system:
            skip = markers = 0
            for seconds in longest:
                stream = Stream(
                    system.ports["command"], system.ports["query"], str(file), skip,
                    streams.batch, streams.interval_ms, seconds, streams.marker_every, markers,
                )  # fmt: skip
                results.append(_run(stream))
                skip, markers = skip + stream.lines, markers + stream.markers
        _check(url, results)
    return results[1:]


def show_visible(report: Report, results: Sequence[StreamResult], streams: Streams) -> None:
    """The table of latencies: medians over the runs, and the worst run."""
    report.notes["visible"] = results
    for result in results:
        report.failures += result.wrong[:3]
    rows = (
        ("sent → accepted (on disk)", [result.accepted for result in results]),
        ("accepted → visible in GraphQL", [result.behind for result in results]),
        ("sent → visible in GraphQL", [result.visible for result in results]),
    )
    show_latencies(f"Milliseconds at {streams.rate:,.0f} events/s, open loop", rows)
    visible = [result.visible for result in results]
    for name, most in (("p50", GOAL_P50), ("p99", GOAL_P99)):
        found = spread_of([getattr(latency, name) for latency in visible])
        show_at_most(f"sent → visible {name}", found, most, " ms")


def _run(stream: Stream) -> StreamResult:
    done = subprocess.run(
        [sys.executable, "-m", "bench.open_loop"],
        input=msgspec.json.encode(stream),
        stdout=subprocess.PIPE,
        timeout=stream.seconds * 10 + 60,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=StreamResult)


def _check(url: str, results: Sequence[StreamResult]) -> None:
    """Every event sent is in the log once, and counted once in its learner's day."""
    sent = sum(result.sent for result in results)
    stored = query_one(url, "stored_in_log")
    reviews = query_one(url, "reviews_of_bench_learners")["reviews"]
    found = (sum(result.stored for result in results), stored["rows"], stored["events"], reviews)
    if any(number != sent for number in found):
        names = ("acknowledged", "rows", "events", "reviews")
        results[-1].wrong.append(f"{sent} sent, but {dict(zip(names, found, strict=True))}")
