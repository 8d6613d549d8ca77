"""What is stored: the tables of the active read models, with their size and how far they are."""

from __future__ import annotations

import asyncpg

from progress_context.log.database import Connection, statement


async def inventory(connection: Connection) -> dict[str, asyncpg.Record]:
    """A row of `inventory.sql` for each active read model, by name."""
    rows = await connection.fetch(statement(__package__, "inventory"))
    return {row["read_model"]: row for row in rows}
