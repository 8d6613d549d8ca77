"""News of the read models: up to where they are visible, and whose rows changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_LEARNERS = 2_000
LONGEST = 7_900  # bytes; PostgreSQL takes less than 8,000
MANY = "*"


@dataclass(frozen=True, slots=True)
class Changes:
    """The rows of `learners` (None: too many to name) changed by events up to `upto`.

    `visible` is the position that the realtime read models of all learners reflect.
    """

    visible: int
    upto: int
    learners: frozenset[int] | None

    def and_then(self, later: Changes) -> Changes:
        """Both as one."""
        learners = None
        if self.learners is not None and later.learners is not None:
            together = self.learners | later.learners
            learners = together if len(together) <= MOST_LEARNERS else None
        return Changes(max(self.visible, later.visible), max(self.upto, later.upto), learners)

    def text(self) -> str:
        """At most LONGEST bytes: positions, then keys as hexadecimal distances, or `*` for many."""
        keys = MANY
        if self.learners is not None and len(self.learners) <= MOST_LEARNERS:
            keys = " ".join(f"{distance:x}" for distance in _distances(self.learners))
        text = f"{self.visible} {self.upto} {keys}"
        return text if len(text) <= LONGEST else f"{self.visible} {self.upto} {MANY}"


def read_changes(text: str) -> Changes:
    """The changes that a text tells; a lone position says nothing of learners: it may be any."""
    visible, *rest = text.split()
    if not rest:
        return Changes(int(visible), int(visible), None)
    upto, *keys = rest
    learners = None if keys == [MANY] else frozenset(_sums(int(key, 16) for key in keys))
    return Changes(int(visible), int(upto), learners)


def _distances(keys: Iterable[int]) -> Iterator[int]:
    before = 0
    for key in sorted(keys):
        yield key - before
        before = key


def _sums(distances: Iterable[int]) -> Iterator[int]:
    key = 0
    for distance in distances:
        key += distance
        yield key
