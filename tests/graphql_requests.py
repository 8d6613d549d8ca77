"""Generated GraphQL requests: every field of the schema, in every way a document can ask for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Undefined,
)
from hypothesis import strategies as st

from progress_context.query.roots import OPERATORS

INTS = {"first": (0, 30), "weeks": (1, 9), "months": (1, 7)}
WRONG_INTS = (-1, 501, 10_000)
DATES = ("2026-03-01", "2026-05-28", "2026-05-31", "2026-06-02")
TEXTS = ("item", 'a"b\\c\n', "ありがとう", "")


@dataclass(slots=True)
class Request:
    """A document with its variables."""

    query: str
    variables: dict[str, Any]


@dataclass(slots=True)
class _Writer:
    """Writes one document; variables and fragments are declared as they are used."""

    draw: st.DrawFn
    schema: GraphQLSchema
    learners: Sequence[str]
    read_models: Sequence[str]
    declared: dict[str, str] = field(default_factory=dict[str, str])
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    fragments: list[str] = field(default_factory=list[str])

    def document(self) -> str:
        query: Any = self.schema.type_map["Query"]
        asked = sorted(query.fields.keys() - OPERATORS)  # which only graphql-core answers
        names = self.draw(st.lists(st.sampled_from(asked), min_size=1, max_size=3))
        keys = [f"f{number}: " for number in range(len(names))]
        fields = [self.field(key, name, query.fields[name]) for key, name in zip(keys, names, strict=True)]
        body = self.wrapped("Query", [*fields, *self.maybe("__typename")])
        declared = ", ".join(f"${name}: {type_}" for name, type_ in self.declared.items())
        head = f"query({declared}) " if declared else ""
        return "\n".join([f"{head}{body}", *self.fragments])

    def field(self, key: str, name: str, definition: GraphQLField) -> str:
        arguments = [
            f"{a}: {value}"
            for a, argument in definition.args.items()
            if (value := self.argument(name, a, argument)) is not None
        ]
        given = f"({', '.join(arguments)})" if arguments else ""
        return f"{key}{name}{given}{self.directive()}{self.selection(definition.type)}"

    def selection(self, type_: Any) -> str:
        inner = _unwrapped(type_)
        if isinstance(inner, GraphQLUnionType):
            some = self.draw(st.lists(st.sampled_from(inner.types), min_size=1, max_size=3, unique=True))
            return f" {{ {' '.join(self.row(one) for one in some)} __typename }}"
        return f" {self.object(inner)}" if isinstance(inner, GraphQLObjectType) else ""

    def row(self, type_: GraphQLObjectType) -> str:
        columns = self.draw(
            st.lists(st.sampled_from(sorted(type_.fields)), min_size=1, max_size=4, unique=True)
        )
        return f"... on {type_.name} {{ {' '.join(f'{type_.name}_{c}: {c}' for c in columns)} }}"

    def object(self, type_: GraphQLObjectType) -> str:
        names = self.draw(st.lists(st.sampled_from(sorted(type_.fields)), min_size=1, max_size=6))
        fields = [
            self.field(self.draw(st.sampled_from(("", f"a{number}: "))), name, type_.fields[name])
            for number, name in enumerate(dict.fromkeys(names))
        ]
        return self.wrapped(type_.name, [*fields, *self.maybe("__typename"), *self.maybe("t: __typename")])

    def wrapped(self, type_name: str, fields: list[str]) -> str:
        """A selection; some of it in a fragment, inline or with a name."""
        cut = self.draw(st.integers(0, len(fields)))
        inside, outside = fields[:cut], fields[cut:]
        how = self.draw(st.sampled_from(("plain", "plain", "inline", "typed", "named", "twice")))
        if not inside or how == "plain":
            return f"{{ {' '.join(fields)} }}"
        body = f"{{ {' '.join(inside)} }}"
        if how in ("named", "twice"):
            name = f"F{len(self.fragments)}"
            self.fragments.append(f"fragment {name} on {type_name} {body}")
            spread = f"...{name} {self.directive()}" + (f" ...{name}" if how == "twice" else "")
            return f"{{ {' '.join(outside)} {spread} __typename }}"
        typed = f" on {type_name}" if how == "typed" else ""
        return f"{{ ...{typed}{self.directive()} {body} {' '.join(outside)} __typename }}"

    def directive(self) -> str:
        if self.draw(st.integers(0, 9)):
            return ""
        name = self.draw(st.sampled_from(("skip", "include")))
        value = self.draw(st.booleans())
        written = json.dumps(value) if self.draw(st.booleans()) else self.variable("Boolean!", value)
        return f" @{name}(if: {written})"

    def maybe(self, text: str) -> list[str]:
        return [text] if not self.draw(st.integers(0, 5)) else []

    def argument(self, parent: str, name: str, argument: GraphQLArgument) -> str | None:
        required = isinstance(argument.type, GraphQLNonNull) and argument.default is None
        if name in ("waitForPosition", "asOf") or (not required and self.draw(st.booleans())):
            return None
        value = self.value(name, argument.type)
        how = self.draw(st.sampled_from(("literal", "variable", "default", "absent")))
        if how == "literal" or (how == "absent" and required):
            return _literal(value, argument.type)
        type_ = str(argument.type)
        if how == "absent":
            return (
                self.variable(type_, Undefined) if not type_.endswith("!") else _literal(value, argument.type)
            )
        return self.variable(type_, value, with_default=how == "default")

    def variable(self, type_: str, value: Any, *, with_default: bool = False) -> str:
        name = f"v{len(self.declared)}"
        self.declared[name] = type_
        if with_default:
            self.declared[name] += f" = {_literal(value, self._type(type_))}"
        elif value is not Undefined:
            self.variables[name] = value
        return f"${name}"

    def value(self, name: str, type_: Any) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self.present(name, type_.of_type)
        return None if not self.draw(st.integers(0, 9)) else self.present(name, type_)

    def present(self, name: str, type_: Any) -> Any:
        if isinstance(type_, GraphQLList):
            return self.draw(st.lists(st.sampled_from(("item-00001", *TEXTS)), max_size=3))
        if isinstance(type_, GraphQLEnumType):
            return self.draw(st.sampled_from(sorted(type_.values)))
        if isinstance(type_, GraphQLInputObjectType):
            return {each: self.value(each, f.type) for each, f in type_.fields.items()}
        if name == "userId":
            return self.draw(st.sampled_from((*self.learners, *self.learners, "nobody", "o'\"\\")))
        if name == "name":
            return self.draw(st.sampled_from((*self.read_models, "nothing")))
        if type_.name == "Int":
            least, most = INTS[name]
            return self.draw(st.integers(least, most) | st.sampled_from(WRONG_INTS))
        if type_.name == "Date":
            return self.draw(st.sampled_from(DATES))
        return self.draw(st.sampled_from(TEXTS))

    def _type(self, text: str) -> Any:
        name = text.strip("[]!")
        inner: Any = self.schema.type_map[name]
        return GraphQLList(inner) if text.startswith("[") else inner


@st.composite
def requests(
    draw: st.DrawFn, schema: GraphQLSchema, learners: Sequence[str], read_models: Sequence[str]
) -> Request:
    """A valid document; values of its arguments may be refused."""
    writer = _Writer(draw, schema, learners, read_models)
    query = writer.document()
    return Request(query, writer.variables)


def _literal(value: Any, type_: Any) -> str:
    inner = _unwrapped(type_)
    if value is None:
        return "null"
    if isinstance(inner, GraphQLEnumType):
        return str(value)
    if isinstance(value, dict):
        pairs = (f"{name}: {_literal(each, inner.fields[name].type)}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    return json.dumps(value, ensure_ascii=False)


def _unwrapped(type_: Any) -> Any:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_
