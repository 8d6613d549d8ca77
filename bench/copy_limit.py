"""The raw limit: COPY of the same rows into a table with the same indexes, one commit per group."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg

from bench.events import read_lines
from progress_context.intake.cloudevents import decode_lines
from progress_context.log.event import NewEvent

COLUMNS = (
    "position", "source", "id", "type", "version", "learner_key", "occurred_at", "learning_day",
    "recorded_at", "data", "context",
)  # fmt: skip
GROUP = 5_000
TABLE = "CREATE TABLE public.copied (LIKE log.events INCLUDING ALL)"


async def copy_rows(url: str, file: Path, warm_up: int, events: int) -> float:
    """Seconds for copying `events` rows of ready-made values, after `warm_up` others."""
    rows = list(_rows(file, warm_up + events))
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE)
        await _copy(connection, rows[:warm_up])
        began = time.perf_counter()
        await _copy(connection, rows[warm_up:])
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _copy(connection: asyncpg.Connection[Any], rows: Iterable[tuple[object, ...]]) -> None:
    remaining = iter(rows)
    while group := list(islice(remaining, GROUP)):
        await connection.copy_records_to_table("copied", schema_name="public", columns=COLUMNS, records=group)


def _rows(file: Path, count: int) -> Iterator[tuple[object, ...]]:
    """The values the log would hold; learning day and key are made up, since a limit computes nothing."""
    recorded_at = datetime.now(UTC)
    parsed = decode_lines(b"\n".join(read_lines(file, count)), now=recorded_at)
    for position, event in enumerate(parsed, start=1):
        if not isinstance(event, NewEvent) or event.learner_id is None or event.occurred_at is None:
            raise ValueError(f"not an event of a learner: {event}")
        key = int(event.learner_id.rpartition("-")[2])
        yield (
            position, event.source, event.id, event.type, event.version, key, event.occurred_at,
            event.occurred_at.date(), recorded_at, event.data, event.context,
        )  # fmt: skip
