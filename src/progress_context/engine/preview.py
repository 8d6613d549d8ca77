"""Preview an edited read model: what its file would change in the rows that are stored now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import asyncpg

from progress_context.engine.catalog import Catalog
from progress_context.engine.compare import Comparison, Pair, compare
from progress_context.engine.definition import ReadModel
from progress_context.engine.maintain import PLAN_BY_INDEX
from progress_context.engine.planned import column_types
from progress_context.engine.template import quote
from progress_context.engine.verify import BUSY, LEARNERS_AT_ONCE, learners_of
from progress_context.log import read
from progress_context.log.database import Connection, Pool, acquire, statement

State = Literal["new", "same", "changed", "lazy", "gone"]


@dataclass(slots=True)
class Preview:
    """What a file would change: in general (`state`), in the columns, and in the rows, as far as looked at.

    `retyped` has the old and the new type of columns. `rows` is None where rows cannot be matched: when there
    are none, or when the grain, now `grain_before`, becomes another.
    """

    state: State
    added: list[str] = field(default_factory=list[str])
    removed: list[str] = field(default_factory=list[str])
    retyped: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    grain_before: tuple[str, ...] = ()
    rows: Comparison | None = None
    learners: int = 0


async def preview(
    pool: Pool,
    catalog: Catalog,
    name: str,
    *,
    sample: int | None = None,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Preview:
    """What building `name` as the catalog defines it would change, for all or sampled learners.

    Compares the stored rows with those that the file gives at the position they have reached, in one
    snapshot that is only read.
    """
    async with (
        acquire(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(PLAN_BY_INDEX)
        model = catalog.models.get(name)
        if model is None or not model.stored:
            return Preview("lazy" if model is not None else "gone")
        active = await connection.fetchrow(statement(__package__, "active_table"), name)
        if active is None:
            return Preview("new", added=list(model.columns))
        if active["fingerprint"] == model.fingerprint:
            return Preview("same")
        edit = _Edit(connection, catalog, model, active)
        await edit.look_at_columns()
        if set(active["grain"]) == set(model.grain):
            await edit.look_at_rows(sample, seed, report)
        return edit.found


class _Edit:
    """A model beside the table that is active under its name; what is found goes to `found`."""

    def __init__(
        self, connection: Connection, catalog: Catalog, model: ReadModel, active: asyncpg.Record
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._model = model
        self._active = active
        self.found = Preview("changed", grain_before=tuple(active["grain"]))

    async def look_at_columns(self) -> None:
        """Columns that come, go, or change their type."""
        before: dict[str, str] = dict(zip(self._active["columns"], self._active["types"], strict=True))
        after = await column_types(self._connection, self._catalog, self._model.name)
        self.found.added = [column for column in after if column not in before]
        self.found.removed = [column for column in before if column not in after]
        both = [column for column in after if column in before]
        self.found.retyped = {c: (before[c], after[c]) for c in both if before[c] != after[c]}

    async def look_at_rows(self, sample: int | None, seed: int, report: Callable[[int, int], None]) -> None:
        """Rows that come, go or change, in the columns there are before and after."""
        self.found.rows = Comparison()
        reached: Sequence[int] = self._active["reached"]
        if not self._model.by_learner:
            await self._compare(reached[0], None)
            return
        keys = await learners_of(self._connection, sample, seed)
        self.found.learners = len(keys)
        for start in range(0, len(keys), LEARNERS_AT_ONCE):
            report(start, len(keys))
            some = keys[start : start + LEARNERS_AT_ONCE]
            for shard, position in enumerate(reached):
                mine = [learner for learner in some if learner % len(reached) == shard]
                await self._compare(position, await self._comparable(mine, position))
        report(len(keys), len(keys))

    async def _comparable(self, learners: Sequence[int], position: int) -> Sequence[int]:
        """A batch may have seen events behind its checkpoint: only learners without any are sure."""
        if self._active["update_mode"] != "batch":
            return learners
        rows = await self._connection.fetch(BUSY, learners, position, await read.head(self._connection))
        busy = {row["learner_key"] for row in rows}
        return [learner for learner in learners if learner not in busy]

    async def _compare(self, position: int, learners: Sequence[int] | None) -> None:
        assert self.found.rows is not None
        columns = tuple(column for column in self._model.columns if column not in self.found.added)
        table = f"read.{quote(self._active['table_name'])}"
        pair = Pair(self._model, table, columns, loosely=True)
        for row in await compare(self._connection, self._catalog, [pair], position, learners):
            self.found.rows.add(row, self._model.grain)
