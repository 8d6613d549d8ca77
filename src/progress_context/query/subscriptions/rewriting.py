"""From the payload that a subscription selects to a query that fetches it.

Every object of a payload is an object of Query for the same learner, so the planner answers it in one
statement. What the payload itself says, such as its position, has a place in the answer and is filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    ArgumentNode,
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    Visitor,
    parse,
    parse_type,
    parse_value,
    print_ast,
    visit,
)

TYPENAME = "__typename"
OWN = {"user": "ID!", "from": "Date!", "to": "Date!", "position": "Position!"}
# Fields of payloads that are objects of Query, and what they ask for.
OBJECTS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "days": ("dailyStats", (("dateRange", "{from: $from, to: $to}"),)),
    "summary": ("userSummary", ()),
    "streak": ("learningStreak", ()),
}
SHOWN = "{current longest lastActiveDay totalActiveDays activeToday alive freezesUsed}"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A query for a payload. `constants` are the response keys to be filled in, with their fields' names.

    `own` are the names of its variables by what they are for, `variables` those that the client gives.
    `compared` is the key of what decides whether a streak changed.
    """

    text: str
    constants: Mapping[str, str]
    own: Mapping[str, str]
    variables: tuple[str, ...]
    compared: str


def rewrite(
    selections: SelectionSetNode,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    *,
    compare_streak: bool,
) -> Rewritten:
    """The query for what is selected of a payload."""
    names = _Names(fragments)
    visit(operation, names)
    for fragment in fragments.values():
        visit(fragment, names)
    own = {purpose: names.free(f"live_{purpose}") for purpose in OWN}
    compared = names.free("live_compared") if compare_streak else ""
    writer = _Writer(own, fragments)
    mapped = writer.selections(selections)
    if compare_streak:
        mapped = (*mapped, _streak(compared, own["user"]))
    return _assembled(SelectionSetNode(selections=mapped), operation, fragments, writer, own, compared)


@dataclass(slots=True)
class _Writer:
    own: Mapping[str, str]
    fragments: Mapping[str, FragmentDefinitionNode]
    constants: dict[str, str] = field(default_factory=dict[str, str])

    def selections(self, selections: SelectionSetNode) -> tuple[SelectionNode, ...]:
        return tuple(self._selection(each) for each in selections.selections)

    def _selection(self, node: SelectionNode) -> SelectionNode:
        if isinstance(node, FieldNode):
            return self._field(node)
        if isinstance(node, FragmentSpreadNode):
            inner = self.fragments[node.name.value].selection_set
        else:
            assert isinstance(node, InlineFragmentNode)
            inner = node.selection_set
        return InlineFragmentNode(
            type_condition=NamedTypeNode(name=NameNode(value="Query")),
            directives=node.directives,
            selection_set=SelectionSetNode(selections=self.selections(inner)),
        )

    def _field(self, node: FieldNode) -> FieldNode:
        key = (node.alias or node.name).value
        if node.name.value not in OBJECTS:
            self.constants[key] = node.name.value
            return FieldNode(name=NameNode(value=TYPENAME), alias=_key(key), directives=node.directives)
        name, arguments = OBJECTS[node.name.value]
        given = [_argument("userId", f"${self.own['user']}")]
        given += [_argument(argument, self._placed(value)) for argument, value in arguments]
        given.append(_argument("waitForPosition", f"${self.own['position']}"))
        return FieldNode(
            name=NameNode(value=name),
            alias=_key(key),
            arguments=(*given, *(node.arguments or ())),
            directives=node.directives,
            selection_set=node.selection_set,
        )

    def _placed(self, value: str) -> str:
        for purpose, name in self.own.items():
            value = value.replace(f"${purpose}", f"${name}")
        return value


def _assembled(
    selections: SelectionSetNode,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    writer: _Writer,
    own: Mapping[str, str],
    compared: str,
) -> Rewritten:
    used = _Names(fragments)
    visit(selections, used)
    spread = [fragments[name] for name in sorted(used.spread)]
    for fragment in spread:
        visit(fragment, used)
    definitions = [_defined(name, OWN[purpose]) for purpose, name in own.items() if name in used.variables]
    clients = [
        each for each in operation.variable_definitions or () if each.variable.name.value in used.variables
    ]
    query = OperationDefinitionNode(
        operation=OperationType.QUERY,
        name=operation.name,
        variable_definitions=(*definitions, *clients),
        selection_set=selections,
    )
    parts: tuple[DefinitionNode, ...] = (query, *spread)
    return Rewritten(
        print_ast(DocumentNode(definitions=parts)),
        writer.constants,
        own,
        tuple(each.variable.name.value for each in clients),
        compared,
    )


class _Names(Visitor):
    """Collects names; fragments are followed into those that they spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self._fragments = fragments
        self.variables: set[str] = set()
        self.keys: set[str] = set()
        self.spread: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.variables.add(node.name.value)

    def enter_field(self, node: FieldNode, *_: object) -> None:
        self.keys.add((node.alias or node.name).value)

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        for name in _spread_by(node.name.value, self._fragments, set()):
            self.spread.add(name)

    def free(self, name: str) -> str:
        while name in self.variables or name in self.keys:
            name += "_"
        return name


def _spread_by(name: str, fragments: Mapping[str, FragmentDefinitionNode], seen: set[str]) -> Iterator[str]:
    if name in seen:
        return
    seen.add(name)
    yield name
    finder = _Spreads()
    visit(fragments[name], finder)
    for each in finder.found:
        yield from _spread_by(each, fragments, seen)


class _Spreads(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.found.append(node.name.value)


def _streak(key: str, user: str) -> FieldNode:
    definition = parse(f"{{ {key}: learningStreak(userId: ${user}) {SHOWN} }}").definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    node = definition.selection_set.selections[0]
    assert isinstance(node, FieldNode)
    return node


def _key(key: str) -> NameNode:
    return NameNode(value=key)


def _argument(name: str, value: str) -> ArgumentNode:
    parsed: ValueNode = parse_value(value)
    return ArgumentNode(name=NameNode(value=name), value=parsed)


def _defined(name: str, type_: str) -> VariableDefinitionNode:
    return VariableDefinitionNode(variable=VariableNode(name=NameNode(value=name)), type=parse_type(type_))
