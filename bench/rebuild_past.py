"""One learner's days as they were: at positions spread over a long history, with and without a snapshot."""

from __future__ import annotations

import time
from collections.abc import Sequence

import asyncpg
import msgspec
import uvloop

from bench.database import STATEMENTS, BenchServer, query_one
from bench.figures import Latency, latency_of, spread_of
from bench.harness import Report
from bench.latencies import show_at_most, show_latencies
from bench.rebuild_engine import open_past
from bench.rebuild_history import LONG

EVENTS = 10_000  # of the learner, or as near as one comes
POSITIONS = 300
GOAL = 50.0  # milliseconds, p95
FROM_SNAPSHOT, FROM_EVENTS = "from a snapshot", "from events alone"
MODELS = ("daily_stats", "user_summary")


class Look(msgspec.Struct):
    """Milliseconds of an answer, by read model and by what it was computed from."""

    events: int
    latencies: dict[str, dict[str, Latency]]
    wrong: list[str]


def measure_past(server: BenchServer, runs: int) -> list[Look]:
    """In each run every position is asked about once, read model by read model, on new connections."""
    with server.fresh(LONG) as url:
        learner = query_one(url, "learner_to_look_at")
        return [uvloop.run(_look(url, learner["learner_key"], learner["events"])) for _ in range(runs)]


def show_past(report: Report, looks: Sequence[Look]) -> None:
    """The table of answers about the past, and whether the goal was met where a snapshot served."""
    report.notes["past"] = looks
    for look in looks:
        report.failures += look.wrong[:3]
    rows = [
        (f"{name}, {served}", [look.latencies[name][served] for look in looks])
        for name, by in looks[0].latencies.items()
        for served in by
    ]
    show_latencies(f"Milliseconds of the past of a learner with {looks[0].events:,} events", rows)
    for name in MODELS:
        found = spread_of([look.latencies[name][FROM_SNAPSHOT].p95 for look in looks])
        show_at_most(f"{name} {FROM_SNAPSHOT} p95", found, GOAL, " ms")


async def _look(url: str, learner: int, events: int) -> Look:
    latencies: dict[str, dict[str, list[float]]] = {name: {} for name in MODELS}
    wrong: list[str] = []
    positions_of = (STATEMENTS / "positions_of_learner.sql").read_text()
    reviews_by = (STATEMENTS / "reviews_as_of.sql").read_text()
    owner = await asyncpg.connect(url)
    try:
        positions = [row[0] for row in await owner.fetch(positions_of, learner, POSITIONS)]
        async with open_past(url) as past:
            for name in MODELS:
                for position in positions:
                    began = time.perf_counter()
                    answer = await past(name, learner, position)
                    took = time.perf_counter() - began
                    served = FROM_EVENTS if answer.snapshot is None else FROM_SNAPSHOT
                    latencies[name].setdefault(served, []).append(took)
                    found = sum(row["reviews"] for row in answer.rows)
                    expected = await owner.fetchval(reviews_by, learner, position)
                    if found != expected:
                        wrong.append(f"{name} at {position}: {found} reviews instead of {expected}")
    finally:
        await owner.close()
    measured = {
        name: {served: latency_of(values) for served, values in by.items()} for name, by in latencies.items()
    }
    return Look(events, measured, wrong)
