"""JSON written by PostgreSQL: text, glued together from the columns of a question's rows.

Gluing text is several times faster than json_build_object, and gives the same bytes as our own encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from graphql import GraphQLEnumType, GraphQLList, GraphQLNonNull

from progress_context.engine.template import literal, quote
from progress_context.query.plan_fields import Chosen, unwrapped
from progress_context.query.plan_values import NotPlanned
from progress_context.query.question import Question

# A control character stands in no JSON text, so this in an answer means: a required value is missing.
BROKEN = "\x01"
BROKEN_SQL = "chr(1)"
QUOTED = "'\"' || {} || '\"'"
SCALARS = {
    "Int": "{}::text",
    "Float": "{}::float8::text",
    "Boolean": "{}::text",
    "ID": "to_json({}::text)::text",
    "String": "to_json({}::text)::text",
    "Date": QUOTED.replace("{}", "{}::text"),
    "DateTime": "replace(to_json({})::text, '+00:00\"', 'Z\"')",
    "Number": "{}",
    "JSON": "{}",
}


class Text:
    """A piece of JSON as an SQL expression of type text; neighbouring constants become one."""

    def __init__(self) -> None:
        self._parts: list[tuple[bool, str]] = []

    def constant(self, text: str) -> None:
        """Add text that is always the same."""
        if self._parts and self._parts[-1][0]:
            text = self._parts.pop()[1] + text
        self._parts.append((True, text))

    def value(self, sql: str) -> None:
        """Add an SQL expression of type text."""
        self._parts.append((False, sql))

    def sql(self) -> str:
        """The whole expression; null when any of its values is."""
        return " || ".join(literal(text) if fixed else f"({text})" for fixed, text in self._parts)


def written_list(chosen: Iterable[Chosen], type_name: str, rows: str, lists: Mapping[str, Question]) -> str:
    """A JSON array of an object for every row of a SELECT."""
    element = written_object(chosen, type_name, "", lists)
    return (
        f"SELECT '[' || coalesce(string_agg(coalesce({element}, {BROKEN_SQL}), ','), '') || ']'\n"
        f"  FROM (\n{rows}\n) AS answer"
    )


def written_row(chosen: Iterable[Chosen], type_name: str, rows: str, lists: Mapping[str, Question]) -> str:
    """A JSON object for the one row of a SELECT."""
    return f"SELECT {written_object(chosen, type_name, '', lists)}\n  FROM (\n{rows}\n) AS answer"


def written_object(chosen: Iterable[Chosen], type_name: str, path: str, lists: Mapping[str, Question]) -> str:
    """A JSON object from the columns of `answer` below a dotted path."""
    text = Text()
    text.constant("{")
    for number, field in enumerate(chosen):
        text.constant(f"{',' if number else ''}{json.dumps(field.key)}:")
        _write_field(text, field, type_name, path, lists)
    text.constant("}")
    return text.sql()


def _write_field(text: Text, field: Chosen, type_name: str, path: str, lists: Mapping[str, Question]) -> None:
    column = path + field.name
    if field.name == "__typename":
        text.constant(json.dumps(type_name))
    elif column in lists:
        inner = unwrapped(field.type)
        rows = f"SELECT whole.* FROM (\n{lists[column].sql}\n) AS whole"
        text.value(written_list(field.inside, _concrete(inner, field), rows, {}))
    elif field.inside:
        _write_inner(text, field, column, lists)
    else:
        text.value(_leaf(field.type, f"answer.{quote(column)}"))


def _write_inner(text: Text, field: Chosen, column: str, lists: Mapping[str, Question]) -> None:
    written = written_object(field.inside, unwrapped(field.type).name, f"{column}.", lists)
    if isinstance(field.type, GraphQLNonNull):
        text.value(written)
    else:
        text.value(f"CASE WHEN answer.{quote(f'{column}?')} THEN {written} ELSE 'null' END")


def _concrete(inner: Any, field: Chosen) -> str:
    return field.row_type or inner.name


def _leaf(type_: Any, column: str) -> str:
    required = isinstance(type_, GraphQLNonNull)
    nullable: Any = type_.of_type if required else type_
    written = _leaf_list(nullable, column) if isinstance(nullable, GraphQLList) else _scalar(nullable, column)
    return written if required else f"coalesce({written}, 'null')"


def _leaf_list(type_: Any, column: str) -> str:
    if unwrapped(type_).name == "JSON":
        return f"'[' || array_to_string({column}, ',') || ']'"
    if unwrapped(type_).name == "String":
        return f"to_json({column})::text"
    raise NotPlanned


def _scalar(type_: Any, column: str) -> str:
    template = QUOTED if isinstance(type_, GraphQLEnumType) else SCALARS.get(type_.name)
    if template is None:
        raise NotPlanned
    return template.replace("{}", column)
