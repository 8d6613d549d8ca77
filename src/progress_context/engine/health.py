"""How the system stands, read from the database alone: right even when a service hangs or is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from progress_context.engine.builds import SILENCE
from progress_context.engine.leases import SECONDS
from progress_context.log.database import Connection, fetch_one, statement
from progress_context.log.read import position_at

MAX_LAG_SECONDS = 5.0  # of a realtime read model: what a learner may wait for
MAX_LAG_EVENTS = 1_000
BATCHES_MISSED = 3  # a batch read model may lag as many times the time between batches
RATE_SECONDS = 60.0  # over which the append rate is taken


class ReadModel(msgspec.Struct, frozen=True):
    """An active read model, by its slowest shard; `lag_seconds` is the age of the oldest event it lacks."""

    name: str
    update: str
    version: str
    position: int
    moved_at: datetime
    lag_events: int
    lag_seconds: float


class Shard(msgspec.Struct, frozen=True):
    """How far the realtime read models are for one part of the learners."""

    shard: int
    position: int
    lag_events: int


class Lease(msgspec.Struct, frozen=True):
    """A piece of work that one process at a time does, and whether one does."""

    name: str
    holder: str | None
    held: bool


class Build(msgspec.Struct, frozen=True):
    """A rebuild or rollback under way: events that its tables stand for, of those there are."""

    build: int
    kind: str
    read_models: list[str]
    alive: bool
    catching_up: bool
    started_at: datetime
    done: int
    total: int


class Snapshots(msgspec.Struct, frozen=True):
    """How many there are and how many are damaged; position and time of the newest sound one."""

    count: int
    damaged: int
    position: int | None
    taken_at: datetime | None


class Waiting(msgspec.Struct, frozen=True):
    """What somebody should look at: how many, and since when."""

    count: int
    since: datetime | None


class Standing(msgspec.Struct, frozen=True):
    """All of it at one moment, by the clock of the database; `workers` are the live projection services."""

    at: datetime
    head: int
    recorded_at: datetime | None
    read_models: list[ReadModel]
    shards: list[Shard]
    leases: list[Lease]
    workers: int
    builds: list[Build]
    snapshots: Snapshots
    parked: Waiting


class Relay(msgspec.Struct, frozen=True):
    """Publishing the log to a topic: how far, and how many events the broker would not take."""

    topic: str
    position: int
    moved_at: datetime
    lag_events: int
    lag_seconds: float
    held: bool
    unpublished: int


class News(msgspec.Struct, frozen=True):
    """How far the log was looked through for events of our own to send."""

    position: int
    lag_events: int


class Edges(msgspec.Struct, frozen=True):
    """What goes out and what could not come in."""

    relays: list[Relay]
    news: News
    dead_letters: Waiting


class Problem(msgspec.Struct, frozen=True):
    """Something an operator must look at; `code` is the section of its runbook in docs/operations.md."""

    code: str
    message: str


async def standing(connection: Connection) -> Standing:
    """How everything stands now; one statement, whose cost does not grow with the log."""
    row = await fetch_one(connection, statement(__package__, "standing"), SECONDS, SILENCE)
    return msgspec.json.decode(row[0], type=Standing)


async def edges(connection: Connection) -> Edges:
    """Relays and dead letters, for a role that may read the schema `ops`."""
    row = await fetch_one(connection, statement(__package__, "edges"))
    return msgspec.json.decode(row[0], type=Edges)


async def append_rate(connection: Connection, now: Standing) -> float:
    """Events a second that were appended in the last minute."""
    before = await position_at(connection, now.at - timedelta(seconds=RATE_SECONDS))
    return (now.head - before) / RATE_SECONDS


def problems(now: Standing, batch_seconds: float) -> list[Problem]:
    """What is wrong inside; empty when all is well."""
    found = [problem for model in now.read_models for problem in _lag(model, batch_seconds)]
    if not now.read_models:
        found.append(Problem("read-models-missing", "no read model is built: run `serve projection`"))
    if unheld := [lease.name for lease in now.leases if not lease.held and _is_needed(lease.name)]:
        found.append(Problem("no-worker", f"no projection service works on {', '.join(unheld)}"))
    elif not now.workers:
        found.append(Problem("no-worker", "no projection service gives a sign of life"))
    if now.parked.count:
        found.append(Problem("events-parked", f"{now.parked.count:,} events are parked: `parked list`"))
    if now.snapshots.damaged:
        text = f"{now.snapshots.damaged:,} snapshots are damaged: `snapshots list`"
        found.append(Problem("snapshot-damaged", text))
    return found


def problems_at_edges(edges: Edges) -> list[Problem]:
    """What is wrong with what goes out and comes in."""
    found = [
        Problem("relay-lag", f"the relay to {relay.topic} is {relay.lag_events:,} events behind")
        for relay in edges.relays
        if relay.lag_seconds > MAX_LAG_SECONDS or relay.lag_events > MAX_LAG_EVENTS
    ]
    found += [
        Problem("unpublished", f"{relay.topic} did not take {relay.unpublished:,} events")
        for relay in edges.relays
        if relay.unpublished
    ]
    if edges.dead_letters.count:
        text = f"{edges.dead_letters.count:,} dead letters wait: `dead-letters list`"
        found.append(Problem("dead-letters", text))
    return found


def _is_needed(lease: str) -> bool:
    return lease == "batch" or lease.startswith("shard ")


def _lag(model: ReadModel, batch_seconds: float) -> Sequence[Problem]:
    most = MAX_LAG_SECONDS if model.update == "realtime" else BATCHES_MISSED * batch_seconds
    if model.lag_seconds > most:
        text = f"{model.name} lacks events that are {model.lag_seconds:,.0f} s old (at most {most:g} s)"
        return [Problem("lag-seconds" if model.update == "realtime" else "batch-lag", text)]
    if model.update == "realtime" and model.lag_events > MAX_LAG_EVENTS:
        text = f"{model.name} lacks {model.lag_events:,} events (at most {MAX_LAG_EVENTS:,})"
        return [Problem("lag-events", text)]
    return []
