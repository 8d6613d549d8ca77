"""What operators ask: how the system stands, and what the log holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from progress_context.engine import health
from progress_context.engine.parking import parked
from progress_context.log.database import Connection, statement
from progress_context.log.read import position_at
from progress_context.query.access import operators_only
from progress_context.query.arguments import Arguments, Parameters, events
from progress_context.query.snapshot import Snapshot

LISTED = 100
EVERYTHING = 2**63 - 1
TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")
HERE = "progress_context.query"
LETTERS = """
    SELECT letter_id AS letter, subscription, message_id, code, path, attempts, size,
           first_seen_at, last_seen_at
      FROM ops.dead_letters WHERE settled_at IS NULL ORDER BY letter_id DESC LIMIT $1
"""

Facts = dict[str, Any]


async def resolve_operators(field: str, look: Snapshot, arguments: Arguments) -> Facts | list[Facts]:
    """The value of `system` or `events`: mappings by the names of the schema's fields. Raises QueryError."""
    operators_only(look.reader)
    if field == "system":
        return await look.outside(lambda connection: _system(connection, look.batch_seconds))
    wanted = events(arguments)
    return await look.outside(lambda connection: _events(connection, wanted))


async def _system(connection: Connection, batch_seconds: float) -> Facts:
    now, edges = await health.standing(connection), await health.edges(connection)
    found = [*health.problems(now, batch_seconds), *health.problems_at_edges(edges)]
    is_told = any(lease.name == "news" and lease.held for lease in now.leases)
    return _plain(now) | {
        "healthy": not found,
        "problems": _plain(found),
        "appendRate": await health.append_rate(connection, now),
        "relays": _plain(edges.relays),
        "newsLagEvents": edges.news.lag_events if is_told else None,
        "parkedCount": now.parked.count,
        "parked": [_row(each) for each in (await parked(connection))[:LISTED]],
        "deadLetterCount": edges.dead_letters.count,
        "deadLetters": [_row(each) for each in await connection.fetch(LETTERS, LISTED)],
    }


async def _events(connection: Connection, wanted: Parameters) -> list[Facts]:
    before = EVERYTHING if wanted["before"] is None else wanted["before"]
    if wanted["recordedBy"] is not None:
        before = min(before, await position_at(connection, wanted["recordedBy"]) + 1)
    if wanted["userId"] is not None:
        which, given = "events_of_learner", (wanted["userId"], wanted["type"])
    elif wanted["type"] is not None:
        which, given = "events_of_type", (wanted["type"],)
    else:
        which, given = "events_latest", ()
    rows = await connection.fetch(statement(HERE, which), before, wanted["first"], *given)
    return [_event(row) for row in rows]


def _event(row: asyncpg.Record) -> Facts:
    trace = TRACE.match(row["traceparent"] or "")
    return _row(row) | {"traceId": trace[1] if trace else None}


def _row(row: asyncpg.Record) -> Facts:
    return {"userId" if name == "learner_id" else _camel(name): value for name, value in row.items()}


def _plain(value: object) -> Any:
    """A struct as nested mappings by the schema's names; instants stay instants."""
    return _renamed(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_camel(str(name)): _renamed(each) for name, each in value.items()}
    return [_renamed(each) for each in value] if isinstance(value, list) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)
