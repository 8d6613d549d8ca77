"""Medians, spreads and percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of some runs, and the least and the greatest of them."""

    median: float
    least: float
    most: float


class Latency(msgspec.Struct, frozen=True):
    """Milliseconds."""

    p50: float
    p95: float
    p99: float
    max: float
    samples: int


def spread_of(values: Sequence[float]) -> Spread:
    """Median, least and most of at least one value."""
    return Spread(median(values), min(values), max(values))


def latency_of(seconds: Sequence[float]) -> Latency:
    """Percentiles (nearest rank) of at least one latency, given in seconds."""
    ordered = sorted(seconds)

    def rank(share: float) -> float:
        return 1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(rank(0.5), rank(0.95), rank(0.99), 1_000 * ordered[-1], len(ordered))
