"""How fast GraphQL answers, beside PostGraphile over the same rows and beside one bare query."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import uvloop
from cyclopts import run

from bench import machine, peers
from bench.database import STATEMENTS, BenchServer, bench_folder
from bench.harness import Contender, Goal, Report, Run, alternate, console, finish, show_goals, show_rates
from bench.history import HISTORY, make_history, recount
from bench.ingest import send
from bench.live import catch_up
from bench.load import Load
from bench.query_live import CROWDS, QUICK_CROWDS, Crowd, measure_live, show_live
from bench.query_page import Streams, measure_pages, show_pages
from bench.query_questions import (
    ALL_DAYS,
    CONNECTIONS,
    COUNTED,
    DAYS,
    JSON,
    OURS,
    PATH,
    STORED_DAYS,
    Questions,
)
from bench.query_servers import Serve, ours, ours_with_redis, postgraphile, raw, stock
from bench.rebuild_engine import follow_in_batches
from progress_context.simulator import Simulation

END = date(2026, 11, 20)

UNCACHED = "ours: uncached"
IN_PROCESS = "ours: cached in the process"
IN_REDIS = "ours: cached in Redis only"
STOCK = "ours: graphql-core executes"
SAME_ROWS = "PostGraphile, the same 30 rows"
STORED_ROWS = "PostGraphile, stored rows only"
RAW = "limit: one query, bare ASGI"

GOALS = (
    Goal(UNCACHED, 2, SAME_ROWS),
    Goal(UNCACHED, 2, STORED_ROWS),
    Goal(IN_PROCESS, 6, SAME_ROWS),
    Goal(IN_PROCESS, 6, STORED_ROWS),
    Goal(IN_REDIS, 3, SAME_ROWS),
    Goal(IN_REDIS, 3, STORED_ROWS),
    Goal(UNCACHED, None, STOCK),
    Goal(UNCACHED, None, RAW),
)

LEGEND = """\
missed: wrong answers in the check before the clock starts, and days that the timed answers lack; duplicated:
days they have too many. Stored rows are days with a review or an activity; the others answer for 30 days."""


@dataclass(frozen=True)
class Sizes:
    """Who learns for how long, questions asked before and after the clock starts, answers checked, pages,
    subscribers."""

    learners: int
    days: int
    warm_up: int
    questions: int
    checked: int
    pages: Streams
    crowds: tuple[Crowd, ...]


FULL = Sizes(1_100, 32, 3_000, 12_000, 500, Streams(seconds=15, warm_up_seconds=5), CROWDS)
QUICK = Sizes(60, 32, 200, 1_000, 50, Streams(seconds=3, warm_up_seconds=1), QUICK_CROWDS)


@dataclass(frozen=True)
class Asked:
    """A contender: who serves, and how it is asked; one in `part` of the questions.

    Without `quiet` it answers for stored days only; with `warm` about every learner before it is measured.
    """

    name: str
    serve: Serve
    query: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    quiet: bool = True
    part: int = 1
    warm: bool = False


WITHOUT_CACHE = Asked(UNCACHED, ours(), OURS, {"cache-control": "no-cache"})
CONTENDERS = (
    WITHOUT_CACHE,
    Asked(IN_PROCESS, ours(PROGRESS_CACHE="memory"), OURS, warm=True),
    Asked(IN_REDIS, ours_with_redis, OURS, warm=True),
    Asked(STOCK, stock, OURS, part=4),
    Asked(SAME_ROWS, postgraphile, ALL_DAYS),
    Asked(STORED_ROWS, postgraphile, STORED_DAYS, quiet=False),
    Asked(RAW, raw, OURS),
)


class Answers:
    """Measures who answers for `DAYS` days of random learners, and compares what they say with a recount."""

    def __init__(self, folder: Path, questions: Questions, sizes: Sizes) -> None:
        self._folder = folder
        self._questions = questions
        self._sizes = sizes
        self._learners = questions.draw(sizes.warm_up + sizes.questions)
        self.wrong: list[str] = []

    def contender(self, asked: Asked) -> Contender:
        """Something to measure over the history."""
        file = self._folder / f"questions-{asked.name.replace(' ', '-')}.jsonl"
        self._questions.write(asked.query, self._learners, file)

        def measure(url: str) -> Run:
            with asked.serve(url, self._folder) as port:
                return self._measure(asked, port, file)

        return Contender(asked.name, HISTORY, measure)

    def _measure(self, asked: Asked, port: int, file: Path) -> Run:
        checked = self._questions.learners if asked.warm else self._learners[: self._sizes.checked]
        wrong = uvloop.run(
            self._questions.wrong(port, asked.query, checked, headers=asked.headers, quiet=asked.quiet)
        )
        self.wrong += [f"{asked.name}: {what}" for what in wrong[:3]]
        timed, warm_up = self._sizes.questions // asked.part, self._sizes.warm_up // asked.part
        load = Load(
            port, str(file), timed, warm_up, 1, CONNECTIONS, JSON, path=PATH, headers=asked.headers,
            counted=COUNTED,
        )  # fmt: skip
        result = send(load)
        expected = self._questions.days(self._learners[: warm_up + timed], quiet=asked.quiet)
        lacking, too_many = max(0, expected - result.counted), max(0, result.counted - expected)
        return Run(timed, result.seconds, len(wrong) + lacking, too_many, latency=result.latency)


def main(*, runs: int = 5, quick: bool = False) -> None:
    """Measure how fast questions about learners are answered, by us and by PostGraphile.

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
        questions = prepare(server, folder, sizes)
        answers = Answers(folder, questions, sizes)
        contenders = [answers.contender(asked) for asked in CONTENDERS]
        report = Report("query", facts, alternate(server, contenders, runs, "requests"))
        report.failures += answers.wrong
        pages = measure_pages(
            server, folder, questions, WITHOUT_CACHE.serve, WITHOUT_CACHE.headers, sizes.pages, runs
        )
        live = measure_live(server, folder, questions, sizes.crowds, runs)
    learners = f"a random one of {len(questions.learners):,} learners"
    show_rates(report, f"{DAYS} days by 6 fields of {learners}, {CONNECTIONS} connections", "requests")
    console.print(LEGEND)
    show_goals(report, GOALS)
    show_pages(report, UNCACHED, pages)
    show_live(report, live)
    finish(report)


def prepare(server: BenchServer, folder: Path, sizes: Sizes) -> Questions:
    """A simulated history that all read models have followed, what PostGraphile serves, and the recount."""
    history = make_history(server, Simulation(learners=sizes.learners, days=sizes.days, end=END), folder)
    url = server.url(HISTORY)
    uvloop.run(catch_up(url))
    uvloop.run(follow_in_batches(url))
    server.execute((STATEMENTS / "graphql_api.sql").read_text(), HISTORY)
    server.execute("VACUUM ANALYZE", HISTORY)
    return Questions(recount(history.facts, history.facts_count), END)


if __name__ == "__main__":
    run(main)
