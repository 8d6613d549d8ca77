"""What PostgreSQL itself says of read models: they are planned on no rows, and nothing is executed."""

from __future__ import annotations

import re
from itertools import pairwise

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from progress_context.engine.bind import NOBODY
from progress_context.engine.catalog import Catalog
from progress_context.engine.columns import input_columns, suggest
from progress_context.engine.definition import ReadModel
from progress_context.engine.history import History
from progress_context.engine.source import Place, Source, tokens
from progress_context.engine.template import quote
from progress_context.errors import Complaint, ReadModelError
from progress_context.log.database import Connection

FLOATS = ("float4", "float8")
UNKNOWN_COLUMN = re.compile(r'^column "?(?:\w+\.)?(\w+)"? does not exist')
ALWAYS_VOLATILE = """
    SELECT proname FROM pg_proc WHERE proname = ANY ($1::text[]) AND pg_function_is_visible(oid)
     GROUP BY proname HAVING bool_and(provolatile = 'v')
"""
TYPES = """
    SELECT format_type(oid, NULL) AS type
      FROM unnest($1::oid[]) WITH ORDINALITY AS asked (oid, number) ORDER BY number
"""


async def check_planned(connection: Connection, catalog: Catalog) -> None:
    """Raise ReadModelError with what PostgreSQL does not accept: types, functions, names, volatility."""
    complaints: list[Complaint] = []
    refused: set[str] = set()
    for model in catalog:
        if refused.isdisjoint(catalog.upstream([model.name])):
            check = _Check(connection, catalog, model)
            await check.run()
            complaints += check.source.complaints
            if check.source.complaints:
                refused.add(model.name)
    if complaints:
        raise ReadModelError(complaints)


async def column_types(connection: Connection, catalog: Catalog, name: str) -> dict[str, str]:
    """The type of each column of a read model, as PostgreSQL calls it."""
    attributes = (await _plan(connection, catalog, name)).get_attributes()
    types = await connection.fetch(TYPES, [attribute.type.oid for attribute in attributes])
    return {attribute.name: row["type"] for attribute, row in zip(attributes, types, strict=True)}


class _Check:
    """Collects what is wrong with one read model whose inputs are sound, in `source`."""

    def __init__(self, connection: Connection, catalog: Catalog, model: ReadModel) -> None:
        self._connection = connection
        self._catalog = catalog
        self._model = model
        self.source = Source(model.file, model.text)

    async def run(self) -> None:
        """Look at functions, names, types, and at how the columns merge."""
        await self._check_volatile()
        try:
            planned = await _plan(self._connection, self._catalog, self._model.name)
        except asyncpg.PostgresError as error:
            self._complain(error)
            return
        for attribute in planned.get_attributes():
            self._check_type(attribute)
        if self._model.stored and not self.source.complaints:
            await self._check_values(self._model.columns)

    async def _check_volatile(self) -> None:
        words = tokens(self.source.select)
        called = {word.text.lower(): word.start for word, after in pairwise(words) if after.text == "("}
        for row in await self._connection.fetch(ALWAYS_VOLATILE, list(called)):
            message = f"{row['proname']} may give another answer each time"
            self.source.complain("volatile", message, self.source.at(called[row["proname"]]))

    def _check_type(self, attribute: asyncpg.Attribute) -> None:
        name, type_ = attribute.name, attribute.type.name
        if type_ in ("record", "void"):
            self.source.complain("types", f"{name!r} is a {type_}: no column can be", self._place(name))
        merged = self._model.stored and not self._model.is_view and name in self._model.values
        if merged and self._model.law(name) == "sum" and type_ in FLOATS:
            message = f"{name!r}: sums of floating point depend on their order; cast to numeric"
            self.source.complain("merge", message, self._place(name))

    async def _check_values(self, columns: tuple[str, ...]) -> None:
        """Stored values are compared and merged by their laws; whose cannot be is found one by one."""
        try:
            await _plan(self._connection, self._catalog, self._model.name, self._comparison(columns))
        except asyncpg.PostgresError as error:
            for column in columns if len(columns) > 1 else ():
                await self._check_values((column,))
            if len(columns) == 1:
                message = f"values of {columns[0]!r} cannot be compared or merged: {error.message}"
                self.source.complain("types", message, self._place(columns[0]))

    def _comparison(self, columns: tuple[str, ...]) -> str:
        model, name = self._model, quote(self._model.name)
        merged = [model.merged(c, "old", "new") for c in columns if c in model.values and not model.is_view]
        same = " AND ".join(f"old.{quote(c)} = new.{quote(c)}" for c in columns)
        return f"SELECT {', '.join(merged)} FROM {name} AS old JOIN {name} AS new ON {same}"

    def _complain(self, error: asyncpg.PostgresError) -> None:
        """Turn an error with its offset in the statement into a place in the file."""
        statement = History(self._catalog, NOBODY, upto="0").query(self._model.name)
        offset = int(error.position or 1) - 1
        begin = statement.rfind(self._model.select)
        message = str(error.message)
        if unknown := UNKNOWN_COLUMN.match(message):
            known = input_columns(self._model, self._catalog.models).values()
            message += suggest(unknown[1], [column for columns in known for column in columns or ()])
        elif error.hint:
            message += f"; {error.hint[0].lower()}{error.hint[1:].rstrip('.')}"
        if begin <= offset < begin + len(self._model.select):
            self.source.complain("postgres", message, self.source.at(offset - begin))
            return
        named = re.search(r'"(\w+)"', statement[offset:])
        column = named[1] if named and named[1] in self._model.values else ""
        because = f"{column!r} cannot merge by {self._model.law(column)}: " if column else ""
        self.source.complain("postgres", because + message, self._place(column))

    def _place(self, column: str) -> Place:
        """Where the SELECT says what a column is."""
        tree = self.source.syntax()
        found = [c for c in tree.selects if c.output_name == column] if tree is not None else []
        return self.source.node(found[0]) if found else self.source.at(0)


async def _plan(
    connection: Connection, catalog: Catalog, name: str, question: str | None = None
) -> PreparedStatement[asyncpg.Record]:
    """A question about a read model (default: its rows) on the log before its first event."""
    history = History(catalog, NOBODY, upto="0")
    return await connection.prepare(
        history.query(name) if question is None else history.answer(question, [name])
    )
