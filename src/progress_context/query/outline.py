"""What one operation asks for, known before it is executed: its fields, its arguments, what it will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    StringValueNode,
    Undefined,
    VariableNode,
    Visitor,
    visit,
)
from graphql.utilities.coerce_input_value import coerce_default_value

from progress_context.errors import QueryError
from progress_context.query.arguments import Parameters
from progress_context.query.documents import Document
from progress_context.query.plan_fields import Chooser, Chosen
from progress_context.query.plan_values import ABSENT, Bind, NotPlanned, Variables, binder
from progress_context.query.roots import OPERATORS, ROOTS, Root
from progress_context.query.served import READ_MODEL, Served

ROWS_PER_POINT = 10  # what a list costs: a point for every so many rows it may have
PAST_POINTS = 20  # a past moment is computed from events
WAIT, AS_OF, USER = "waitForPosition", "asOf", "userId"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of Query with its arguments compiled; without a root it is left to graphql-core, or will fail.

    `keys` are those of arguments with the same value, by name.
    """

    chosen: Chosen
    root: Root | None
    arguments: Mapping[str, tuple[Bind, Any]]
    keys: Mapping[str, object]

    def bind(self, variables: Variables) -> dict[str, Any]:
        """The values of the arguments; those absent have their default, or are left out."""
        values: dict[str, Any] = {}
        for name, (bind, default) in self.arguments.items():
            value = bind(variables)
            if value is ABSENT:
                value = default
            if value is not ABSENT:
                values[name] = value
        return values


@dataclass(frozen=True, slots=True)
class Bound:
    """A field with the values of one request; `fixed` is a past moment that is named by its position."""

    user_id: str | None
    parameters: Parameters
    past: bool
    fixed: bool
    wait_for: int
    cost: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The fields of an operation, for given values of the variables that decide its shape."""

    fields: tuple[Field, ...]

    def bind(self, variables: Variables) -> list[Bound | None]:
        """The values of one request, for each field with a root; None for one that will fail."""
        return [_bound(field, variables) for field in self.fields if field.root is not None]

    def cost(self, bound: Sequence[Bound | None]) -> int:
        """Points: one for each field of Query, more for long lists and the past."""
        others = len(self.fields) - len(bound)
        return others + sum(1 if each is None else each.cost for each in bound)


def outline(
    document: Document, operation: OperationDefinitionNode, served: Served, shape: Mapping[str, Any]
) -> Outline:
    """The outline of an operation; `shape` are the values of its shape variables."""
    query: GraphQLObjectType = served.schema.type_map["Query"]  # pyright: ignore[reportAssignmentType]

    def holds(directive: DirectiveNode) -> bool:
        [value] = [argument.value for argument in directive.arguments or ()]
        told = shape.get(value.name.value) if isinstance(value, VariableNode) else _flag(value)
        if not isinstance(told, bool):
            raise NotPlanned
        return told

    chooser = Chooser(served.schema, document.fragments, holds)
    grouped = chooser.grouped(query, [operation.selection_set])
    fields = [_field(chooser, served, query, key, nodes, shape) for key, nodes in grouped.items()]
    return Outline(tuple(fields))


def shape_variables(document: Document, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """The variables that decide which fields there are, and of what type."""
    finder = _ShapeFinder()
    visit(operation, finder)
    for fragment in document.fragments.values():
        visit(fragment, finder)
    return tuple(sorted(finder.found))


def _field(
    chooser: Chooser,
    served: Served,
    query: GraphQLObjectType,
    key: str,
    nodes: list[FieldNode],
    shape: Mapping[str, Any],
) -> Field:
    node = nodes[0]
    if node.name.value.startswith("__") or node.name.value in OPERATORS:
        return Field(Chosen(key, node, None), None, {}, {})
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    try:
        root = _root(served, node.name.value, given, shape)
    except QueryError:
        return Field(Chosen(key, node, None), None, {}, {})
    compiled: dict[str, tuple[Bind, Any]] = {}
    keys: dict[str, object] = {}
    for name, argument in query.fields[node.name.value].args.items():
        default = coerce_default_value(argument)
        default = ABSENT if default is Undefined else default
        if name in given:
            bind, keys[name] = binder(given[name], argument.type)
            compiled[name] = (bind, default)
        elif default is not ABSENT:
            compiled[name] = (_absent, default)
    return Field(chooser.field(query, key, nodes, root.row_type), root, compiled, keys)


def _root(served: Served, field: str, given: Mapping[str, Any], shape: Mapping[str, Any]) -> Root:
    if field != READ_MODEL:
        return ROOTS[field]
    name = given["name"]
    told = name.value if isinstance(name, StringValueNode) else shape.get(name.name.value)
    if not isinstance(told, str):
        raise NotPlanned
    return served.root(field, told)


def _bound(field: Field, variables: Variables) -> Bound | None:
    assert field.root is not None
    try:
        arguments = field.bind(variables)
        parameters = field.root.parameters(arguments)
    except (NotPlanned, QueryError):
        return None
    moment = arguments.get(AS_OF)
    past = moment is not None
    fixed = past and "position" in moment
    wait = arguments.get(WAIT) or 0
    return Bound(arguments.get(USER), parameters, past, fixed, wait, _cost(field, parameters, past))


def _cost(field: Field, parameters: Parameters, past: bool) -> int:
    assert field.root is not None
    counts = field.root.counts
    rows = counts[""](parameters) if "" in counts else 0
    rows += sum(counts[each.name](parameters) for each in field.chosen.inside if each.name in counts)
    return 1 + -(-rows // ROWS_PER_POINT) + PAST_POINTS * past


def _absent(_variables: Variables) -> Any:
    return ABSENT


def _flag(value: Any) -> object:
    return value.value if isinstance(value, BooleanValueNode) else None


class _ShapeFinder(Visitor):
    """Collects the variables of `@skip`, `@include` and of the names of read models."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        self._add(node.arguments or ())

    def enter_field(self, node: FieldNode, *_: object) -> None:
        if node.name.value == READ_MODEL:
            self._add(a for a in node.arguments or () if a.name.value == "name")

    def _add(self, arguments: Any) -> None:
        for argument in arguments:
            if isinstance(argument.value, VariableNode):
                self.found.add(argument.value.name.value)
