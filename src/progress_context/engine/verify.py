"""Verify stored read models: compute them again from the events, and compare row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg

from progress_context.engine import versions as books
from progress_context.engine.catalog import Catalog
from progress_context.engine.compare import Comparison, Pair, compare
from progress_context.engine.maintain import PLAN_BY_INDEX
from progress_context.engine.version import Version
from progress_context.log.database import Connection, Pool, acquire

LEARNERS_AT_ONCE = 200
ATTEMPTS = 5  # a version may be swapped and dropped while it is looked at

ALL = "SELECT learner_key FROM log.learners ORDER BY learner_key"
SAMPLE = """
    SELECT learner_key FROM log.learners ORDER BY hashint8extended(learner_key, $1), learner_key LIMIT $2
"""
STRANGERS = """
    SELECT DISTINCT learner_key FROM {table} AS stored
     WHERE NOT EXISTS (SELECT FROM log.learners AS learner WHERE learner.learner_key = stored.learner_key)
"""
BUSY = """
    SELECT DISTINCT learner_key FROM log.events
     WHERE learner_key = ANY ($1::bigint[]) AND position > $2 AND position <= $3
"""
SHARED = """
    SELECT EXISTS (SELECT FROM log.events WHERE learner_key IS NULL AND position > $1 AND position <= $2)
"""
PARKED = "SELECT learner_key FROM engine.parked"
CHECKPOINTS = """
    SELECT version_id, shard, position FROM engine.checkpoints
     WHERE version_id = ANY ($1::bigint[]) ORDER BY version_id, shard
"""


@dataclass(slots=True)
class Verdict:
    """What was compared, by read model; `left_out` counts what could not be, by reason."""

    learners: int = 0
    comparisons: dict[str, Comparison] = field(default_factory=dict[str, Comparison])
    left_out: Counter[str] = field(default_factory=Counter[str])

    @property
    def sound(self) -> bool:
        """Whether everything compared is as it should be."""
        return not any(comparison.differing for comparison in self.comparisons.values())


async def verify(
    pool: Pool,
    catalog: Catalog,
    names: Iterable[str] = (),
    *,
    sample: int | None = None,
    seed: int = 0,
    learners_at_once: int = LEARNERS_AT_ONCE,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Verdict:
    """Compare the named stored read models (default: all) with the events, for all or sampled learners.

    Reads only, locks nothing, and lets live work go on: each group of learners is looked at in a snapshot of
    its own, at the position its rows had reached there. `report(done, total)` counts learners.
    """
    chosen = set(names) or {model.name for model in catalog.stored()}
    keys = await _learners(pool, catalog, chosen, sample, seed)
    verdict = Verdict(len(keys))
    await _in_snapshot(pool, catalog, chosen, verdict, _Look.compare_shared)
    for start in range(0, len(keys), learners_at_once):
        report(start, len(keys))
        some = keys[start : start + learners_at_once]
        await _in_snapshot(
            pool, catalog, chosen, verdict, lambda look, some=some: look.compare_learners(some)
        )
    report(len(keys), len(keys))
    return verdict


async def learners_of(connection: Connection, sample: int | None, seed: int) -> list[int]:
    """The keys of all known learners, or of a sample that is the same for the same seed."""
    query, arguments = (ALL, ()) if sample is None else (SAMPLE, (seed, sample))
    return [row["learner_key"] for row in await connection.fetch(query, *arguments)]


async def _learners(
    pool: Pool, catalog: Catalog, names: set[str], sample: int | None, seed: int
) -> list[int]:
    """Those to look at: a sample of the known, or all who are known or have rows."""
    async with acquire(pool) as connection:
        keys = await learners_of(connection, sample, seed)
        if sample is not None:
            return keys
        for version in (await books.active_versions(connection, catalog)).values():
            if version.model.by_learner and version.name in names:
                query = STRANGERS.format(table=version.table)
                keys += [row["learner_key"] for row in await connection.fetch(query, timeout=None)]
        return sorted(set(keys))


async def _in_snapshot(
    pool: Pool,
    catalog: Catalog,
    names: set[str],
    verdict: Verdict,
    work: Callable[[_Look], Awaitable[None]],
) -> None:
    """Add to the verdict what `work` finds in one snapshot of the database."""
    for attempt in range(ATTEMPTS):
        async with acquire(pool) as connection:
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    await connection.execute(PLAN_BY_INDEX)
                    look = _Look(connection, catalog, names)
                    await look.begin()
                    await work(look)
            except asyncpg.UndefinedTableError:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
        verdict.left_out += look.left_out
        for row in look.rows:
            name = row["read_model"]
            verdict.comparisons.setdefault(name, Comparison()).add(row, catalog[name].grain)
        return


class _Look:
    """One snapshot of the database: which versions are active, how far each is, and what was compared."""

    def __init__(self, connection: Connection, catalog: Catalog, names: set[str]) -> None:
        self._connection = connection
        self._catalog = catalog
        self._names = names
        self._groups: dict[tuple[tuple[int, int], ...], list[Version]] = {}
        self._foremost = 0
        self._parked: set[int | None] = set()
        self.rows: list[asyncpg.Record] = []
        self.left_out: Counter[str] = Counter()

    async def begin(self) -> None:
        """Read the books: versions with the same checkpoints, by shard, are compared together."""
        active = await books.active_versions(self._connection, self._catalog)
        ids = {version.version_id: version for version in active.values()}
        reached: dict[int, tuple[tuple[int, int], ...]] = dict.fromkeys(ids, ())
        for row in await self._connection.fetch(CHECKPOINTS, list(ids)):
            reached[row["version_id"]] += ((row["shard"], row["position"]),)
            self._foremost = max(self._foremost, row["position"])
        for version_id, version in ids.items():
            if version.name in self._names:
                self._groups.setdefault(reached[version_id], []).append(version)
        self._parked = {row["learner_key"] for row in await self._connection.fetch(PARKED)}

    async def compare_shared(self) -> None:
        """Compare the rows that belong to no learner."""
        built = {version.name for versions in self._groups.values() for version in versions}
        self.left_out.update(f"{name} is not built as its file says" for name in self._names - built)
        for reached, versions in self._groups.items():
            shared = [version for version in versions if not version.model.by_learner]
            position = dict(reached)[0]
            if shared and await self._is_unsure(position):
                self.left_out.update(
                    f"{version.name} is on its way, or lacks a parked event" for version in shared
                )
            else:
                await self._compare(shared, position, None)

    async def compare_learners(self, learners: Sequence[int]) -> None:
        """Compare the rows of some learners, each at the position of their shard."""
        kept = [learner for learner in learners if learner not in self._parked]
        self.left_out["learners who are parked"] += len(learners) - len(kept)
        for reached, versions in self._groups.items():
            own = [version for version in versions if version.model.by_learner]
            for shard, position in reached if own else ():
                mine = [learner for learner in kept if learner % len(reached) == shard]
                await self._compare_by_learner(own, position, mine)

    async def _compare_by_learner(
        self, versions: Sequence[Version], position: int, learners: Sequence[int]
    ) -> None:
        realtime = [version for version in versions if version.model.update == "realtime"]
        batched = [version for version in versions if version.model.update == "batch"]
        await self._compare_sure(realtime, position, learners)
        if batched:
            await self._compare_sure(batched, position, await self._quiet(learners, position))

    async def _quiet(self, learners: Sequence[int], position: int) -> list[int]:
        """A batch may have seen events behind its checkpoint: only learners without any are sure."""
        rows = await self._connection.fetch(BUSY, learners, position, self._foremost)
        busy = {row["learner_key"] for row in rows}
        self.left_out["learners with events since the last batch, in batch read models"] += len(busy)
        return [learner for learner in learners if learner not in busy]

    async def _compare_sure(
        self, versions: Sequence[Version], position: int, learners: Sequence[int]
    ) -> None:
        """Rows that read a lookup may reflect what it became since: they are sure while it stood still."""
        sharing = [version for version in versions if self._reads_shared(version)]
        if sharing and learners and await self._is_unsure(position):
            self.left_out["learners, in read models whose lookup is on its way, or lacks a parked event"] += (
                len(learners)
            )
            versions = [version for version in versions if version not in sharing]
        await self._compare(versions, position, learners)

    async def _compare(
        self, versions: Iterable[Version], position: int, learners: Sequence[int] | None
    ) -> None:
        pairs = [Pair(version.model, version.table, version.model.columns) for version in versions]
        self.rows += await compare(self._connection, self._catalog, pairs, position, learners)

    async def _is_unsure(self, position: int) -> bool:
        """Whether rows of no learner may be ahead of a position, or lack an event that is parked."""
        moved = position < self._foremost and await self._connection.fetchval(
            SHARED, position, self._foremost
        )
        return moved or None in self._parked

    def _reads_shared(self, version: Version) -> bool:
        return any(not self._catalog[name].by_learner for name in self._catalog.upstream([version.name]))
