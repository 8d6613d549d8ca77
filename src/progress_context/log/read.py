"""Read the log: by position, learner, type, or time. Every reader goes forward in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from progress_context.log.database import Connection, statement
from progress_context.log.event import StoredEvent


async def head(connection: Connection) -> int:
    """The last position, 0 for an empty log."""
    return await connection.fetchval("SELECT position FROM log.head")


async def page(
    connection: Connection,
    *,
    after: int = 0,
    learner_id: str | None = None,
    event_type: str | None = None,
    limit: int = 1_000,
) -> list[StoredEvent]:
    """At most `limit` events behind position `after`, in order, of one learner and type if named."""
    if learner_id is not None:
        rows = await connection.fetch(
            statement(__package__, "page_by_learner"), after, limit, learner_id, event_type
        )
    elif event_type is not None:
        rows = await connection.fetch(statement(__package__, "page_by_type"), after, limit, event_type)
    else:
        rows = await connection.fetch(statement(__package__, "page_by_position"), after, limit)
    return [StoredEvent(**row) for row in rows]


async def follow(
    connection: Connection, *, after: int = 0, page_size: int = 1_000
) -> AsyncIterator[StoredEvent]:
    """All events behind `after` that are visible now, page by page."""
    while events := await page(connection, after=after, limit=page_size):
        for event in events:
            yield event
        after = events[-1].position


async def traceparents(connection: Connection, after: int, upto: int, limit: int) -> list[str]:
    """At most `limit` traces of the events behind `after` up to `upto`, of which it looks at 1,000."""
    rows = await connection.fetch(statement(__package__, "traceparents"), after, upto, limit)
    return [row["traceparent"] for row in rows]


async def position_at(connection: Connection, recorded_at: datetime) -> int:
    """The last position recorded at or before an instant, 0 when there is none.

    Recording times never run backwards along the log, so this is a binary search by position.
    """
    return await connection.fetchval(statement(__package__, "position_at"), recorded_at)
