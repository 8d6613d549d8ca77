"""Variables and arguments, compiled: per request only what depends on the request is done.

Whatever is not plainly right is NotPlanned: graphql-core finds the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphql import (
    ConstValueNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
    type_from_ast,
    value_from_ast,
)

Variables = Mapping[str, Any]
Read = Callable[[Any], Any]
Bind = Callable[[Variables], Any]
LEAST_INT, GREATEST_INT = -(2**31), 2**31 - 1
ABSENT: Any = object()


class NotPlanned(Exception):
    """This request is not for the planner."""


def variables_reader(schema: GraphQLSchema, definitions: Iterable[VariableDefinitionNode]) -> Read:
    """From the variables of a request to their values, defaults filled in."""
    readers: list[tuple[str, Read, Any]] = []
    for definition in definitions:
        type_: Any = type_from_ast(schema, definition.type)
        default = ABSENT if definition.default_value is None else _constant(definition.default_value, type_)
        if default is ABSENT and isinstance(type_, GraphQLNonNull):
            default = NotPlanned
        readers.append((definition.variable.name.value, reader(type_), default))

    def read(given: Variables) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, read_one, default in readers:
            value = given.get(name, ABSENT)
            if value is not ABSENT:
                values[name] = read_one(value)
            elif default is NotPlanned:
                raise NotPlanned
            elif default is not ABSENT:
                values[name] = default
        return values

    return read


def reader(type_: Any) -> Read:
    """From a JSON value to the value of an input type."""
    if isinstance(type_, GraphQLNonNull):
        return _required(reader(type_.of_type))
    return _nullable(_reader(type_))


def binder(node: ValueNode, type_: Any) -> tuple[Bind, object]:
    """From the values of variables to the value of an argument, ABSENT where its variable is.

    Beside it a key: arguments with the same key always have the same value.
    """
    if isinstance(node, VariableNode):
        return _variable(node.name.value, type_), ("variable", node.name.value)
    if not _mentions_variable(node):
        value = _constant(node, type_)
        return (lambda _variables: value), ("constant", repr(value))
    inner = type_.of_type if isinstance(type_, GraphQLNonNull) else type_
    if isinstance(node, ObjectValueNode) and isinstance(inner, GraphQLInputObjectType):
        return _object(node, inner), node
    if isinstance(node, ListValueNode) and isinstance(inner, GraphQLList):
        return _list(node, inner.of_type), node
    raise NotPlanned


def _required(read: Read) -> Read:
    def required(value: Any) -> Any:
        if value is None:
            raise NotPlanned
        return read(value)

    return required


def _nullable(read: Read) -> Read:
    return lambda value: None if value is None else read(value)


def _reader(type_: Any) -> Read:
    if isinstance(type_, GraphQLList):
        return _list_reader(reader(type_.of_type))
    if isinstance(type_, GraphQLEnumType):
        return _one_of(frozenset(type_.values))
    if isinstance(type_, GraphQLInputObjectType):
        return _object_reader(type_)
    return BUILT_IN.get(type_.name) or _scalar_reader(type_)


def _list_reader(read: Read) -> Read:
    return lambda value: [read(each) for each in value] if isinstance(value, list) else [read(value)]


def _one_of(names: frozenset[str]) -> Read:
    def read(value: Any) -> Any:
        if isinstance(value, str) and value in names:
            return value
        raise NotPlanned

    return read


def _object_reader(type_: GraphQLInputObjectType) -> Read:
    readers: dict[str, Read] = {name: reader(field.type) for name, field in type_.fields.items()}
    required = frozenset(name for name, f in type_.fields.items() if isinstance(f.type, GraphQLNonNull))

    def read(value: Any) -> Any:
        if not isinstance(value, dict) or not required <= value.keys() <= readers.keys():
            raise NotPlanned
        return {name: readers[name](given) for name, given in value.items()}

    return read


def _scalar_reader(type_: GraphQLScalarType) -> Read:
    def read(value: Any) -> Any:
        try:
            return type_.coerce_input_value(value)
        except GraphQLError:
            raise NotPlanned from None

    return read


def _read_int(value: Any) -> Any:
    if type(value) is int and LEAST_INT <= value <= GREATEST_INT:
        return value
    raise NotPlanned


def _read_text(value: Any) -> Any:
    if type(value) is str:
        return value
    raise NotPlanned


def _read_bool(value: Any) -> Any:
    if type(value) is bool:
        return value
    raise NotPlanned


BUILT_IN: dict[str, Read] = {
    "Int": _read_int,
    "String": _read_text,
    "ID": _read_text,
    "Boolean": _read_bool,
}


def _variable(name: str, type_: Any) -> Bind:
    required = isinstance(type_, GraphQLNonNull)

    def bind(variables: Variables) -> Any:
        value = variables.get(name, ABSENT)
        if value is None and required:
            raise NotPlanned
        return value

    return bind


def _object(node: ObjectValueNode, type_: GraphQLInputObjectType) -> Bind:
    parts = [(f.name.value, *_part(f.value, type_.fields[f.name.value].type)) for f in node.fields]

    def bind(variables: Variables) -> Any:
        return {name: value for name, of, check in parts if (value := check(of(variables))) is not ABSENT}

    return bind


def _list(node: ListValueNode, type_: Any) -> Bind:
    parts = [_part(value, type_) for value in node.values]

    def bind(variables: Variables) -> Any:
        values = [check(of(variables)) for of, check in parts]
        if any(value is ABSENT for value in values):
            raise NotPlanned
        return values

    return bind


def _part(node: ValueNode, type_: Any) -> tuple[Bind, Read]:
    """A value inside another, and what refuses it where it is required and absent."""
    bind, _ = binder(node, type_)
    return bind, _present if isinstance(type_, GraphQLNonNull) else lambda value: value


def _present(value: Any) -> Any:
    if value is ABSENT or value is None:
        raise NotPlanned
    return value


def _constant(node: ValueNode | ConstValueNode, type_: Any) -> Any:
    value = value_from_ast(node, type_)
    if value is Undefined:
        raise NotPlanned
    return value


def _mentions_variable(node: ValueNode) -> bool:
    if isinstance(node, VariableNode):
        return True
    if isinstance(node, ListValueNode):
        return any(_mentions_variable(value) for value in node.values)
    if isinstance(node, ObjectValueNode):
        return any(_mentions_variable(field.value) for field in node.fields)
    return False
