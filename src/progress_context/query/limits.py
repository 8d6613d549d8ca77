"""How large a document may be: its depth, its aliases and its fields, fragments written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from progress_context.errors import QueryError

INTROSPECTION = ("__schema", "__type")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be at most; without `introspection` it may not ask about the schema either."""

    depth: int = 8
    cost: int = 1_000
    aliases: int = 50
    fields: int = 2_000
    tokens: int = 2_000
    introspection: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    """Of a selection: `depth` counts levels of fields; those below introspection are free."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0

    def beside(self, other: Size) -> Size:
        """The size of both together."""
        depth = max(self.depth, other.depth)
        return Size(depth, self.aliases + other.aliases, self.fields + other.fields)


def check(
    operations: Iterable[OperationDefinitionNode],
    fragments: Mapping[str, FragmentDefinitionNode],
    limits: Limits,
) -> None:
    """Raise QueryError for the first limit that an operation exceeds."""
    ruler = _Ruler(fragments)
    for operation in operations:
        size = ruler.measure(operation.selection_set)
        _within("QUERY_TOO_DEEP", "levels of fields", size.depth, limits.depth)
        _within("TOO_MANY_ALIASES", "aliases", size.aliases, limits.aliases)
        _within("TOO_MANY_FIELDS", "fields", size.fields, limits.fields)


class _Ruler:
    """Measures selections; each fragment once, however often it is spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, Size] = {}

    def measure(self, selections: SelectionSetNode | None) -> Size:
        size = Size()
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                size = size.beside(self._field(selection))
            elif isinstance(selection, InlineFragmentNode):
                size = size.beside(self.measure(selection.selection_set))
            elif isinstance(selection, FragmentSpreadNode):
                size = size.beside(self._fragment(selection.name.value))
        return size

    def _field(self, node: FieldNode) -> Size:
        inside = self.measure(node.selection_set)
        depth = 0 if node.name.value in INTROSPECTION else inside.depth
        return Size(depth + 1, inside.aliases + (node.alias is not None), inside.fields + 1)

    def _fragment(self, name: str) -> Size:
        if name not in self._known:
            self._known[name] = self.measure(self._fragments[name].selection_set)
        return self._known[name]


def _within(code: str, what: str, number: int, most: int) -> None:
    if number > most:
        raise QueryError(code, f"the document has {number:,} {what}; at most {most:,} are answered")
