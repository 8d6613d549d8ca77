"""Which fields an operation asks for: fragments and directives resolved, one entry for each response key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
)

from progress_context.query.plan_values import NotPlanned

Holds = Callable[[DirectiveNode], bool]
Grouped = dict[str, list[FieldNode]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """One key of an object in the answer: a field, its type, and for an object what is asked of it.

    `row_type` is the type of the object where the field's own type leaves that open.
    """

    key: str
    node: FieldNode
    type: Any
    inside: tuple[Chosen, ...] = ()
    row_type: str = ""

    @property
    def name(self) -> str:
        """The field's name in the schema."""
        return self.node.name.value


class Chooser:
    """Collects fields as the GraphQL specification does; `holds` tells the `if` of a directive."""

    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], holds: Holds
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._holds = holds

    def grouped(self, type_: GraphQLObjectType, selections: Iterable[SelectionSetNode]) -> Grouped:
        """Field nodes by response key, in the order in which the keys are met."""
        found: Grouped = {}
        visited: set[str] = set()
        for each in selections:
            self._collect(type_, each, found, visited)
        return found

    def chosen(
        self, type_: GraphQLObjectType, selections: Iterable[SelectionSetNode], row_type: str = ""
    ) -> tuple[Chosen, ...]:
        """The keys of an object of this type; `row_type` is the type of rows that may be of several."""
        grouped = self.grouped(type_, selections)
        return tuple(self.field(type_, key, nodes, row_type) for key, nodes in grouped.items())

    def field(self, type_: GraphQLObjectType, key: str, nodes: list[FieldNode], row_type: str = "") -> Chosen:
        """One key, with everything that is asked of its object."""
        if nodes[0].name.value.startswith("__"):
            return Chosen(key, nodes[0], None)
        field_type = type_.fields[nodes[0].name.value].type
        inner = unwrapped(field_type)
        open_type = row_type if isinstance(inner, GraphQLUnionType) else ""
        if open_type:
            inner = self._schema.type_map[open_type]
        if not isinstance(inner, GraphQLObjectType):
            return Chosen(key, nodes[0], field_type)
        selections = [node.selection_set for node in nodes if node.selection_set]
        return Chosen(key, nodes[0], field_type, self.chosen(inner, selections, row_type), open_type)

    def _collect(
        self, type_: GraphQLObjectType, selections: SelectionSetNode, found: Grouped, visited: set[str]
    ) -> None:
        for selection in selections.selections:
            if not self._included(selection.directives or ()):
                continue
            if isinstance(selection, FieldNode):
                key = selection.alias.value if selection.alias else selection.name.value
                found.setdefault(key, []).append(selection)
            elif isinstance(selection, InlineFragmentNode):
                if self._applies(selection.type_condition, type_):
                    self._collect(type_, selection.selection_set, found, visited)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in visited:
                visited.add(selection.name.value)
                fragment = self._fragments[selection.name.value]
                if self._applies(fragment.type_condition, type_):
                    self._collect(type_, fragment.selection_set, found, visited)

    def _included(self, directives: Iterable[DirectiveNode]) -> bool:
        for directive in directives:
            if directive.name.value not in ("skip", "include"):
                raise NotPlanned
            if self._holds(directive) is (directive.name.value == "skip"):
                return False
        return True

    def _applies(self, condition: Any, type_: GraphQLObjectType) -> bool:
        if condition is None or condition.name.value == type_.name:
            return True
        wanted = self._schema.type_map[condition.name.value]
        return isinstance(wanted, GraphQLUnionType) and self._schema.is_sub_type(wanted, type_)


def unwrapped(type_: Any) -> Any:
    """A type without its lists and exclamation marks."""
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_
