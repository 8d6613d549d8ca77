"""A learner's summary page, five queries in one document, asked for at a steady rate.

As a program, in a process of its own: reads a `Pages` as JSON from standard input, writes a `PagesResult`
as JSON to standard output. Latencies count from the moment a page was due.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from bench.database import BenchServer
from bench.figures import Latency, latency_of, spread_of
from bench.harness import Report
from bench.history import HISTORY, Counts
from bench.http_client import Asker, post
from bench.latencies import show_at_most, show_latencies
from bench.query_questions import CONNECTIONS, JSON, PATH, SHOWN, Questions
from bench.query_servers import Serve

RATE = 100.0  # pages a second
GOAL = 25.0  # milliseconds, p95
PAGE = """
query Page($user: ID!) {
  userSummary(userId: $user) {
    reviews correct activities accuracy studyHours averageDailyMinutes itemsLearned itemsMastered consistency
    progressScore nextMilestone { type threshold target progress }
    recentAchievements { type threshold achievedOn }
  }
  learningStreak(userId: $user) { current longest totalActiveDays activeToday alive }
  weeklyTrend(userId: $user) {
    trend consistency weeks { week activeDays reviews accuracy studySeconds trend } recommendations { code }
  }
  categoryProgress(userId: $user, categoryType: LEVEL) {
    overallCompletion categories { level totalItems mastered inProgress progress estimatedCompletion }
  }
  milestones(userId: $user) { type threshold level progress target status achievedOn }
}
"""


@dataclass(frozen=True)
class Streams:
    """Seconds of each run, and of the one before them that does not count."""

    seconds: float
    warm_up_seconds: float


class Pages(msgspec.Struct):
    """A page of each of the learners, and the reviews, correct ones and activities it must show."""

    port: int
    rate: float
    headers: dict[str, str]
    learners: list[tuple[str, Counts]]
    host: str = "127.0.0.1"


class PagesResult(msgspec.Struct):
    """Milliseconds from due to answered; `wrong` names the answers that were not right."""

    latency: Latency
    wrong: list[str]


class OpenLoop:
    """Asks for pages at their times."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._free: asyncio.Queue[Asker] = asyncio.Queue()
        self._latencies: list[float] = []
        self._wrong: list[str] = []

    async def run(self) -> PagesResult:
        """Ask for all pages; returns with the last answer."""
        pages = self._pages
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await Asker().open(pages.host, pages.port))
        requests = [self._request(learner) for learner, _ in pages.learners]
        began = time.perf_counter() + 0.05
        async with asyncio.TaskGroup() as tasks:
            for number, (request, (learner, expected)) in enumerate(
                zip(requests, pages.learners, strict=True)
            ):
                due = began + number / pages.rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(self._ask(due, request, learner, expected))
        while not self._free.empty():
            self._free.get_nowait().close()
        return PagesResult(latency_of(self._latencies), self._wrong)

    def _request(self, learner: str) -> bytes:
        pages = self._pages
        body = msgspec.json.encode({"query": PAGE, "variables": {"user": learner}})
        return post(PATH, f"{pages.host}:{pages.port}", JSON, body, pages.headers)

    async def _ask(self, due: float, request: bytes, learner: str, expected: Counts) -> None:
        asker = await self._free.get()
        status, answer = await asker.ask(request)
        self._free.put_nowait(asker)
        self._latencies.append(time.perf_counter() - due)
        if status != 200 or _totals(answer) != expected:
            self._wrong.append(
                f"page of {learner}: HTTP {status}, {expected} expected in {answer.decode()[:SHOWN]}"
            )


def measure_pages(
    server: BenchServer,
    folder: Path,
    questions: Questions,
    serve: Serve,
    headers: dict[str, str],
    streams: Streams,
    runs: int,
) -> list[PagesResult]:
    """One query service, and `runs` streams of pages of random learners after a warm-up."""
    results: list[PagesResult] = []
    with server.fresh(HISTORY) as url, serve(url, folder) as port:
        for number, seconds in enumerate([streams.warm_up_seconds, *runs * [streams.seconds]]):
            drawn = questions.draw(int(seconds * RATE), seed=number)
            learners = [(learner, questions.totals(learner)) for learner in drawn]
            results.append(_run(Pages(port, RATE, headers, learners), seconds))
    return results[1:]


def show_pages(report: Report, name: str, results: Sequence[PagesResult]) -> None:
    """The table of latencies, and whether the goal was met."""
    report.notes["pages"] = results
    for result in results:
        report.failures += result.wrong[:3]
    title = f"Milliseconds of a page of five queries at {RATE:g} a second, open loop"
    show_latencies(title, [(name, [result.latency for result in results])])
    show_at_most("page p95", spread_of([result.latency.p95 for result in results]), GOAL, " ms")


def _run(pages: Pages, seconds: float) -> PagesResult:
    done = subprocess.run(
        [sys.executable, "-m", "bench.query_page"],
        input=msgspec.json.encode(pages),
        stdout=subprocess.PIPE,
        timeout=seconds * 10 + 60,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=PagesResult)


def _totals(answer: bytes) -> Counts | None:
    """What the summary says; `None` when the answer has errors."""
    read = msgspec.json.decode(answer)
    if read.get("errors") or not read.get("data"):
        return None
    summary = read["data"]["userSummary"]
    return summary["reviews"], summary["correct"], summary["activities"]


def main() -> None:
    """Do what standard input says."""
    pages = msgspec.json.decode(sys.stdin.buffer.read(), type=Pages)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(OpenLoop(pages).run())))


if __name__ == "__main__":
    main()
