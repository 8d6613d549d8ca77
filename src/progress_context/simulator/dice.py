"""All chance of a simulation, from one seed."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_BELL = tuple(NormalDist().inv_cdf((step + 0.5) / 1024) for step in range(1024))


class Dice:
    """Draws that depend on the seed text and the order of the calls, and on nothing else.

    `draw()` is a float in [0, 1): the hot paths call it directly.
    """

    __slots__ = ("draw",)

    def __init__(self, seed: str) -> None:
        self.draw = Random(seed).random  # noqa: S311 - made-up learners need no secrecy

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.draw() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.draw() * (high - low + 1))

    def within(self, low: float, high: float) -> float:
        """A number between `low` and `high`, all equally likely."""
        return low + self.draw() * (high - low)

    def bell(self) -> float:
        """A draw from the standard normal distribution, at one of 1,024 quantiles."""
        return _BELL[int(self.draw() * 1024)]

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, all equally likely."""
        return options[int(self.draw() * len(options))]

    def weigh(self, cumulative: Sequence[float]) -> int:
        """An index, likely in proportion to the growth of `cumulative` at it."""
        return bisect(cumulative, self.draw() * cumulative[-1], hi=len(cumulative) - 1)
