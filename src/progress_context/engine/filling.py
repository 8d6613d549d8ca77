"""Fill the tables of a build in chunks of learners, several at a time.

A chunk is one statement that reads its events once, for all read models. Its rows, and the note that it is
done, are one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

import asyncpg

from progress_context.engine import builds
from progress_context.engine.bind import Scope
from progress_context.engine.builds import Build
from progress_context.engine.chunk import (
    FOR_MANY,
    among,
    copy_learners,
    fill_learners,
    fill_shared,
    own_of,
    shared_of,
)
from progress_context.engine.history import Base
from progress_context.engine.parking import POISON
from progress_context.engine.poison import poisoned
from progress_context.log.database import Connection, Pool, acquire

CHUNK_EVENTS = 50_000  # about as many events share a commit: a third of a second of work, some 30 MB
COPIED_AT_ONCE = 4  # times as many when most rows are copied from a snapshot

# Whose rows in a snapshot at $1 are not what their events up to $2 say: events before it were voided since.
VOIDED_SINCE = """
    SELECT DISTINCT learner_key
      FROM log.voids AS void JOIN log.events AS event USING (source, id, learner_key)
     WHERE void.position > $1 AND void.position <= $2 AND event.position <= $1
"""
ACTIVE_SINCE = """
    SELECT DISTINCT learner_key FROM log.events
     WHERE position > $1 AND position <= $2 AND learner_key IS NOT NULL
"""
# Statistics good enough until the database takes its own: of a tenth of the rows it would look at.
ANALYZE = "SELECT set_config('default_statistics_target', '10', true)"

Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Start:
    """A base, and the learners whose rows are not in it: those to compute `alone` and those to `merge`."""

    base: Base
    alone: frozenset[int]
    merge: frozenset[int]


class Filling:
    """Fills one build; with a start, only events after its base are read (see Extent)."""

    def __init__(self, pool: Pool, build: Build, start: Start | None) -> None:
        self._pool = pool
        self._build = build
        self._start = start

    async def run(self, workers: int, report: Report) -> None:
        """Do the chunks that are not done, `workers` at a time; `report` hears of the events they stand for.

        Raises EventPoisoned when a read model cannot take an event.
        """
        async with acquire(self._pool) as connection:
            done = await builds.chunks_done(connection, self._build)
        report(sum(done.values()))
        if 0 not in done and self._build.extent.upto:
            report(await self._do(0))
        chunks = self._build.extent.chunks if own_of(self._build) else 0
        waiting = iter([number for number in range(1, chunks + 1) if number not in done])

        async def work() -> None:
            for number in waiting:
                report(await self._do(number))

        await _all_or_none(work() for _ in range(workers))
        await self._analyze(workers)
        async with acquire(self._pool) as connection:
            await builds.note_filled(connection, self._build)

    async def _do(self, number: int) -> int:
        try:
            return await self._fill(number)
        except asyncpg.UndefinedTableError:
            if self._start is None:
                raise
            self._start = None  # the snapshot was thrown away meanwhile
        return await self._fill(number)

    async def _fill(self, number: int) -> int:
        async with acquire(self._pool) as connection:
            try:
                async with connection.transaction():
                    await connection.execute(FOR_MANY)
                    events = 0
                    for sql in self._statements(number):
                        events += await connection.fetchval(sql, timeout=None)
                    await builds.note_chunk(connection, self._build, number, events)
            except POISON as error:
                learners = self._keys(number) if number else None
                upto = self._build.extent.upto
                raise await poisoned(connection, self._build, learners, upto, error) from error
        return events

    def _statements(self, number: int) -> Iterator[str]:
        upto, start = self._build.extent.upto, self._start
        if number == 0:
            yield fill_shared(self._build, shared_of(self._build), upto, start and start.base)
            return
        keys, own = self._keys(number), own_of(self._build)
        within = f"{{relation}}.learner_key BETWEEN {keys.start} AND {keys.stop - 1}"
        if start is None:
            yield fill_learners(self._build, own, Scope(within), upto)
            return
        alone, merge = start.alone.intersection(keys), start.merge.intersection(keys)
        if alone:
            yield fill_learners(self._build, own, among(alone), upto)
        if merge:
            yield fill_learners(self._build, own, among(merge), upto, start.base)
        rest = Scope(f"{within} AND NOT ({among(alone | merge).condition})")
        stands_for = start.base.position // self._build.extent.chunks
        yield copy_learners(self._build, own, rest, upto, start.base, stands_for)

    def _keys(self, number: int) -> range:
        size = self._build.extent.chunk_learners
        return range((number - 1) * size + 1, number * size + 1)

    async def _analyze(self, workers: int) -> None:
        waiting = iter(self._build.versions.values() if self._build.extent.upto else ())

        async def work() -> None:
            async with acquire(self._pool) as connection:
                for version in waiting:
                    async with connection.transaction():
                        await connection.execute(ANALYZE)
                        await connection.execute(f"ANALYZE {version.table}", timeout=None)

        await _all_or_none(work() for _ in range(workers))


async def start_from(connection: Connection, base: Base, upto: int) -> Start:
    """Whose rows can be taken from a base as they are, and whose cannot."""
    voided = await connection.fetch(VOIDED_SINCE, base.position, upto)
    active = await connection.fetch(ACTIVE_SINCE, base.position, upto)
    alone = base.parked.union(row["learner_key"] for row in voided)
    return Start(base, alone, frozenset(row["learner_key"] for row in active) - alone)


async def _all_or_none(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all; when one fails, stop the others first."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
