"""A log of half a year in which a few hundred learners stay and thousands look in for some days."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path

from bench.database import MIGRATED, BenchServer, query, query_one
from bench.events import read_lines
from bench.harness import console
from bench.history import Counts, Day, History, recount, write_facts
from bench.live import catch_up
from bench.rebuild_engine import build, follow_in_batches, take_snapshot
from progress_context.intake.cloudevents import decode_lines
from progress_context.intake.learning_day import learning_day_in
from progress_context.log.append import Appender
from progress_context.log.database import open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar
from progress_context.settings import Settings
from progress_context.simulator import Simulation, events

LONG = "bench_long"
END = date(2026, 11, 20)
GROUP = 5_000
SNAPSHOTS_AT = (0.3, 0.6, 0.9)  # of the log


@dataclass(frozen=True)
class Population:
    """`stayers` learn on all `days`; `cohorts` groups of newcomers, evenly spread, stay for `visit` days."""

    stayers: int
    days: int
    cohorts: int
    newcomers: int
    visit: int

    def simulations(self) -> list[Simulation]:
        """The stayers, then each cohort."""
        whole = Simulation(learners=self.stayers, days=self.days, end=END)
        apart = (self.days - self.visit) / max(1, self.cohorts - 1)
        ends = [END - timedelta(days=round(number * apart)) for number in range(self.cohorts)]
        return [
            whole,
            *(
                Simulation(learners=self.newcomers, days=self.visit, end=end, seed=seed)
                for seed, end in enumerate(ends, start=2)
            ),
        ]


@dataclass(frozen=True)
class LongHistory:
    """What the database `bench_long` holds, and its days counted one by one."""

    history: History
    learners: int
    days: int
    keys: dict[int, str]
    expected: dict[Day, Counts]


def make_long_history(server: BenchServer, population: Population, folder: Path) -> LongHistory:
    """Fill the database `bench_long`; its read models follow, and snapshots are taken on the way."""
    server.make(LONG, MIGRATED)
    url = server.url(LONG)
    lines = folder / "long.jsonl"
    asyncio.run(_fill(url, lines, _write_lines(population, lines)))
    server.execute("VACUUM ANALYZE", LONG)
    about = query_one(url, "size_of_log")
    console.print(f"[dim]history: {about['events']:,} events of {about['learners']:,} learners[/]")
    facts = folder / "long_facts.jsonl"
    history = History(about["events"], facts, write_facts(url, facts))
    keys = {row["learner_key"]: row["learner_id"] for row in query(url, "learners")}
    expected = recount(facts, history.facts_count)
    return LongHistory(history, about["learners"], about["days"], keys, expected)


def _write_lines(population: Population, file: Path) -> int:
    """All deliveries about in the order of time, one on each line; returns how many."""
    simulations = population.simulations()
    streams = [_named(events(simulation), number) for number, simulation in enumerate(simulations)]
    with file.open("wb") as lines:
        return sum(lines.write(line + b"\n") > 0 for line in heapq.merge(*streams, key=_time))


def _named(stream: Iterable[bytes], cohort: int) -> Iterator[bytes]:
    """Deliveries of one cohort under names of its own; only the first one brings a vocabulary."""
    for line in stream:
        if b'"subject":"learner-' in line:
            yield line.replace(b'"subject":"learner-', b'"subject":"cohort-%d-learner-' % cohort, 1)
        elif cohort == 0:
            yield line


def _time(line: bytes) -> bytes:
    start = line.index(b'"time":"') + 8
    return line[start : start + 23]


async def _fill(url: str, file: Path, count: int) -> None:
    """Append everything; at each of `SNAPSHOTS_AT` the read models follow and a snapshot is taken."""
    lines = read_lines(file, count)
    done = 0
    for share in SNAPSHOTS_AT:
        upto = int(share * count)
        await _append(url, islice(lines, upto - done))
        if done == 0:
            await build(url)
        await catch_up(url)
        await take_snapshot(url)
        done = upto
    await _append(url, lines)
    await catch_up(url)
    await follow_in_batches(url)


async def _append(url: str, lines: Iterable[bytes]) -> None:
    settings = Settings()
    pool = await open_pool(url, "progress_command", size=2)
    default = Calendar(settings.default_time_zone, settings.default_rollover_hour)
    appender = Appender(pool, learning_day_in, default)
    remaining = iter(lines)
    try:
        while group := list(islice(remaining, GROUP)):
            parsed = decode_lines(b"\n".join(group), now=datetime.now(UTC))
            await appender.append([event for event in parsed if isinstance(event, NewEvent)])
    finally:
        await pool.close()
