"""Simulated learners into a file, through the running service, or straight into the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO

from progress_context.feeding.sending import Sender
from progress_context.intake.cloudevents import decode_lines
from progress_context.intake.learning_day import learning_day_in
from progress_context.log.append import Appender
from progress_context.log.database import open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar
from progress_context.settings import Settings
from progress_context.simulator import Simulation, events

BATCH = 1_000
GROUP = 5_000

Report = Callable[[int], None]


def to_file(simulation: Simulation, file: BinaryIO, report: Report) -> Counter[str]:
    """Write JSON lines; `report` hears how many so far."""
    counts: Counter[str] = Counter()
    for lines in _batches(events(simulation), GROUP):
        file.write(b"\n".join(lines) + b"\n")
        counts["written"] += len(lines)
        report(counts["written"])
    return counts


def to_service(simulation: Simulation, url: str, report: Report, token: str = "") -> Counter[str]:
    """POST to progress-command-service in batches; counts the outcomes."""
    counts: Counter[str] = Counter()
    with Sender(url, token) as sender:
        for lines in _batches(events(simulation), BATCH):
            answer = sender.send_lines("/events", lines)
            counts.update(
                stored=answer.stored,
                duplicate=answer.duplicate,
                conflict=answer.conflict,
                invalid=answer.invalid,
            )
            report(sum(counts.values()))
    return counts


async def to_log(simulation: Simulation, settings: Settings, report: Report) -> Counter[str]:
    """Append in groups, as the command service would; counts the outcomes."""
    counts: Counter[str] = Counter()
    pool = await open_pool(settings.database_url, "progress_command", size=2)
    default = Calendar(settings.default_time_zone, settings.default_rollover_hour)
    appender = Appender(pool, learning_day_in, default)
    try:
        for lines in _batches(events(simulation), GROUP):
            outcomes = await appender.append(_valid(lines))
            counts.update(outcome.status for outcome in outcomes)
            report(sum(counts.values()))
    finally:
        await pool.close()
    return counts


def _valid(lines: Sequence[bytes]) -> list[NewEvent]:
    parsed = decode_lines(b"\n".join(lines), now=datetime.now(UTC))
    return [event for event in parsed if isinstance(event, NewEvent)]


def _batches(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
