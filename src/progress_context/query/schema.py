"""The executable schema: the SDL, our scalars, and a resolver for every field of Query."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
from graphql import (
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLSchema,
    assert_scalar_type,
    build_schema,
    default_field_resolver,
)
from graphql.pyutils import inspect

from progress_context.log.database import resource
from progress_context.query import resolvers

RESOLVERS = {
    "dailyStats": resolvers.daily_stats,
    "itemProgress": resolvers.item_progress,
    "learningStreak": resolvers.learning_streak,
    "userSummary": resolvers.user_summary,
    "readModel": resolvers.read_model,
    "learners": resolvers.learners,
}
MAX_POSITION = 2**63 - 1


def load_schema() -> GraphQLSchema:
    """The schema of this service."""
    schema = build_schema(resource("progress_context.query", "schema.graphql"))
    _define(assert_scalar_type(schema.type_map["Date"]), _write_date, _read_date)
    _define(assert_scalar_type(schema.type_map["DateTime"]), _write_instant, _read_instant)
    _define(assert_scalar_type(schema.type_map["Position"]), int, _read_position)
    if schema.query_type is not None:
        for name, field in schema.query_type.fields.items():
            field.resolve = RESOLVERS[name]
    return schema


def resolve_field(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """As graphql-core's default, and columns of database rows."""
    if isinstance(source, asyncpg.Record):
        return source[info.field_name]
    if isinstance(source, Mapping):
        value = source[info.field_name]
        return value(info, **arguments) if callable(value) else value
    return default_field_resolver(source, info, **arguments)


def _define(scalar: GraphQLScalarType, write: Any, read: Any) -> None:
    scalar.coerce_output_value = write
    scalar.coerce_input_value = read


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
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
