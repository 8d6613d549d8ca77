"""A version of a read model: its definition, and the table that holds its rows."""

from __future__ import annotations

from dataclasses import dataclass

from progress_context.engine.definition import MergeLaw, ReadModel
from progress_context.engine.template import quote

# How a stored value and a new one become one; null means "nothing yet".
MERGED: dict[MergeLaw, str] = {
    "sum": "coalesce({old}, 0) + coalesce({new}, 0)",
    "min": "least({old}, {new})",
    "max": "greatest({old}, {new})",
    "first": "least({old}, {new})",
    "last": "greatest({old}, {new})",
    "union": "coalesce({old} + {new}, {old}, {new})",
}


@dataclass(frozen=True, slots=True)
class Version:
    """`columns` are those of the SELECT, in order, the grain among them."""

    model: ReadModel
    version_id: int
    table_name: str
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def table(self) -> str:
        """The table, qualified and quoted."""
        return f"read.{quote(self.table_name)}"

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that are not of the grain."""
        return tuple(column for column in self.columns if column not in self.model.grain)

    def same_grain(self, left: str, right: str) -> str:
        """The condition that rows of two relations are of one group."""
        return " AND ".join(f"{left}.{quote(c)} = {right}.{quote(c)}" for c in self.model.grain)

    def merged(self, column: str, old: str, new: str) -> str:
        """The value of a column after `new` came to `old`."""
        law = MERGED[self.model.law(column)]
        return law.format(old=f"{old}.{quote(column)}", new=f"{new}.{quote(column)}")

    def complete(self, relation: str) -> str:
        """All columns of a relation that holds freshly computed rows; a sum of nothing is 0."""
        return ", ".join(
            f"coalesce({relation}.{quote(c)}, 0) AS {quote(c)}"
            if c in self.values and not self.model.is_view and self.model.law(c) == "sum"
            else f"{relation}.{quote(c)}"
            for c in self.columns
        )

    @property
    def not_empty(self) -> str:
        """The condition under which a freshly computed row exists."""
        return "fresh.row_count <> 0" if self.model.is_rollup else "true"
