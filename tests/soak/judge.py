"""The verdict: the log and the read models beside what was sent, recounted in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
import httpx

from oracle.compare import differences
from oracle.decoded import decode
from oracle.recount import DEFAULT_POLICY, Recount, recount
from progress_context.engine.catalog import load
from progress_context.log.read import follow
from soak.events import SOURCE, Fact

READ_MODELS = ("daily_stats", "item_progress", "sessions", "active_days", "streak_runs", "item_catalogue")
MOST_SAID = 5  # of one kind
OURS = "progress."
LOGGED = """
    SELECT position, source, id, type, learner_id, occurred_at, learning_day
      FROM log.events LEFT JOIN log.learners USING (learner_key) ORDER BY position
"""
SUMMARY = "query ($user: ID!) { userSummary(userId: $user) { reviews } }"


class Logged(NamedTuple):
    """An event as it stands in the log."""

    position: int
    source: str
    id: str
    type: str
    learner: str | None
    occurred_at: Any
    learning_day: Any


async def judge_database(
    url: str, facts: Mapping[str, Fact], acknowledged: Mapping[str, int | None], rubbish: Mapping[bytes, bool]
) -> tuple[list[str], dict[str, int]]:
    """Everything that is wrong with what is stored, and how many reviews each learner did."""
    connection = await asyncpg.connect(url)
    try:
        logged = [Logged(*row) for row in await connection.fetch(LOGGED)]
        wrong = judge_log(logged, facts, acknowledged)
        wrong += judge_letters(await connection.fetch("SELECT payload, code FROM ops.dead_letters"), rubbish)
        for table in ("engine.parked", "ops.unpublished"):
            wrong += [f"{table}: {dict(row)}" for row in await connection.fetch(f"SELECT * FROM {table}")]
        truth = recount([event async for event in follow(connection)])
        for name in READ_MODELS:
            wrong += await _judge_read_model(connection, name, truth)
        rows = await connection.fetch("SELECT learner_key, learner_id FROM log.learners")
        learners: dict[int, str] = {row["learner_key"]: row["learner_id"] for row in rows}
    finally:
        await connection.close()
    return wrong, _reviews(truth, learners)


def judge_log(
    logged: Sequence[Logged], facts: Mapping[str, Fact], acknowledged: Mapping[str, int | None]
) -> list[str]:
    """What was lost, stored twice, changed, or made up; and positions that are not 1, 2, 3 …"""
    sent = [event for event in logged if event.source == SOURCE]
    places = {event.id: event.position for event in sent}
    copies = Counter(event.id for event in sent)
    numbers = [event.position for event in logged]
    gaps = [] if numbers == list(range(1, len(numbers) + 1)) else ["positions have gaps"]
    return (
        gaps
        + _said("lost", (name for name in acknowledged if name not in places))
        + _said("stored twice", (name for name, count in copies.items() if count > 1))
        + _said("at another position than was told", (
            name for name, at in acknowledged.items() if at and places.get(name, at) != at))
        + _said("never sent", (event.id for event in sent if event.id not in facts))
        + _said("not as it was sent", (
            event.id for event in sent if event.id in facts and Fact(*event[3:]) != facts[event.id]))
        + _said("of somebody else", (
            event.id for event in logged if event.source != SOURCE and not event.type.startswith(OURS)))
    )  # fmt: skip


def judge_letters(letters: Iterable[Any], rubbish: Mapping[bytes, bool]) -> list[str]:
    """Rubbish, all of it, and nothing else belongs among the dead letters."""
    found = {bytes(payload): code for payload, code in letters}
    return (
        _said("no dead letter", (str(each) for each, sure in rubbish.items() if sure and each not in found))
        + _said("a dead letter", (f"{each} ({found[each]})" for each in found if each not in rubbish))
    )  # fmt: skip


def judge_outgoing(positions: set[int], head: int) -> list[str]:
    """Every position of the log was published, and none that does not exist."""
    return _said("not published", (str(n) for n in range(1, head + 1) if n not in positions)) + _said(
        "published, but not in the log", (str(n) for n in sorted(positions) if n > head)
    )


async def judge_answers(url: str, reviews: Mapping[str, int]) -> list[str]:
    """What the query service says of every learner."""
    wrong: list[str] = []
    async with httpx.AsyncClient(timeout=30) as client:
        for learner, count in reviews.items():
            asked = {"query": SUMMARY, "variables": {"user": learner}}
            answer = (await client.post(f"{url}/graphql", json=asked)).json()
            if answer.get("data") != {"userSummary": {"reviews": count}}:
                wrong.append(f"{learner}: {answer} instead of {count} reviews")
    return _said("answered wrongly", wrong)


async def _judge_read_model(connection: asyncpg.Connection, name: str, truth: Recount) -> list[str]:
    grain = load()[name].grain
    rows = {
        tuple(row[c] for c in grain): dict(row)
        for row in await connection.fetch(f"SELECT * FROM read.{name}")
    }
    found = differences(
        getattr(truth, name), decode(name, rows, DEFAULT_POLICY), leave_out=("accuracy", "incorrect")
    )
    return _said(f"read.{name} differs from a recount", found)


def _reviews(truth: Recount, learners: Mapping[int, str]) -> dict[str, int]:
    counts = dict.fromkeys(learners.values(), 0)
    for (key, _), row in truth.daily_stats.items():
        counts[learners[key]] += row["reviews"]
    return counts


def _said(what: str, names: Iterable[str]) -> list[str]:
    """One sentence for all of a kind, with the first few."""
    found = list(names)
    return [f"{len(found):,} {what}: {', '.join(found[:MOST_SAID])}"] if found else []
