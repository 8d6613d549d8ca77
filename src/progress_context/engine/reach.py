"""How far the read models are, for those who hold news until they are durable."""

from __future__ import annotations

from progress_context.delivery.port import Reach
from progress_context.log.database import Pool, acquire, fetch_one, statement


async def reach(pool: Pool) -> Reach:
    """What all realtime read models have committed, by all processes. Raises LogUnavailable."""
    async with acquire(pool) as connection:
        row = await fetch_one(connection, statement(__package__, "reach"))
    return Reach(row["durable"], row["head"])
