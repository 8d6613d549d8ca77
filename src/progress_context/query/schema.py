"""The executable schema: the SDL, our scalars, and what the row types of read models add."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from graphql import (
    GraphQLError,
    GraphQLSchema,
    assert_scalar_type,
    build_schema,
    find_breaking_changes,
    print_schema,
)
from graphql.pyutils import inspect

from progress_context.log.database import resource

MAX_POSITION = 2**63 - 1
VERSION = 1  # raised with every breaking change
HEADER = re.compile(r"^# Progress Context, GraphQL schema version (\d+)$", re.MULTILINE)


def load_schema(more: str = "") -> GraphQLSchema:
    """The schema of this service with `more` definitions; leaves come out as values or JSON text."""
    schema = build_schema(resource("progress_context.query", "schema.graphql") + more)
    _define(schema, "Date", _write_date, _read_date)
    _define(schema, "DateTime", _write_instant, _read_instant)
    _define(schema, "Position", int, _read_position)
    _define(schema, "Number", _json, None)
    _define(schema, "JSON", _json, None)
    return schema


def printed(schema: GraphQLSchema) -> str:
    """The schema as SDL, under a line that tells its version."""
    return f"# Progress Context, GraphQL schema version {VERSION}\n\n{print_schema(schema)}\n"


def version_of(text: str) -> int:
    """The version of a schema that was printed; 0 when it does not tell."""
    found = HEADER.search(text)
    return int(found[1]) if found else 0


def breaking_changes(before: str, after: str) -> list[str]:
    """What would break clients between two printed schemas, in words."""
    changes = find_breaking_changes(build_schema(before), build_schema(after))
    return [change.description for change in changes]


def write_instant(moment: datetime) -> str:
    """RFC 3339 in UTC, no more digits than needed: 2026-11-23T12:00:00.5Z."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def _define(
    schema: GraphQLSchema, name: str, write: Callable[[Any], Any], read: Callable[[Any], Any] | None
) -> None:
    scalar = assert_scalar_type(schema.type_map[name])
    scalar.coerce_output_value = write
    if read is not None:
        scalar.coerce_input_value = read


def _json(value: Any) -> msgspec.Raw:
    return msgspec.Raw(str(value).encode())


def _write_date(value: object) -> str:
    if not isinstance(value, date):
        raise GraphQLError(f"no date: {inspect(value)}")
    return value.isoformat()


def _read_date(value: object) -> date:
    try:
        if isinstance(value, str) and len(value) == len("2026-11-23"):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise GraphQLError(f"{inspect(value)} is no date; write it as 2026-11-23")


def _write_instant(value: object) -> str:
    if not isinstance(value, datetime):
        raise GraphQLError(f"no instant: {inspect(value)}")
    return write_instant(value)


def _read_instant(value: object) -> datetime:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment
    except ValueError:
        pass
    raise GraphQLError(f"{inspect(value)} is no instant; write it as 2026-11-23T12:00:00Z")


def _read_position(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_POSITION:
        return value
    raise GraphQLError(f"{inspect(value)} is no position; positions are whole numbers from 0")
