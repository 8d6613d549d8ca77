"""What a client asks for over a socket or a stream: a query, or a subscription to one learner."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_argument_values,
    get_variable_values,
    print_ast,
)

from progress_context.errors import QueryError
from progress_context.query.documents import LONGEST_KEPT, Document, Documents
from progress_context.query.execute import Executor
from progress_context.query.limits import Limits
from progress_context.query.served import Served
from progress_context.query.subscriptions.protocol import Params
from progress_context.query.subscriptions.rewriting import Rewritten, rewrite

STREAMS_KEPT = 1_000
PROGRESS, STREAK, MILESTONE = "progressUpdated", "streakUpdated", "milestoneAchieved"

encode = msgspec.json.Encoder(order="deterministic").encode


class DocumentRefused(Exception):
    """A document that cannot be executed; `errors` is the JSON list for the client."""

    def __init__(self, errors: str) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Selected:
    """A subscription of a document: its field, the key of its payloads, and how these are fetched."""

    document: Document
    operation: OperationDefinitionNode
    node: FieldNode
    key: str
    query: Rewritten | None

    @property
    def field(self) -> str:
        """Which subscription it is."""
        return self.node.name.value


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Stream:
    """A subscription with its values. There is one for all who want the same: they get the same payloads."""

    selected: Selected
    user_id: str
    variables: Mapping[str, Any]

    @property
    def field(self) -> str:
        """Which subscription it is."""
        return self.selected.field


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stream, and the position from which on the client wants it; None: from now on."""

    stream: Stream
    after: int | None


class Reader:
    """Reads what clients ask for."""

    def __init__(self, executor: Executor, limits: Limits) -> None:
        self._executor = executor
        self._limits = limits
        self._served: Served | None = None
        self._documents: Documents | None = None
        self._selected: OrderedDict[tuple[str, str | None], Selected] = OrderedDict()
        self._streams: WeakValueDictionary[tuple[str, str, str, bytes], Stream] = WeakValueDictionary()

    async def read(self, params: Params) -> Wanted | None:
        """A subscription; None for a query. Raises DocumentRefused, QueryError, LogUnavailable."""
        served = await self._executor.served()
        selected = self._select(served, params.query, params.operationName)
        return None if selected is None else self._wanted(served, selected, params.variables or {})

    def _select(self, served: Served, query: str, name: str | None) -> Selected | None:
        if self._documents is None or served is not self._served:
            self._served, self._documents = served, Documents(served.schema, self._limits)
            self._selected.clear()
        known = self._selected.get((query, name))
        if known is not None:
            self._selected.move_to_end((query, name))
            return known
        document = self._documents.get(query)
        if document.errors:
            shown = [{**error.formatted, "extensions": {"code": document.code}} for error in document.errors]
            raise DocumentRefused(encode(shown).decode())
        operation = _operation(document, name)
        if operation.operation is not OperationType.SUBSCRIPTION:
            return None
        selected = _selected(document, operation)
        if len(query) <= LONGEST_KEPT:
            self._selected[query, name] = selected
            if len(self._selected) > STREAMS_KEPT:
                self._selected.popitem(last=False)
        return selected

    def _wanted(self, served: Served, selected: Selected, variables: Mapping[str, Any]) -> Wanted:
        definitions = selected.operation.variable_definitions or ()
        values = get_variable_values(served.schema, definitions, dict(variables))
        if isinstance(values, list):
            raise QueryError("BAD_USER_INPUT", str(values[0].message))
        subscription = served.schema.subscription_type
        assert subscription is not None
        try:
            arguments = get_argument_values(subscription.fields[selected.field], selected.node, values)
        except GraphQLError as error:
            raise QueryError("BAD_USER_INPUT", error.message) from None
        return Wanted(self._stream(selected, arguments["userId"], variables), arguments.get("after"))

    def _stream(self, selected: Selected, user_id: str, variables: Mapping[str, Any]) -> Stream:
        text, names = _identity(selected)
        deciding = {name: variables[name] for name in names if name in variables}
        name = (text, selected.key, user_id, encode(deciding))
        stream = self._streams.get(name)
        if stream is None:
            needed = variables if selected.query is None else deciding
            stream = self._streams[name] = Stream(selected, user_id, needed)
        return stream


def _operation(document: Document, name: str | None) -> OperationDefinitionNode:
    found = document.operations.get(name) if name else None
    if found is None and not name and len(document.operations) == 1:
        found = next(iter(document.operations.values()))
    if found is None:
        which = f"there is no operation {name!r}" if name else "say which operation: operationName"
        raise QueryError("OPERATION_UNKNOWN", f"{which}; there are {len(document.operations)}")
    return found


def _selected(document: Document, operation: OperationDefinitionNode) -> Selected:
    """Validation has seen to it that all fields of the operation have one name and key, unconditionally."""
    nodes = list(_fields(operation.selection_set, document))
    node = nodes[0]
    inside: list[SelectionNode] = []
    for each in nodes:
        inside += each.selection_set.selections if each.selection_set else ()
    query = None
    if node.name.value != MILESTONE:
        selections = SelectionSetNode(selections=tuple(inside))
        streak = node.name.value == STREAK
        query = rewrite(selections, operation, document.fragments, compare_streak=streak)
    return Selected(document, operation, node, (node.alias or node.name).value, query)


def _fields(selections: SelectionSetNode, document: Document) -> list[FieldNode]:
    found: list[FieldNode] = []
    for node in selections.selections:
        if isinstance(node, FieldNode):
            found.append(node)
        elif isinstance(node, FragmentSpreadNode):
            found += _fields(document.fragments[node.name.value].selection_set, document)
        elif isinstance(node, InlineFragmentNode):
            found += _fields(node.selection_set, document)
    return found


def _identity(selected: Selected) -> tuple[str, tuple[str, ...]]:
    """What tells streams of one learner apart: the text that is executed, and the variables in it."""
    if selected.query is not None:
        return selected.query.text, selected.query.variables
    arguments = [argument.value for argument in selected.node.arguments or ()]
    given = {value.name.value for value in arguments if isinstance(value, VariableNode)}
    names = [each.variable.name.value for each in selected.operation.variable_definitions or ()]
    return print_ast(selected.document.node), tuple(name for name in names if name not in given)
