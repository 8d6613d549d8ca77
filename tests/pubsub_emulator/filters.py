"""Subscription filters: `attributes:key`, `attributes.key = "v"`, `!=`, `hasPrefix(…)`, AND, OR, NOT, brackets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from pubsub_emulator.refusal import invalid

Accepts = Callable[[Mapping[str, str]], bool]

TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][\w\-]*)|(?P<mark>!=|[().,:=\-]))', re.ASCII
)
LONGEST = 256


def compile_filter(text: str) -> Accepts | None:
    """The predicate of a filter over a message's attributes; none for the empty filter.

    Raises Refused (INVALID_ARGUMENT) for one that Pub/Sub would not take.
    """
    if not text.strip():
        return None
    if len(text.encode()) > LONGEST:
        raise invalid(f"filter is longer than {LONGEST} bytes")
    parser = _Parser(text)
    accepts = parser.either()
    if parser.peek():
        raise parser.wrong()
    return accepts


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        end = 0
        while text[end:].strip():
            found = TOKEN.match(text, end)
            if not found:
                raise self.wrong()
            self._tokens.append(found[0].strip())
            end = found.end()
        self._at = 0

    def wrong(self) -> Exception:
        return invalid(f"filter cannot be parsed: {self._text}")

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self, *expected: str) -> str:
        token = self.peek()
        if not token or (expected and token not in expected):
            raise self.wrong()
        self._at += 1
        return token

    def either(self) -> Accepts:
        parts = [self.term()]
        joins: set[str] = set()
        while self.peek() in ("AND", "OR"):
            joins.add(self.next())
            parts.append(self.term())
        if len(joins) > 1:  # Pub/Sub wants brackets
            raise self.wrong()
        join = any if "OR" in joins else all
        return lambda attributes: join(part(attributes) for part in parts)

    def term(self) -> Accepts:
        if self.peek() in ("NOT", "-"):
            self.next()
            part = self.term()
            return lambda attributes: not part(attributes)
        if self.peek() == "(":
            self.next()
            part = self.either()
            self.next(")")
            return part
        if self.peek() == "hasPrefix":
            return self._has_prefix()
        return self._comparison()

    def _has_prefix(self) -> Accepts:
        self.next()
        self.next("(")
        self.next("attributes")
        self.next(".")
        key = self._name()
        self.next(",")
        prefix = self._string()
        self.next(")")
        return lambda attributes: key in attributes and attributes[key].startswith(prefix)

    def _comparison(self) -> Accepts:
        self.next("attributes")
        if self.next(":", ".") == ":":
            key = self._name()
            return lambda attributes: key in attributes
        key = self._name()
        sign = self.next("=", "!=")
        value = self._string()
        if sign == "=":
            return lambda attributes: key in attributes and attributes[key] == value
        return lambda attributes: key not in attributes or attributes[key] != value

    def _name(self) -> str:
        token = self.next()
        return json.loads(token) if token.startswith('"') else token

    def _string(self) -> str:
        token = self.next()
        if not token.startswith('"'):
            raise self.wrong()
        return json.loads(token)
