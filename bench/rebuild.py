"""How fast read models are computed anew, from all events or a snapshot, and what that costs the readers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
import uvloop
from cyclopts import run

from bench import machine, peers, rebuild_curve
from bench.database import STATEMENTS, BenchServer, bench_folder, query, query_one
from bench.harness import Contender, Goal, Report, Run, alternate, console, finish, show_goals, show_rates
from bench.history import differences, rows_by_day
from bench.live import catch_up
from bench.rebuild_curve import Curve, measure_curve, show_curve
from bench.rebuild_engine import rebuild_all
from bench.rebuild_history import LONG, LongHistory, Population, make_long_history
from bench.rebuild_past import measure_past, show_past
from bench.rebuild_peers import EMMETT, FROM_COLUMNS, FROM_JSON, VIEW, Beside
from bench.rebuild_reads import measure_reads, show_reads

SCRATCH = "ours: rebuild of everything"
SNAPSHOT = "ours: the same from a snapshot"
LIVE = "ours: live catch-up"

GOALS = (
    Goal(SCRATCH, 200_000),
    Goal(SNAPSHOT, 5, SCRATCH),
    Goal(LIVE, 50_000),
    Goal(SCRATCH, None, EMMETT),
    Goal(SCRATCH, None, VIEW),
    Goal(SCRATCH, None, FROM_JSON),
    Goal(SCRATCH, None, FROM_COLUMNS),
)

LEGEND = """\
missed, duplicated: what daily rows lack or exceed against a recount event by event; for rebuilds also the
rows of all read models that are not as before. Emmett keeps three counters a day, the view and DuckDB six,
ours all tables."""


@dataclass(frozen=True)
class Sizes:
    """Who learns, how many events Emmett gets, and where the curve is measured."""

    population: Population
    emmett: int
    curve: Curve


FULL = Sizes(Population(380, 182, 18, 265, 12), 50_000, rebuild_curve.FULL)
QUICK = Sizes(Population(20, 20, 3, 30, 4), 2_000, rebuild_curve.QUICK)


class Rebuilds:
    """Measures our engine over the long history, and compares every daily row with the recount."""

    def __init__(self, long: LongHistory) -> None:
        self._long = long

    def contenders(self) -> list[Contender]:
        """What the engine can do, in the order of the table."""
        return [
            Contender(SCRATCH, LONG, partial(self._rebuild, from_snapshot=False)),
            Contender(SNAPSHOT, LONG, partial(self._rebuild, from_snapshot=True)),
            Contender(LIVE, LONG, self._live),
        ]

    def _rebuild(self, url: str, *, from_snapshot: bool) -> Run:
        seconds = uvloop.run(_timed(rebuild_all(url, from_snapshot=from_snapshot)))
        lacking, only_here = asyncio.run(rebuilt_differences(url))
        run = self._checked(url, seconds)
        return msgspec.structs.replace(
            run, missed=run.missed + lacking, duplicated=run.duplicated + only_here
        )

    def _live(self, url: str) -> Run:
        query(url, "forget_read_models")
        seconds = uvloop.run(catch_up(url))
        return self._checked(url, seconds)

    def _checked(self, url: str, seconds: float) -> Run:
        state = query_one(url, "checkpoints")
        if not state["complete"]:
            raise RuntimeError("the read models did not reach the end of the log")
        found = rows_by_day(query(url, "our_daily_rows"))
        return Run(state["events"], seconds, *differences(self._long.expected, found))


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def rebuilt_differences(url: str) -> tuple[int, int]:
    """Over all read models: rows of the table before the rebuild that the new one lacks, and the reverse."""
    lacking = only_here = 0
    connection = await asyncpg.connect(url)
    try:
        pairs = await connection.fetch((STATEMENTS / "rebuilt_tables.sql").read_text())
        if not pairs:
            raise RuntimeError("nothing was rebuilt")
        for pair in pairs:
            fresh, former = f'TABLE read."{pair["fresh"]}"', f'TABLE read."{pair["former"]}"'
            lacking += await connection.fetchval(
                f"SELECT count(*) FROM ({former} EXCEPT ALL {fresh}) AS rows"
            )
            only_here += await connection.fetchval(
                f"SELECT count(*) FROM ({fresh} EXCEPT ALL {former}) AS rows"
            )
    finally:
        await connection.close()
    return lacking, only_here


def main(*, runs: int = 3, quick: bool = False, curve: bool = False) -> None:
    """Measure rebuilds, ours and the peers', and reads meanwhile.

    Parameters
    ----------
    runs
        Rounds; in each every contender runs once.
    quick
        Small sizes: shows that everything works, the figures mean little.
    curve
        Measure instead what an event costs as the log grows to ten million events.
    """
    sizes = QUICK if quick else FULL
    peers.install()
    with bench_folder() as folder, BenchServer(folder / "postgres") as server:
        facts = machine.about(server)
        machine.show(facts)
        if curve:
            report = Report("curve", facts)
            points, report.failures = measure_curve(server, sizes.curve)
            show_curve(report, points, sizes.curve)
        else:
            report = _rebuilds(server, folder, Report("rebuild", facts), sizes, runs)
    finish(report)


def _rebuilds(server: BenchServer, folder: Path, report: Report, sizes: Sizes, runs: int) -> Report:
    long = make_long_history(server, sizes.population, folder)
    beside = Beside(server, long, folder, sizes.emmett)
    report.runs = alternate(server, [*Rebuilds(long).contenders(), *beside.contenders()], runs)
    reads = measure_reads(server, long, folder, runs)
    looks = measure_past(server, runs)
    events = f"{long.history.events:,} events of {long.learners:,} learners on {long.days} days"
    show_rates(report, f"Read models computed anew, {events}")
    console.print(LEGEND)
    show_goals(report, [goal for goal in GOALS if goal.contender in report.runs])
    show_reads(report, reads)
    show_past(report, looks)
    return report


if __name__ == "__main__":
    run(main)
