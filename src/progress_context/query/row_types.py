"""A GraphQL type for the rows of every read model, from its file and the types of its columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from progress_context.engine.catalog import Catalog
from progress_context.engine.columns import suggest
from progress_context.engine.definition import ReadModel
from progress_context.engine.template import literal, quote, quote_all
from progress_context.errors import QueryError
from progress_context.query import arguments
from progress_context.query.question import Question
from progress_context.query.roots import Root

KEY = "learner_key"
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*$")
SCALARS = {
    "smallint": "Int", "integer": "Int", "bigint": "Number", "numeric": "Number", "real": "Float",
    "double precision": "Float", "boolean": "Boolean", "text": "String", "character varying": "String",
    "date": "Date", "timestamp with time zone": "DateTime",
}  # fmt: skip
COMMENTED = re.compile(r"\b(\w+)\s*,?\s+--[ \t]*(\S.*?)\s*$", re.MULTILINE)
UNION = """
"A row of any read model; ask with `... on DailyStatsRow { reviews }`."
union ReadModelRow = {types}
"""
NODES = """
extend type ReadModelRows {
  "The same rows, each with the type of its read model."
  nodes: [ReadModelRow!]!
}
"""


@dataclass(frozen=True, slots=True)
class RowType:
    """The type of one read model's rows: scalar by column, those that GraphQL cannot name left out."""

    name: str
    model: ReadModel
    scalars: Mapping[str, str]

    def sdl(self) -> str:
        """The type's definition; a comment behind a column in the read model's file describes the column."""
        told: dict[str, str] = dict(COMMENTED.findall(self.model.select))
        lines = [json.dumps(self.model.about, ensure_ascii=False), f"type {self.name} {{"]
        for column, scalar in self.scalars.items():
            if column in told:
                lines.append(f"  {json.dumps(told[column], ensure_ascii=False)}")
            required = "!" if column in self.model.grain else ""
            lines.append(f"  {column}: {scalar}{required}")
        return "\n".join([*lines, "}\n"])

    def root(self) -> Root:
        """The field `readModel` for this read model."""
        return Root(
            Question("read_model", self._summary(), (self.model.name,)),
            arguments.read_model,
            lists={"nodes": Question("read_model_rows", self._rows(), (self.model.name,))},
            counts={"nodes": lambda p: p["first"], "rows": lambda p: p["first"]},
            row_type=self.name,
        )

    def _summary(self) -> str:
        columns = [column for column in self.model.columns if column != KEY]
        grain = _array(column for column in self.model.grain if column != KEY)
        pairs = " || ',' || ".join(map(_pair, columns))
        return (
            f"SELECT {literal(self.model.name)}::text AS name, {literal(self.model.about)}::text AS about,\n"
            f"       {grain} AS grain, {_array(columns)} AS columns,\n"
            f'       (SELECT count(*)::int FROM {quote(self.model.name)}) AS "totalCount",\n'
            f"       ARRAY(SELECT '{{' || {pairs} || '}}' FROM {quote(self.model.name)}"
            f" ORDER BY {quote_all(self.model.grain)} LIMIT :first::int) AS rows"
        )

    def _rows(self) -> str:
        columns = ", ".join(f"{_shown(c, s)} AS {quote(c)}" for c, s in self.scalars.items()) or "1"
        model = quote(self.model.name)
        return f"SELECT {columns} FROM {model} ORDER BY {quote_all(self.model.grain)} LIMIT :first::int"


def row_types(catalog: Catalog, types: Mapping[str, Mapping[str, str]]) -> dict[str, RowType]:
    """The row type of each read model, by its name; `types` are PostgreSQL's names of its columns' types."""
    found: dict[str, RowType] = {}
    taken = {"ReadModelRow"}
    for name in sorted(types):
        scalars = {
            column: SCALARS.get(kind, "JSON")
            for column, kind in types[name].items()
            if column != KEY and NAME.match(column) and not column.startswith("__")
        }
        type_name = _type_name(name, taken)
        taken.add(type_name)
        found[name] = RowType(type_name, catalog[name], scalars)
    return found


def sdl(found: Iterable[RowType]) -> str:
    """What the row types add to the schema; without any there is nothing to add."""
    types = [row_type for row_type in found if row_type.scalars]
    if not types:
        return ""
    union = UNION.replace("{types}", " | ".join(row_type.name for row_type in types))
    return "\n".join([NODES, union, *(row_type.sdl() for row_type in types)])


def root_of(found: Mapping[str, RowType], name: str) -> Root:
    """The field `readModel` for a read model of this name; raises QueryError."""
    if name not in found:
        raise QueryError("BAD_USER_INPUT", f"there is no read model {name!r}{suggest(name, found)}")
    return found[name].root()


def _type_name(name: str, taken: set[str]) -> str:
    """daily_stats → DailyStatsRow"""
    stem = "".join(word.capitalize() for word in name.split("_"))
    candidates = (f"{stem}{number or ''}Row" for number in range(len(taken) + 1))
    return next(candidate for candidate in candidates if candidate not in taken)


def _pair(column: str) -> str:
    key = literal(json.dumps(column, ensure_ascii=False) + ":")
    return f"{key} || coalesce(to_json({quote(column)})::text, 'null')"


def _array(names: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(literal(name) for name in names)}]::text[]"


def _shown(column: str, scalar: str) -> str:
    """A column as its scalar has it: JSON is text, and what JSON cannot write is null."""
    name = quote(column)
    if scalar == "Float":
        return f"CASE WHEN {name} - {name} = 0 THEN {name}::float8 END"
    if scalar == "Number":
        return f"CASE WHEN {name} - {name} = 0 THEN {name}::text END"
    if scalar == "JSON":
        return f"to_json({name})::text"
    return f"{name}::text" if scalar == "String" else name
