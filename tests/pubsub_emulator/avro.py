"""Avro definitions, and whether data in Avro's JSON encoding match one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Matches = Callable[[Any], bool]


def _whole(bits: int) -> Matches:
    return lambda value: type(value) is int and -(1 << bits) <= value < 1 << bits


PRIMITIVES: dict[str, Matches] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": _whole(31),
    "long": _whole(63),
    "float": lambda value: type(value) in (int, float),
    "double": lambda value: type(value) in (int, float),
    "bytes": lambda value: isinstance(value, str),
    "string": lambda value: isinstance(value, str),
}


def compile_avro(definition: str) -> Matches:
    """Whether a JSON value matches the definition; raises ValueError for one that is wrong."""
    return _compile(json.loads(definition), {})


def _compile(schema: Any, named: dict[str, Matches]) -> Matches:
    match schema:
        case str() if schema in PRIMITIVES:
            return PRIMITIVES[schema]
        case str() if schema in named:
            return lambda value: named[schema](value)  # looked up late: a record may hold itself
        case [*_]:
            return _union({_label(branch): _compile(branch, named) for branch in schema})
        case {"type": "record", "name": str(), "fields": [*fields]}:
            named[_label(schema)] = lambda _: False  # known to its fields already
            named[_label(schema)] = found = _record(fields, named)
            return found
        case {"type": "enum", "name": str(), "symbols": [*symbols]}:
            found = named[_label(schema)] = lambda value: isinstance(value, str) and value in symbols
            return found
        case {"type": "fixed", "name": str(), "size": int(size)}:
            found = named[_label(schema)] = lambda value: isinstance(value, str) and len(value) == size
            return found
        case {"type": "array", "items": items}:
            each = _compile(items, named)
            return lambda value: isinstance(value, list) and all(map(each, value))
        case {"type": "map", "values": values}:
            each = _compile(values, named)
            return lambda value: isinstance(value, dict) and all(map(each, value.values()))
        case {"type": str(name)} if name in PRIMITIVES:  # perhaps with a logicalType
            return PRIMITIVES[name]
        case _:
            raise ValueError("no Avro definition")


def _record(fields: list[Any], named: dict[str, Matches]) -> Matches:
    compiled: dict[str, Matches] = {}
    for field in fields:
        match field:
            case {"name": str(name), "type": schema}:
                compiled[name] = _compile(schema, named)
            case _:
                raise ValueError("a field needs a name and a type")
    # A default is for readers only: what is written has all fields. Others beside them do no harm.
    return lambda value: (
        isinstance(value, dict)
        and all(name in value and each(value[name]) for name, each in compiled.items())
    )


def _union(branches: dict[str, Matches]) -> Matches:
    """Null as it is, all else with its type in front: `{"long": 3}`."""

    def matches(value: Any) -> bool:
        match value:
            case None:
                return "null" in branches
            case {**only} if len(only) == 1:
                (label,) = only
                return label in branches and branches[label](only[label])
            case _:
                return False

    return matches


def _label(schema: Any) -> str:
    """The name by which a type is spoken of."""
    match schema:
        case {"namespace": str(namespace), "name": str(name)}:
            return f"{namespace}.{name}"
        case {"name": str(name)} | {"type": str(name)} | str(name):
            return name
        case _:
            raise ValueError("no Avro definition")
