"""What an event costs in a log of one million events and in one of ten: append, and live maintenance."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import msgspec
import uvloop
from rich.table import Table

from bench.database import MIGRATED, STATEMENTS, BenchServer, query_one
from bench.figures import spread_of
from bench.harness import Report, console
from bench.latencies import show_at_most
from bench.rebuild_engine import build, follower
from progress_context.intake.learning_day import learning_day_in
from progress_context.log.append import Appender
from progress_context.log.database import open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar

GROWN = (STATEMENTS / "grow_log.sql").read_text()
EVENTS = f"SELECT * FROM ({GROWN}) AS grown"
FILL = f"""
    INSERT INTO log.events (position, source, id, type, version, learner_key, occurred_at, learning_day,
                            recorded_at, data)
    SELECT position, 'urn:bench:grown', id, type, 1, learner_key, occurred_at, learning_day, now(), data
      FROM ({GROWN}) AS grown
"""
LEARNERS = "INSERT INTO log.learners (learner_id) SELECT 'grown-' || n FROM generate_series(1, $1::int) AS n"
HEAD = "SELECT position FROM log.head"
SOURCE = "urn:bench:grown"
CHUNK = 250_000
GROUP = 1_000
GOAL = 1.25  # times as much an event may cost at the greatest size as at the least


@dataclass(frozen=True)
class Curve:
    """At each of `sizes`, `windows` of `window` events are measured after one as warm-up."""

    sizes: tuple[int, ...]
    window: int
    windows: int


FULL = Curve((1_000_000, 2_000_000, 5_000_000, 10_000_000), 100_000, 5)
QUICK = Curve((20_000, 40_000), 5_000, 2)


class Point(msgspec.Struct):
    """Microseconds an event at one size of the log."""

    size: int
    append: list[float]
    live: list[float]

    @property
    def both(self) -> list[float]:
        """Append and live maintenance together."""
        return [append + live for append, live in zip(self.append, self.live, strict=True)]


class Grower:
    """Grows a log and its read models and measures windows of events at the end of it."""

    def __init__(
        self, owner: asyncpg.Connection, appender: Appender, follow: Callable[[], Awaitable[None]]
    ) -> None:
        self._owner = owner
        self._appender = appender
        self._follow = follow

    async def grow(self, size: int) -> None:
        """Fill the log up to a position, let the read models follow, and settle the server."""
        await fill(self._owner, size)
        await self._follow()
        await self._owner.execute("VACUUM ANALYZE")
        await self._owner.execute("CHECKPOINT")

    async def measure(self, size: int, window: int, windows: int) -> Point:
        """The cost of an event, window by window, after one that does not count."""
        point = Point(size, [], [])
        for _ in range(windows + 1):
            events = await self._events(window)
            append = await _timed(self._append(events))
            live = await _timed(self._follow())
            point.append.append(1e6 * append / window)
            point.live.append(1e6 * live / window)
        return Point(size, point.append[1:], point.live[1:])

    async def _events(self, count: int) -> list[NewEvent]:
        head = await self._owner.fetchval(HEAD)
        return [
            NewEvent(
                source=SOURCE, id=row["id"], type=row["type"], version=1, zone=None, data=row["data"],
                learner_id=f"grown-{row['learner_key']}", occurred_at=row["occurred_at"],
            )
            for row in await self._owner.fetch(EVENTS, head + 1, head + count)
        ]  # fmt: skip

    async def _append(self, events: Sequence[NewEvent]) -> None:
        for start in range(0, len(events), GROUP):
            await self._appender.append(events[start : start + GROUP])


async def fill(owner: asyncpg.Connection, size: int) -> None:
    """Continue the log up to position `size` with bulk inserts."""
    head = await owner.fetchval(HEAD)
    for start in range(head, size, CHUNK):
        await owner.execute(FILL, start + 1, min(start + CHUNK, size))


def measure_curve(server: BenchServer, curve: Curve) -> tuple[list[Point], list[str]]:
    """A point for each size, and what was not right at the end."""
    with server.fresh(MIGRATED) as url:
        points = uvloop.run(_measure(url, curve))
        found = query_one(url, "daily_differences")
    wrong = [f"{found[what]} reviews {what}" for what in ("missed", "duplicated") if found[what]]
    return points, wrong


def show_curve(report: Report, points: Sequence[Point], curve: Curve) -> None:
    """The table of costs, and whether they stay within the goal."""
    windows = f"{curve.windows} windows of {curve.window:,} events"
    title = f"Microseconds an event, medians of {windows} (least to most)"
    table = Table(title=title, title_justify="left")
    for column in ("events in the log", "append by 1,000", "live, pages of 5,000", "both", "times the first"):
        table.add_column(column, justify="right")
    first = spread_of(points[0].both).median
    for point in points:
        costs = [spread_of(values) for values in (point.append, point.live, point.both)]
        cells = [f"{cost.median:,.1f} ({cost.least:,.1f} to {cost.most:,.1f})" for cost in costs]
        table.add_row(f"{point.size:,}", *cells, f"{costs[-1].median / first:.2f}")
    console.print(table)
    growth = [last / first for last in points[-1].both]
    show_at_most(f"{points[-1].size:,} ÷ {points[0].size:,}", spread_of(growth), GOAL)
    report.notes["curve"] = points


async def _timed(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def _measure(url: str, curve: Curve) -> list[Point]:
    points: list[Point] = []
    async with _owner(url) as owner, _appender(url) as appender:
        await owner.execute(LEARNERS, 1_000 + 2 * curve.sizes[-1] // 500)
        await fill(owner, curve.sizes[0])
        await build(url)
        async with follower(url) as follow:
            grower = Grower(owner, appender, follow)
            for size in curve.sizes:
                await grower.grow(size)
                points.append(await grower.measure(size, curve.window, curve.windows))
                both = spread_of(points[-1].both).median
                console.print(f"[dim]{size:>12,} events  {both:,.1f} µs an event[/]")
    return points


@asynccontextmanager
async def _owner(url: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def _appender(url: str) -> AsyncGenerator[Appender]:
    pool = await open_pool(url, "progress_command", size=2)
    try:
        yield Appender(pool, learning_day_in, Calendar("UTC", 0))
    finally:
        await pool.close()
