"""Fill the tables of a build in chunks of learners, several at a time.

A chunk is one statement that reads its events once, for all read models. Its rows, and the note that it is
done, are one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator

import asyncpg

from progress_context.engine import builds
from progress_context.engine.bind import Scope
from progress_context.engine.builds import Build
from progress_context.engine.chunk import PLAN_FOR_MANY, fill_learners, fill_shared, own_of, shared_of
from progress_context.engine.history import Base
from progress_context.engine.parking import POISON
from progress_context.engine.poison import poisoned
from progress_context.log.database import Connection, Pool, acquire

CHUNK_EVENTS = 50_000  # about as many events share a commit: a third of a second of work, some 30 MB

# Whose rows in a snapshot at $1 are not what their events up to $2 say: events before it were voided since.
VOIDED_SINCE = """
    SELECT DISTINCT learner_key
      FROM log.voids AS void JOIN log.events AS event USING (source, id, learner_key)
     WHERE void.position > $1 AND void.position <= $2 AND event.position <= $1
"""

Report = Callable[[int], None]


class Filling:
    """Fills one build; with a base, only events after its position are read (see Extent)."""

    def __init__(self, pool: Pool, build: Build, base: Base | None, without_base: frozenset[int]) -> None:
        self._pool = pool
        self._build = build
        self._base = base
        self._without_base = without_base

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
            if self._base is None:
                raise
            self._base = None  # the snapshot was thrown away meanwhile
        return await self._fill(number)

    async def _fill(self, number: int) -> int:
        async with acquire(self._pool) as connection:
            try:
                async with connection.transaction():
                    await connection.execute(PLAN_FOR_MANY)
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
        upto = self._build.extent.upto
        if number == 0:
            yield fill_shared(self._build, shared_of(self._build), upto, self._base)
            return
        keys, own = self._keys(number), own_of(self._build)
        within = f"{{relation}}.learner_key BETWEEN {keys.start} AND {keys.stop - 1}"
        alone = sorted(self._without_base.intersection(keys)) if self._base else []
        if alone:
            listed = f"ARRAY[{', '.join(map(str, alone))}]::bigint[]"
            only = Scope(f"{within} AND {{relation}}.learner_key = ANY ({listed})")
            yield fill_learners(self._build, own, only, upto)
            within += f" AND {{relation}}.learner_key <> ALL ({listed})"
        yield fill_learners(self._build, own, Scope(within), upto, self._base)

    def _keys(self, number: int) -> range:
        size = self._build.extent.chunk_learners
        return range((number - 1) * size + 1, number * size + 1)

    async def _analyze(self, workers: int) -> None:
        waiting = iter(self._build.versions.values() if self._build.extent.upto else ())

        async def work() -> None:
            async with acquire(self._pool) as connection:
                for version in waiting:
                    await connection.execute(f"ANALYZE {version.table}", timeout=None)

        await _all_or_none(work() for _ in range(workers))


async def without_base(connection: Connection, base: Base, upto: int) -> frozenset[int]:
    """The learners whose rows cannot be taken from a snapshot."""
    voided = await connection.fetch(VOIDED_SINCE, base.position, upto)
    return base.parked.union(row["learner_key"] for row in voided)


async def _all_or_none(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all; when one fails, stop the others first."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
