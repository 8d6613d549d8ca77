"""What a read-model file says: a header and one SELECT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Kind = Literal["fold", "rollup", "view"]
Update = Literal["realtime", "batch", "lazy"]
MergeLaw = Literal["sum", "min", "max", "first", "last", "union"]

EVENTS = "events"
POLICY = "policy"
ASKED = "asked"
RESERVED = frozenset({EVENTS, POLICY, ASKED})


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One read model as its file defines it.

    `inputs` are the relations its SELECT reads, in the order they appear. `merges` names the columns
    that do not merge by sum. `fingerprint` stands for the content: SELECT, header, inputs.
    """

    name: str
    about: str
    kind: Kind
    grain: tuple[str, ...]
    update: Update
    merges: Mapping[str, MergeLaw]
    select: str
    inputs: tuple[str, ...]
    file: str
    fingerprint: str = ""

    @property
    def by_learner(self) -> bool:
        """Whether its rows belong to learners; the others are few and the same for everyone."""
        return "learner_key" in self.grain

    @property
    def stored(self) -> bool:
        """Whether it has a table; the others are computed when asked for."""
        return self.update != "lazy"

    @property
    def is_view(self) -> bool:
        return self.kind == "view"

    @property
    def is_rollup(self) -> bool:
        return self.kind == "rollup"

    def law(self, column: str) -> MergeLaw:
        """How two values of a column become one."""
        return self.merges.get(column, "sum")


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices a deployment may make about what counts; part of the fingerprint where read."""

    idle_gap: timedelta = timedelta(minutes=30)
    cap_seconds: int = 14_400
    streak_grace: bool = False
