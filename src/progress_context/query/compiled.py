"""One operation of a document, ready to be executed again: what is known of it before a request comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import OperationDefinitionNode
from graphql.execution.values import get_variable_values

from progress_context.errors import LogUnavailable, QueryError
from progress_context.query.cache_bounds import Keepable, keepable
from progress_context.query.documents import Document
from progress_context.query.outline import Bound, Outline, outline, shape_variables
from progress_context.query.plan import Plan, plan
from progress_context.query.plan_values import NotPlanned, Read, variables_reader
from progress_context.query.served import Served

SHAPES_KEPT = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """An operation whose fields are fixed, and its plan, if it has one."""

    outline: Outline
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Request:
    """An operation with the values of one request.

    `plan` can answer it from the values in `complete`: then nothing in it fails, and nothing is past. `cost`
    is 0 where the request makes no sense. Without `about` its answer must not be kept.
    """

    plan: Plan | None = None
    complete: Sequence[Bound] = ()
    wait_for: int = 0
    cost: int = 0
    about: Keepable | None = None


class Compiled:
    """An operation: how its variables are read, and its shapes by the values that decide them."""

    def __init__(self, document: Document, operation: OperationDefinitionNode, served: Served) -> None:
        self._document = document
        self._operation = operation
        self._served = served
        self._read: Read = variables_reader(served.schema, operation.variable_definitions or ())
        self._deciding = shape_variables(document, operation)
        self._shapes: dict[tuple[Any, ...], Shape] = {}

    def request(self, variables: Mapping[str, Any]) -> Request:
        """What the operation asks for with these variables."""
        try:
            values = self._values(variables)
            shape = self._shape(values)
        except NotPlanned:
            return Request()
        bound = shape.outline.bind(values)
        complete = [each for each in bound if each is not None]
        whole = len(complete) == len(bound) and not any(each.past for each in complete)
        wait_for = max((each.wait_for for each in complete), default=0)
        about = keepable(shape.outline, complete) if len(complete) == len(bound) else None
        return Request(shape.plan if whole else None, complete, wait_for, shape.outline.cost(bound), about)

    def _values(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        """The values of the variables; graphql-core reads the unusual, such as a number for an ID."""
        try:
            return self._read(variables)
        except NotPlanned:
            definitions = self._operation.variable_definitions or ()
            found: Any = get_variable_values(self._served.schema, definitions, dict(variables))
            if isinstance(found, list):
                raise NotPlanned from None
            return found.coerced

    def _shape(self, values: Mapping[str, Any]) -> Shape:
        key = tuple(values.get(name) for name in self._deciding)
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= SHAPES_KEPT:
                self._shapes.clear()
            shape = self._shapes[key] = self._made(dict(zip(self._deciding, key, strict=True)))
        return shape

    def _made(self, deciding: Mapping[str, Any]) -> Shape:
        found = outline(self._document, self._operation, self._served, deciding)
        try:
            return Shape(found, plan(found, self._served))
        except (NotPlanned, LogUnavailable):  # a read model may have been built since
            return Shape(found, None)


def compiled(document: Document, operation_name: str | None, served: Served) -> Compiled:
    """The operation of a document, compiled once; raises QueryError when there is none to execute."""
    known = document.plans.get(operation_name)
    if known is None:
        operation = document.operation(operation_name)
        known = document.plans[operation_name] = Compiled(document, operation, served)
    return known


def within(cost: int, most: int) -> None:
    """Raise QueryError for a request that costs too much."""
    if cost > most:
        raise QueryError(
            "QUERY_TOO_EXPENSIVE", f"the request costs {cost:,} points; at most {most:,} are answered"
        )
