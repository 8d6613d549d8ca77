"""How fast read models follow: catching up beside the peers' projections, and accepted → visible."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import date

import uvloop
from cyclopts import run

from bench import machine, peers
from bench.database import EMPTY, BenchServer, bench_folder, query, query_one
from bench.harness import Contender, Goal, Report, Run, alternate, console, finish, show_goals, show_rates
from bench.history import HISTORY, History, differences, make_history, recount, rows_by_day
from bench.visible import Streams, measure_visible, show_visible
from progress_context.engine.worker import Worker
from progress_context.log.database import open_pool
from progress_context.settings import Settings
from progress_context.simulator import Simulation

CATCH_UP = "ours: all realtime read models"
RUNNER = "eventsourcing ProjectionRunner, daily rows"
CONSUMER = "Emmett consumer, daily rows"
INLINE_ONE = "Emmett inline, append by 1"
INLINE_HUNDRED = "Emmett inline, append by 100"

GOALS = (
    Goal(CATCH_UP, 50_000),
    Goal(CATCH_UP, 40, RUNNER),
    Goal(CATCH_UP, None, CONSUMER),
    Goal(CATCH_UP, None, INLINE_HUNDRED),
)


@dataclass(frozen=True)
class Sizes:
    """The history, how many of its events each peer gets, and the streams for visibility."""

    learners: int
    days: int
    runner: int
    consumer: int
    inline_one: int
    inline_hundred: int
    streams: Streams


FULL = Sizes(1_200, 20, 5_000, 20_000, 3_000, 40_000, Streams(seconds=15, warm_up_seconds=5))
QUICK = Sizes(200, 5, 500, 2_000, 300, 4_000, Streams(seconds=3, warm_up_seconds=1))


class CatchUps:
    """Measures projections over one history."""

    def __init__(self, history: History, sizes: Sizes) -> None:
        self._history = history
        self._sizes = sizes
        self._expected = recount(history.facts, history.facts_count)

    def contenders(self) -> list[Contender]:
        """Everyone, in the order of the table."""
        sizes = self._sizes
        return [
            Contender(CATCH_UP, HISTORY, self._ours),
            Contender(RUNNER, EMPTY, self._runner),
            self._emmett(CONSUMER, sizes.consumer, inline=False),
            self._emmett(INLINE_ONE, sizes.inline_one, inline=True, per_call=1),
            self._emmett(INLINE_HUNDRED, sizes.inline_hundred, inline=True, per_call=100),
        ]

    def _ours(self, url: str) -> Run:
        seconds = uvloop.run(catch_up(url))
        state = query_one(url, "checkpoints")
        if not state["complete"]:
            raise RuntimeError("the read models did not reach the end of the log")
        found = rows_by_day(query(url, "our_daily_rows"))
        return Run(state["events"], seconds, *differences(self._expected, found))

    def _runner(self, url: str) -> Run:
        events = self._sizes.runner
        environment = peers.connection_environment(url)
        result = peers.drive_python(
            "eventsourcing_project", environment=environment, file=str(self._history.facts), events=events
        )
        return self._peer_run(url, events, result["seconds"])

    def _emmett(self, name: str, events: int, *, inline: bool, per_call: int = 100) -> Contender:
        def measure(url: str) -> Run:
            result = peers.drive_node(
                "emmett_project", url=url, file=str(self._history.facts), events=events, inline=inline,
                per_call=per_call, batch=1_000,
            )  # fmt: skip
            return self._peer_run(url, events, result["seconds"])

        return Contender(name, EMPTY, measure)

    def _peer_run(self, url: str, events: int, seconds: float) -> Run:
        expected = recount(self._history.facts, events)
        found = rows_by_day(query(url, "peer_daily_rows"))
        return Run(events, seconds, *differences(expected, found))


async def catch_up(url: str) -> float:
    """Seconds until the service's own worker has folded the whole log, with the default page size."""
    pool = await open_pool(url, "progress_projection", size=2)
    settings = Settings()
    worker = Worker(pool, page_events=settings.page_events, poll_seconds=settings.poll_ms / 1_000)
    began = time.perf_counter()
    await worker.catch_up()
    seconds = time.perf_counter() - began
    await asyncio.wait_for(pool.close(), 10)
    return seconds


def main(*, runs: int = 5, quick: bool = False) -> None:
    """Measure how fast read models follow the log, ours and the peers'.

    Parameters
    ----------
    runs
        Rounds; in each every contender runs once.
    quick
        Small sizes: shows that everything works, the figures mean little.
    """
    sizes = QUICK if quick else FULL
    peers.install()
    with bench_folder() as folder, BenchServer(folder / "postgres") as server:
        facts = machine.about(server)
        machine.show(facts)
        simulation = Simulation(learners=sizes.learners, days=sizes.days, end=date(2026, 11, 20))
        history = make_history(server, simulation, folder)
        contenders = CatchUps(history, sizes).contenders()
        report = Report("live", facts, alternate(server, contenders, runs))
        visible = measure_visible(server, folder, sizes.streams, runs)
    show_rates(report, f"Catching up, {history.events:,} events of {sizes.learners:,} learners")
    show_goals(report, GOALS)
    show_visible(report, visible, sizes.streams)
    console.print("missed, duplicated: what daily rows lack or exceed, against a recount event by event")
    finish(report)


if __name__ == "__main__":
    run(main)
