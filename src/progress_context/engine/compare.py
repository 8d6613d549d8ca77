"""Compare the rows of tables with the rows that the events give: what is there, what should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from progress_context.engine.bind import LEARNERS, NOBODY
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ReadModel
from progress_context.engine.history import History
from progress_context.engine.template import fill, literal, quote, quote_all
from progress_context.log.database import Connection

EXAMPLES = 10

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of which `stored` is in the table and `computed` should be; `None` where there is none."""

    grain: Row
    stored: Row | None
    computed: Row | None

    def columns(self) -> list[str]:
        """The columns that differ."""
        stored, computed = self.stored or {}, self.computed or {}
        return [column for column in stored | computed if stored.get(column) != computed.get(column)]


@dataclass(slots=True)
class Comparison:
    """What was found for a read model: rows seen on either side, and how they differ."""

    rows: int = 0
    only_computed: int = 0
    only_stored: int = 0
    changed: int = 0
    examples: list[Difference] = field(default_factory=list[Difference])

    @property
    def differing(self) -> int:
        """How many rows are not the same on both sides."""
        return self.only_computed + self.only_stored + self.changed

    def add(self, found: asyncpg.Record, grain: Sequence[str]) -> None:
        """Take in a row of `compare.sql`."""
        self.rows += found["rows"]
        self.only_computed += found["only_computed"]
        self.only_stored += found["only_stored"]
        self.changed += found["changed"]
        pairs: list[tuple[Row | None, Row | None]] = json.loads(found["examples"] or "[]")
        for stored, computed in pairs[: EXAMPLES - len(self.examples)]:
            key = {column: (stored or computed or {})[column] for column in grain}
            self.examples.append(Difference(key, stored, computed))


@dataclass(frozen=True, slots=True)
class Pair:
    """A table and the read model whose rows should be in it, compared in some columns.

    `loosely`: the types of the columns may differ, so they are compared as they are shown.
    """

    model: ReadModel
    table: str
    columns: tuple[str, ...]
    loosely: bool = False

    def question(self) -> str:
        """The comparison as a question over the read model."""
        scope = LEARNERS.on("source") if self.model.by_learner else "true"
        shown = "::text" if self.loosely else ""
        grain = self.model.grain
        differs = "to_jsonb(stored) IS DISTINCT FROM to_jsonb(computed)"
        if not self.loosely:
            columns = (quote_all(self.columns, prefix=f"{side}.") for side in ("stored", "computed"))
            differs = " IS DISTINCT FROM ".join(f"ROW({listed})" for listed in columns)
        return fill(
            "compare",
            read_model=literal(self.model.name),
            columns=quote_all(self.columns),
            table=self.table,
            scope=scope,
            relation=quote(self.model.name),
            same_grain=" AND ".join(f"stored.{quote(c)}{shown} = computed.{quote(c)}{shown}" for c in grain),
            order=", ".join(f"coalesce(stored.{quote(c)}{shown}, computed.{quote(c)}{shown})" for c in grain),
            key=quote(grain[0]),
            differs=differs,
            examples=str(EXAMPLES),
        )


async def compare(
    connection: Connection,
    catalog: Catalog,
    pairs: Iterable[Pair],
    upto: int,
    learners: Sequence[int] | None,
) -> list[asyncpg.Record]:
    """Compare tables at a position; a row for each, see `compare.sql`.

    `learners` are those to look at; `None` for read models that belong to no learner.
    """
    asked = list(pairs)
    if not asked or learners == []:
        return []
    history = History(catalog, NOBODY if learners is None else LEARNERS, upto=str(int(upto)))
    question = "\nUNION ALL\n".join(pair.question() for pair in asked)
    arguments = [] if learners is None else [learners]
    statement = history.answer(question, [pair.model.name for pair in asked])
    return await connection.fetch(statement, *arguments, timeout=None)
