"""Documents: parsed, validated and measured once, then kept by their text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql import NoSchemaIntrospectionCustomRule as NoIntrospection

from progress_context.errors import QueryError
from progress_context.query.limits import Limits, check

DOCUMENTS_KEPT = 1_000
LONGEST_KEPT = 16 * 1024


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may be executed, or what is wrong with it. `plans` is the planner's to fill."""

    node: DocumentNode
    errors: tuple[GraphQLError, ...] = ()
    code: str = ""
    operations: Mapping[str, OperationDefinitionNode] = field(
        default_factory=dict[str, OperationDefinitionNode]
    )
    fragments: Mapping[str, FragmentDefinitionNode] = field(default_factory=dict[str, FragmentDefinitionNode])
    plans: dict[object, Any] = field(default_factory=dict[object, Any])

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """The operation to execute; raises QueryError when the request does not tell, or it only reads."""
        found = self.operations.get(name) if name else _only(self.operations)
        if found is None:
            which = f"there is no operation {name!r}" if name else "say which operation: operationName"
            raise QueryError("OPERATION_UNKNOWN", f"{which}; there are {len(self.operations)}")
        if found.operation is not OperationType.QUERY:
            raise QueryError(
                "METHOD_NOT_SUPPORTED", f"only queries are answered here, no {found.operation.value}"
            )
        return found


class Documents:
    """The latest documents, by text."""

    def __init__(self, schema: GraphQLSchema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._rules = specified_rules if limits.introspection else (*specified_rules, NoIntrospection)
        self._kept: OrderedDict[str, Document] = OrderedDict()

    def get(self, text: str) -> Document:
        """The document of a text, good or bad."""
        known = self._kept.get(text)
        if known is not None:
            self._kept.move_to_end(text)
            return known
        document = self._prepared(text)
        if len(text) <= LONGEST_KEPT:
            self._kept[text] = document
            if len(self._kept) > DOCUMENTS_KEPT:
                self._kept.popitem(last=False)
        return document

    def _prepared(self, text: str) -> Document:
        empty = DocumentNode(definitions=())
        try:
            node = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            return Document(empty, (error,), "GRAPHQL_PARSE_FAILED")
        if errors := validate(self._schema, node, self._rules):
            return Document(empty, tuple(errors), "GRAPHQL_VALIDATION_FAILED")
        operations, fragments = _definitions(node)
        try:
            check(operations.values(), fragments, self._limits)
        except QueryError as error:
            return Document(empty, (GraphQLError(str(error)),), error.code)
        return Document(node, operations=operations, fragments=fragments)


def _definitions(
    node: DocumentNode,
) -> tuple[dict[str, OperationDefinitionNode], dict[str, FragmentDefinitionNode]]:
    operations: dict[str, OperationDefinitionNode] = {}
    fragments: dict[str, FragmentDefinitionNode] = {}
    for definition in node.definitions:
        if isinstance(definition, OperationDefinitionNode):
            operations[definition.name.value if definition.name else ""] = definition
        elif isinstance(definition, FragmentDefinitionNode):
            fragments[definition.name.value] = definition
    return operations, fragments


def _only(operations: Mapping[str, OperationDefinitionNode]) -> OperationDefinitionNode | None:
    return next(iter(operations.values())) if len(operations) == 1 else None
