"""The part of PromQL that alert rules and dashboards of this project use, evaluated over scrapes.

Selectors with matchers, ranges, `rate`, `increase`, `delta`, `absent`, `time`, `histogram_quantile`, aggregation
`by`, arithmetic, comparisons that filter, `and`, `or`, `unless`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator

from scrapes import (
    Node,
    Scrapes,
    Vector,
    aggregated,
    both,
    changes,
    compared,
    computed,
    either,
    joined,
    latest,
    quantiles,
    scalar,
    vector,
    without,
)  # fmt: skip

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w\]])|(?P<range>\[\d+[smhd]\])|(?P<string>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_:][\w:]*)|(?P<sign>==|!=|=~|!~|>=|<=|[-+*/(){},=<>]))"
)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": lambda a, b: a / b if b else float("nan") if a == 0 else float("inf"),
}  # fmt: skip
AGGREGATE: dict[str, Callable[[list[float]], float]] = {
    "sum": sum, "max": max, "min": min, "count": len, "avg": lambda figures: sum(figures) / len(figures),
}  # fmt: skip
FUNCTIONS = ("rate", "increase", "delta", "absent", "time", "histogram_quantile")


def evaluate(text: str, scrapes: Scrapes) -> Vector:
    """The vector (or scalar, without labels) that an expression gives at the last scrape."""
    value = parse(text)(scrapes)
    return value if isinstance(value, dict) else {frozenset(): value}


def parse(text: str) -> Node:
    """An expression as a function of scrapes; raises SyntaxError for what is not in the subset."""
    parser = _Parser(text)
    node = parser.alternatives()
    parser.end()
    return node


def metrics_of(text: str) -> set[str]:
    """The names of all metrics that an expression selects."""
    parser = _Parser(text)
    parser.alternatives()
    parser.end()
    return parser.selected


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._at = 0
        self.selected: set[str] = set()

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        while at < len(text.rstrip()):
            match = TOKEN.match(text, at)
            if match is None:
                raise SyntaxError(f"cannot read {text[at : at + 20]!r} in {text!r}")
            assert match.lastgroup is not None
            yield match.lastgroup, match[match.lastgroup]
            at = match.end()

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        if (found := self._next()) != token:
            raise SyntaxError(f"{token!r} expected, not {found!r}, in {self._text!r}")

    def end(self) -> None:
        if self._peek():
            raise SyntaxError(f"{self._peek()!r} is too much in {self._text!r}")

    def alternatives(self) -> Node:
        node = self._conjunction()
        while self._peek() == "or":
            self._next()
            node = joined(node, self._conjunction(), either)
        return node

    def _conjunction(self) -> Node:
        node = self._comparison()
        while (word := self._peek()) in ("and", "unless"):
            self._next()
            node = joined(node, self._comparison(), both if word == "and" else without)
        return node

    def _comparison(self) -> Node:
        node = self._sum()
        while (sign := self._peek()) in COMPARE:
            self._next()
            node = compared(COMPARE[sign], node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._product()
        while (sign := self._peek()) in ("+", "-"):
            self._next()
            node = computed(ARITHMETIC[sign], node, self._product())
        return node

    def _product(self) -> Node:
        node = self._atom()
        while (sign := self._peek()) in ("*", "/"):
            self._next()
            node = computed(ARITHMETIC[sign], node, self._atom())
        return node

    def _atom(self) -> Node:
        kind, token = self._kind(), self._next()
        if token == "(":
            node = self.alternatives()
            self._expect(")")
            return node
        if kind == "number":
            return lambda _: float(token)
        if kind != "name":
            raise SyntaxError(f"{token!r} begins nothing in {self._text!r}")
        if token in AGGREGATE:
            return self._aggregation(AGGREGATE[token])
        if token in FUNCTIONS and self._peek() == "(":
            return self._call(token)
        return latest(*self._selector(token))

    def _aggregation(self, together: Callable[[list[float]], float]) -> Node:
        kept: set[str] = set()
        if self._peek() == "by":
            self._next()
            kept = set(self._list(self._next))
        self._expect("(")
        inner = self.alternatives()
        self._expect(")")
        return lambda scrapes: aggregated(vector(inner(scrapes)), kept, together)

    def _call(self, function: str) -> Node:
        self._expect("(")
        if function == "time":
            self._expect(")")
            return lambda scrapes: scrapes.now
        if function in ("rate", "increase", "delta"):
            name, matchers = self._selector(self._next())
            window = _seconds(self._next())
            self._expect(")")
            return lambda scrapes: changes(function, scrapes.select(name, matchers, window))
        first = self.alternatives()
        if function == "absent":
            self._expect(")")
            return lambda scrapes: {} if vector(first(scrapes)) else {frozenset(): 1.0}
        self._expect(",")
        second = self.alternatives()
        self._expect(")")
        return lambda scrapes: quantiles(scalar(first(scrapes)), vector(second(scrapes)))

    def _selector(self, name: str) -> tuple[str, list[tuple[str, str, str]]]:
        self.selected.add(name)
        if self._peek() != "{":
            return name, []
        self._next()
        matchers: list[tuple[str, str, str]] = []
        while self._peek() != "}":
            matchers.append((self._next(), self._next(), self._next()[1:-1].replace("\\\\", "\\")))
            if self._peek() == ",":
                self._next()
        self._next()
        return name, matchers

    def _list(self, item: Callable[[], str]) -> Iterator[str]:
        self._expect("(")
        while self._peek() != ")":
            yield item()
            if self._peek() == ",":
                self._next()
        self._next()


def _seconds(text: str) -> float:
    return float(text[1:-2]) * SECONDS[text[-2]]
