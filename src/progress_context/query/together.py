"""Questions to PostgreSQL: those of the same statement that wait at the same time share a round trip.

A round trip costs this process more than an answer does. As long as one connection is back soon, whatever
has arrived meanwhile goes with it; while it is away for long, others go too.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from progress_context import telemetry
from progress_context.log.database import UNAVAILABLE, Connection, Pool, acquire, fetch_one

AT_ONCE = 8  # questions that share a round trip
HELP_AFTER = 0.003  # seconds until another connection goes for those who wait
SHARED_SECONDS = 0.25  # for a round trip that is shared; then its questions go alone,
APART_SECONDS = 60.0  # and those of the same statement do for so long
APART_KEPT = 1_000  # statements

TRIP = telemetry.QUERY_TRIP
Row = asyncpg.Record


@dataclass(slots=True, eq=False)
class _Asked:
    """A question; on its way, `task` is at it for all in `trip`."""

    values: Sequence[Any]
    answer: asyncio.Future[Row]
    trip: Sequence[_Asked] = ()
    task: asyncio.Task[None] | None = None


class Together:
    """Asks for the one row of statements, over at most `most` connections at a time."""

    def __init__(self, pool: Pool, most: int) -> None:
        self._pool = pool
        self._most = most
        self._waiting: OrderedDict[tuple[str, int], deque[_Asked]] = OrderedDict()
        self._numbers = itertools.count(1)  # of those that go alone
        self._apart: dict[str, float] = {}
        self._going: set[asyncio.Task[None]] = set()
        self._trips = 0
        self._looking: asyncio.TimerHandle | None = None

    async def fetch_one(self, sql: str, values: Sequence[Any]) -> Row:
        """The row of a statement; raises LogUnavailable and what PostgreSQL says.

        A statement that nobody waits for any more is stopped.
        """
        asked = _Asked(values, asyncio.get_running_loop().create_future())
        self._wait(sql, asked, alone=self._goes_alone(sql))
        try:
            return await asked.answer
        except asyncio.CancelledError:
            if asked.task is not None and all(each.answer.done() for each in asked.trip):
                asked.task.cancel()
            raise

    def _wait(self, sql: str, asked: _Asked, *, alone: bool) -> None:
        key = (sql, next(self._numbers) if alone else 0)
        queue = self._waiting.get(key)
        if queue is None:
            queue = self._waiting[key] = deque()
        queue.append(asked)
        if not self._going:
            self._go()
        elif self._looking is None and len(self._going) < self._most:
            self._look_later()

    def _goes_alone(self, sql: str) -> bool:
        if not self._apart:
            return False
        until = self._apart.get(sql)
        if until is not None and until < time.monotonic():
            del self._apart[sql]
            return False
        return until is not None

    def _go(self) -> None:
        task = asyncio.create_task(self._work())
        self._going.add(task)
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if self._waiting and not self._going:
            self._go()

    def _look_later(self) -> None:
        """Send another connection if none has come back by then."""
        trips = self._trips

        def look() -> None:
            self._looking = None
            if self._waiting and len(self._going) < self._most:
                if self._trips == trips:
                    self._go()
                self._look_later()

        self._looking = asyncio.get_running_loop().call_later(HELP_AFTER, look)

    async def _work(self) -> None:
        while self._waiting:
            sql, trip, rows = "", (), None
            try:
                async with acquire(self._pool, patience=None) as connection:
                    sql, trip = self._take()
                    rows = await self._rows(connection, sql, trip) if trip else ()
            except Exception as error:  # noqa: BLE001 - those who wait get it
                _fail(trip or self._take_all(), error)
                continue
            self._trips += 1
            if rows is None:
                for asked in trip:
                    self._wait(sql, asked, alone=True)
                continue
            for asked, row in zip(trip, rows, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(row)

    async def _rows(self, connection: Connection, sql: str, trip: Sequence[_Asked]) -> Sequence[Row] | None:
        """Their rows in order; None when each must be asked alone, to see whose fault it is."""
        TRIP.observe(len(trip))
        if len(trip) == 1:
            return [await fetch_one(connection, sql, *trip[0].values)]
        try:
            async with asyncio.timeout(SHARED_SECONDS):
                return await connection.fetchmany(sql, [asked.values for asked in trip])
        except TimeoutError:
            if len(self._apart) >= APART_KEPT:
                self._apart.clear()
            self._apart[sql] = time.monotonic() + APART_SECONDS
        except (*UNAVAILABLE, asyncpg.PostgresError):
            pass
        return None

    def _take(self) -> tuple[str, Sequence[_Asked]]:
        """Some of the statement whose turn it is, without those whom nobody waits for any more."""
        while self._waiting:
            key, queue = self._waiting.popitem(last=False)
            trip: list[_Asked] = []
            while queue and len(trip) < AT_ONCE:
                asked = queue.popleft()
                if not asked.answer.done():
                    asked.trip, asked.task = trip, asyncio.current_task()
                    trip.append(asked)
            if queue:
                self._waiting[key] = queue
            if trip:
                return key[0], trip
        return "", ()

    def _take_all(self) -> list[_Asked]:
        taken = [asked for queue in self._waiting.values() for asked in queue]
        self._waiting.clear()
        return taken


def _fail(trip: Iterable[_Asked], error: Exception) -> None:
    for asked in trip:
        if not asked.answer.done():
            asked.answer.set_exception(error)
            asked.answer.exception()  # whoever asked may be gone
