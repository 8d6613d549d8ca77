"""What a read-model file says: a header and one SELECT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from progress_context.engine.template import quote

Kind = Literal["fold", "rollup", "view"]
Update = Literal["realtime", "batch", "lazy"]
MergeLaw = Literal["sum", "min", "max", "first", "last", "union", "none"]

EVENTS = "events"
POLICY = "policy"
ASKED = "asked"
RESERVED = frozenset({EVENTS, POLICY, ASKED})

# How a stored value and a new one become one; null means "nothing yet". What is not stored may merge by none.
MERGED: dict[MergeLaw, str] = {
    "sum": "coalesce({old}, 0) + coalesce({new}, 0)",
    "min": "least({old}, {new})",
    "max": "greatest({old}, {new})",
    "first": "least({old}, {new})",
    "last": "greatest({old}, {new})",
    "union": "coalesce({old} + {new}, {old}, {new})",
}


@dataclass(frozen=True, slots=True)
class ReadModel:
    """One read model as its file defines it.

    `inputs` are the relations its SELECT reads, in the order they appear; `columns` those it gives, the
    grain among them. `merges` names the columns that do not merge by sum. `fingerprint` stands for the
    content: SELECT, header, inputs. `text` is the whole file.
    """

    name: str
    about: str
    kind: Kind
    grain: tuple[str, ...]
    update: Update
    merges: Mapping[str, MergeLaw]
    select: str
    inputs: tuple[str, ...]
    columns: tuple[str, ...]
    file: str
    lookups: tuple[str, ...] = ()
    fingerprint: str = ""
    text: str = field(default="", repr=False, compare=False)

    @property
    def by_learner(self) -> bool:
        """Whether its rows belong to learners; the others are few and the same for everyone."""
        return "learner_key" in self.grain

    @property
    def stored(self) -> bool:
        """Whether it has a table; the others are computed when asked for."""
        return self.update != "lazy"

    @property
    def recomputed(self) -> bool:
        """Whether it is kept by computing the learners that changed anew; the others merge the changes.

        Views may be anything; and a changed lookup, such as an item's level, moves rows between groups.
        """
        return self.is_view or bool(self.lookups) or (self.update == "batch" and self.kind != "fold")

    @property
    def is_view(self) -> bool:
        return self.kind == "view"

    @property
    def is_rollup(self) -> bool:
        return self.kind == "rollup"

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that are not of the grain."""
        return tuple(column for column in self.columns if column not in self.grain)

    def law(self, column: str) -> MergeLaw:
        """How two values of a column become one."""
        return self.merges.get(column, "sum")

    def same_grain(self, left: str, right: str) -> str:
        """The condition that rows of two relations are of one group."""
        return " AND ".join(f"{left}.{quote(c)} = {right}.{quote(c)}" for c in self.grain)

    def merged(self, column: str, old: str, new: str) -> str:
        """The value of a column after `new` came to `old`."""
        law = MERGED[self.law(column)]
        return law.format(old=f"{old}.{quote(column)}", new=f"{new}.{quote(column)}")

    def fresh(self, select: str) -> str:
        """The rows of a SELECT as they are stored: a sum of nothing is 0, an empty group is no row."""
        if self.is_view:
            return select
        condition = " WHERE fresh.row_count <> 0" if self.is_rollup else ""
        return f"SELECT {self.complete('fresh')} FROM (\n{select}\n) AS fresh{condition}"

    def complete(self, relation: str) -> str:
        """All columns of a relation that holds freshly computed rows; a sum of nothing is 0."""
        return ", ".join(
            f"coalesce({relation}.{quote(c)}, 0) AS {quote(c)}"
            if c in self.values and not self.is_view and self.law(c) == "sum"
            else f"{relation}.{quote(c)}"
            for c in self.columns
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices a deployment may make about what counts; part of the fingerprint where read."""

    idle_gap: timedelta = timedelta(minutes=30)
    cap_seconds: int = 14_400
    streak_grace: bool = False
