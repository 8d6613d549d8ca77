"""Resolvers for graphql-core's own executor: a question for each field of Query, and for each list inside.

It answers what the planner leaves aside, and every error. Where both can answer, they answer the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import asyncpg
from graphql import (
    ExecutionResult,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    execute,
)

from progress_context.engine.as_of import HappenedBy, KnownAt, Moment, Position
from progress_context.query.arguments import Arguments, Parameters
from progress_context.query.documents import Document
from progress_context.query.operating import resolve_operators
from progress_context.query.roots import OPERATORS, Root
from progress_context.query.snapshot import Snapshot

INSTANTS = {"knownAt": KnownAt, "happenedBy": HappenedBy}


@dataclass(frozen=True, slots=True)
class Asked:
    """A field of Query with its arguments."""

    root: Root
    parameters: Parameters
    user_id: str | None
    moment: Moment | None


@dataclass(frozen=True, slots=True)
class Node:
    """An object in the row of a question; `path` is the dotted name of an object inside the row."""

    asked: Asked
    row: asyncpg.Record
    type_name: str | None = None
    path: str = ""


async def execute_stock(
    document: Document, operation_name: str | None, variables: dict[str, Any] | None, look: Snapshot
) -> ExecutionResult:
    """What graphql-core's executor says, in one snapshot."""
    result = execute(
        look.served.schema,
        document.node,
        variable_values=variables,
        operation_name=operation_name,
        context_value=look,
        field_resolver=_resolve,
        type_resolver=_type_of,
    )
    return result if isinstance(result, ExecutionResult) else await result


async def _resolve(source: object, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    if isinstance(source, Node):
        return await _resolve_inside(source, info)
    if isinstance(source, Mapping):
        return cast("Mapping[str, Any]", source)[info.field_name]
    look: Snapshot = info.context
    if info.field_name in OPERATORS:
        return await resolve_operators(info.field_name, look, arguments)
    root = look.served.root(info.field_name, arguments.get("name"))
    user_id = arguments["userId"] if root.by_learner else None
    asked = Asked(root, root.parameters(arguments), user_id, moment_of(arguments))
    rows = await look.rows(root.question, asked.parameters, user_id, asked.moment)
    nodes = [Node(asked, row) for row in rows]
    return nodes if root.many else nodes[0]


async def _resolve_inside(node: Node, info: GraphQLResolveInfo[Any]) -> Any:
    column = node.path + info.field_name
    listed = node.asked.root.lists.get(column)
    if listed is not None and not node.path:
        asked, look = node.asked, info.context
        rows = await look.rows(listed, asked.parameters, asked.user_id, asked.moment)
        inner = replace(asked, root=replace(asked.root, lists={}))
        return [Node(inner, row, asked.root.row_type) for row in rows]
    if _is_object(info.return_type):
        return replace(node, path=f"{column}.") if node.row.get(f"{column}?", True) else None
    return node.row[column]


def moment_of(arguments: Arguments) -> Moment | None:
    """The past moment that `asOf` names, if it does."""
    given: Mapping[str, Any] | None = arguments.get("asOf")
    if given is None:
        return None
    [(kind, value)] = given.items()
    return Position(value) if kind == "position" else _at(kind, value)


def _at(kind: str, value: datetime) -> Moment:
    return INSTANTS[kind](value)


def _is_object(type_: object) -> bool:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return isinstance(type_, GraphQLObjectType)


def _type_of(node: Node, _info: object, _type: object) -> str | None:
    return node.type_name
