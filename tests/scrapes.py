"""Scrapes of /metrics over time, and what PromQL makes of them. Rates are taken between the samples there are."""

from __future__ import annotations

import operator
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from prometheus_client.parser import text_string_to_metric_families

Labels: TypeAlias = frozenset[tuple[str, str]]
Vector: TypeAlias = dict[Labels, float]
Value: TypeAlias = float | Vector
Samples: TypeAlias = dict[Labels, list[tuple[float, float]]]  # (time, figure) in order of time
Node: TypeAlias = Callable[["Scrapes"], Value]

STALE = 300.0  # seconds after which a series that was not scraped any more is gone
MATCH: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "!~": lambda value, pattern: re.fullmatch(pattern, value) is None,
}


@dataclass
class Scrapes:
    """Series by name and labels, each with (time, figure) in order of time."""

    now: float = 0.0
    series: dict[str, Samples] = field(default_factory=dict[str, Samples])

    def add(self, at: float, job: str, instance: str, exposition: str | None) -> None:
        """A scrape of /metrics at a time in seconds; `None`: the target did not answer."""
        self.now = max(self.now, at)
        target = {"job": job, "instance": instance}
        self._add(at, "up", target, float(exposition is not None))
        for family in text_string_to_metric_families(exposition or ""):
            for sample in family.samples:
                self._add(at, sample.name, {**sample.labels, **target}, sample.value)

    def _add(self, at: float, name: str, labels: Mapping[str, str], figure: float) -> None:
        by_labels = self.series.setdefault(name, {})
        by_labels.setdefault(frozenset(labels.items()), []).append((at, figure))

    def select(self, name: str, matchers: Iterable[tuple[str, str, str]], window: float) -> Samples:
        """The samples of the last `window` seconds of every series that fits."""
        found: Samples = {}
        for labels, samples in self.series.get(name, {}).items():
            known = dict(labels)
            if all(MATCH[sign](known.get(label, ""), wanted) for label, sign, wanted in matchers):
                within = samples[bisect_left(samples, (self.now - window, float("-inf"))) :]
                if within:
                    found[labels] = within
        return found


def latest(name: str, matchers: list[tuple[str, str, str]]) -> Node:
    def look(scrapes: Scrapes) -> Value:
        found = scrapes.select(name, matchers, STALE)
        return {
            labels: samples[-1][1]
            for labels, samples in found.items()
            if _is_current(scrapes, labels, samples)
        }

    return look


def _is_current(scrapes: Scrapes, labels: Labels, samples: list[tuple[float, float]]) -> bool:
    """A series that was not in the last scrape of its target has ended."""
    target = frozenset((name, value) for name, value in labels if name in ("job", "instance"))
    return samples[-1][0] >= scrapes.series["up"][target][-1][0]


def changes(function: str, found: Mapping[Labels, list[tuple[float, float]]]) -> Vector:
    changes: Vector = {}
    for labels, samples in found.items():
        if len(samples) < 2:
            continue
        steps = [later[1] - sooner[1] for sooner, later in pairwise(samples)]
        if function == "delta":
            change = sum(steps)
        else:  # a counter that fell began anew
            change = sum(
                step if step >= 0 else later[1] for step, later in zip(steps, samples[1:], strict=True)
            )
        changes[labels] = change / (samples[-1][0] - samples[0][0]) if function == "rate" else change
    return changes


def aggregated(vector: Vector, kept: set[str], together: Callable[[list[float]], float]) -> Vector:
    groups: dict[Labels, list[float]] = {}
    for labels, figure in vector.items():
        groups.setdefault(frozenset((n, v) for n, v in labels if n in kept), []).append(figure)
    return {labels: together(figures) for labels, figures in groups.items()}


def quantiles(share: float, buckets: Vector) -> Vector:
    histograms: Samples = {}
    for labels, figure in buckets.items():
        known = dict(labels)
        bound = float(known.pop("le"))
        histograms.setdefault(frozenset(known.items()), []).append((bound, figure))
    return {labels: _quantile(share, sorted(found)) for labels, found in histograms.items()}


def _quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    """Within the bucket that holds it, linearly, as Prometheus does."""
    total = buckets[-1][1]
    if not total:
        return float("nan")
    rank = share * total
    number = next(n for n, (_, count) in enumerate(buckets) if count >= rank)
    lower, below = buckets[number - 1] if number else (0.0, 0.0)
    upper, count = buckets[number]
    if upper == float("inf"):
        return lower
    return lower + (upper - lower) * (rank - below) / (count - below)


def joined(left: Node, right: Node, join: Callable[[Vector, Vector], Vector]) -> Node:
    return lambda scrapes: join(vector(left(scrapes)), vector(right(scrapes)))


def both(left: Vector, right: Vector) -> Vector:
    return {labels: figure for labels, figure in left.items() if labels in right}


def without(left: Vector, right: Vector) -> Vector:
    return {labels: figure for labels, figure in left.items() if labels not in right}


def either(left: Vector, right: Vector) -> Vector:
    return {**right, **left}


def compared(holds: Callable[[float, float], bool], left: Node, right: Node) -> Node:
    def compare(scrapes: Scrapes) -> Value:
        pairs = _paired(left(scrapes), right(scrapes))
        return {labels: a for labels, (a, b) in pairs.items() if holds(a, b)}

    return compare


def computed(work: Callable[[float, float], float], left: Node, right: Node) -> Node:
    def compute(scrapes: Scrapes) -> Value:
        a, b = left(scrapes), right(scrapes)
        if not isinstance(a, dict) and not isinstance(b, dict):
            return work(a, b)
        return {labels: work(x, y) for labels, (x, y) in _paired(a, b).items()}

    return compute


def _paired(left: Value, right: Value) -> dict[Labels, tuple[float, float]]:
    if isinstance(left, dict) and isinstance(right, dict):
        return {labels: (figure, right[labels]) for labels, figure in left.items() if labels in right}
    if isinstance(left, dict):
        return {labels: (figure, scalar(right)) for labels, figure in left.items()}
    return {labels: (left, figure) for labels, figure in vector(right).items()}


def vector(value: Value) -> Vector:
    if not isinstance(value, dict):
        raise TypeError("a vector is wanted")
    return value


def scalar(value: Value) -> float:
    if isinstance(value, dict):
        raise TypeError("a scalar is wanted")
    return value
