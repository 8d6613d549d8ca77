"""What the relays wrote down: how far they came, and what could not be published."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from progress_context.delivery.port import Refusal
from progress_context.log.database import Connection, statement

RELAYS = "SELECT topic, position, moved_at, holder, expires_at > now() AS held FROM ops.relays ORDER BY topic"
UNPUBLISHED = """
    SELECT topic, position, learner_key, type, reason, refused_at
      FROM ops.unpublished ORDER BY topic, position
"""
BACK = """
    UPDATE ops.relays SET position = $2, holder = NULL, token = token + 1, expires_at = '-infinity'
     WHERE topic = $1 AND position > $2 RETURNING position
"""
FORGET = "DELETE FROM ops.unpublished WHERE topic = $1 AND position > $2"


async def note(connection: Connection, topic: str, refused: Sequence[Refusal]) -> None:
    """Remember events that will not be published; those that are known are left as they are."""
    events = [refusal.event for refusal in refused]
    await connection.execute(
        statement(__package__, "note_unpublished"),
        topic,
        [event.position for event in events],
        [event.learner_key for event in events],
        [event.type for event in events],
        [refusal.reason for refusal in refused],
    )


async def relays(connection: Connection) -> list[asyncpg.Record]:
    """Every topic that was ever published to: position, moved_at, holder, held."""
    return await connection.fetch(RELAYS)


async def unpublished(connection: Connection) -> list[asyncpg.Record]:
    """Every event that was refused: topic, position, learner_key, type, reason, refused_at."""
    return await connection.fetch(UNPUBLISHED)


async def rewind(connection: Connection, topic: str, position: int) -> bool:
    """Let the relay publish everything behind `position` again; `False` when it is not beyond that.

    Needs the rights of the owner. A relay that is running notices, and goes on from there.
    """
    async with connection.transaction():
        moved = await connection.fetchval(BACK, topic, position)
        if moved is not None:
            await connection.execute(FORGET, topic, position)
    return moved is not None
