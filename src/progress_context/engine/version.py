"""A version of a read model: its definition, and the table that holds its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from progress_context.engine.definition import ReadModel
from progress_context.engine.template import quote


@dataclass(frozen=True, slots=True)
class Version:
    """One definition with one table, live (`read`) or as it was (`snapshot`)."""

    model: ReadModel
    version_id: int
    table_name: str
    schema: Literal["read", "snapshot"] = "read"

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def table(self) -> str:
        """The table, qualified and quoted."""
        return f"{self.schema}.{quote(self.table_name)}"
