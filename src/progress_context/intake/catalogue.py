"""Every event type this service understands or sends, by stored name and version."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from progress_context.intake import (
    types_algorithm,
    types_learning,
    types_other,
    types_progress,
    types_user,
    types_vocabulary,
)
from progress_context.intake.event_type import Event, SubjectKind

_MODULES = (types_learning, types_algorithm, types_vocabulary, types_user, types_other)
_LEARNER_CONTEXTS = frozenset({"learning", "algorithm", "user", "ai", "progress"})
_PRIVATE_CONTEXT = "user"
_OWN_CONTEXT = "progress"
OWN_SOURCE = "progress-context"
_FORMAT_WORDS = {"date-time": "RFC 3339 time", "date": "date"}
_TYPE_WORDS: dict[type[inspect.Type], str] = {
    inspect.AnyType: "any JSON",
    inspect.BoolType: "true or false",
    inspect.DictType: "object",
    inspect.FloatType: "number",
    inspect.IntType: "integer",
    inspect.StrType: "string",
}


class KnownType(NamedTuple):
    """One version of one event type, ready to decode its payloads."""

    name: str
    version: int
    subject: SubjectKind
    private: bool
    struct: type[Event]
    decode: Callable[[bytes], Event]


class FieldDescription(NamedTuple):
    """A field of a payload in words: `kind` is its JSON type with its limits."""

    name: str
    kind: str
    required: bool


class TypeDescription(NamedTuple):
    """An event type in words, for the documentation."""

    name: str
    version: int
    subject: SubjectKind
    promise: str
    fields: tuple[FieldDescription, ...]


def _defined_in(module: ModuleType) -> Iterator[KnownType]:
    for struct in vars(module).values():
        if isinstance(struct, type) and issubclass(struct, Event) and struct.stored_name:
            decoder = msgspec.json.Decoder(struct)
            yield KnownType(
                struct.stored_name,
                struct.version,
                struct.subject,
                struct.private,
                struct,
                decoder.decode,
            )


def _collect(*modules: ModuleType) -> dict[tuple[str, int], KnownType]:
    found: dict[tuple[str, int], KnownType] = {}
    for module in modules:
        for known in _defined_in(module):
            if found.setdefault((known.name, known.version), known) is not known:
                raise TypeError(f"{known.name} version {known.version} is defined twice")
    return found


CATALOGUE = _collect(*_MODULES)
SENT = _collect(types_progress)
_PRIVATE_FIELDS = frozenset(
    field for known in CATALOGUE.values() if known.private
    for field in known.struct.__struct_fields__
)  # fmt: skip


def is_about_learner(name: str) -> bool:
    """Whether the subject of this type, known or not, is a learner id."""
    return name.partition(".")[0] in _LEARNER_CONTEXTS


def is_private(name: str) -> bool:
    """Whether payloads of this type, known or not, may carry e-mail and names."""
    return name.partition(".")[0] == _PRIVATE_CONTEXT


def is_own(name: str) -> bool:
    """Whether only this service itself sends events of this type, known or not."""
    return name.partition(".")[0] == _OWN_CONTEXT


def keep_public_fields(data: dict[str, Any]) -> dict[str, Any]:
    """Of an unknown private payload, the fields that some known private type declares."""
    return {name: value for name, value in data.items() if name in _PRIVATE_FIELDS}


def describe_types(catalogue: Mapping[tuple[str, int], KnownType] = CATALOGUE) -> list[TypeDescription]:
    """Every known type with its fields and their limits, in the order of the catalogue."""
    return [
        TypeDescription(
            known.name,
            known.version,
            known.subject,
            (known.struct.__doc__ or "").strip(),
            tuple(_describe_fields(known.struct)),
        )
        for known in catalogue.values()
    ]


def json_schema(name: str, version: int = 1) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a payload. Raises KeyError for an unknown type."""
    return msgspec.json.schema(CATALOGUE[name, version].struct)


def _describe_fields(struct: type[Event]) -> Iterator[FieldDescription]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    for field in described.fields:
        yield FieldDescription(field.name, _describe_kind(field.type), field.required)


def _describe_kind(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.Metadata):
        form = (kind.extra_json_schema or {}).get("format", "")
        return _FORMAT_WORDS.get(form) or _describe_kind(kind.type)
    if isinstance(kind, inspect.UnionType):
        options = (option for option in kind.types if not isinstance(option, inspect.NoneType))
        return " or ".join(map(_describe_kind, options))
    if isinstance(kind, inspect.LiteralType):
        return "one of " + " · ".join(map(str, kind.values))
    if isinstance(kind, inspect.ListType):
        return f"list, each {_describe_kind(kind.item_type)}"
    return _TYPE_WORDS[type(kind)] + _describe_limits(kind)


def _describe_limits(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.StrType):
        low, high, unit = kind.min_length, kind.max_length, " characters"
    elif isinstance(kind, inspect.IntType | inspect.FloatType):
        low, high, unit = kind.ge, kind.le, ""
    else:
        return ""
    if low is None and high is None:
        return ""
    if low is None:
        return f", at most {high:,}{unit}"
    return f", {low:,} to {high:,}{unit}"
