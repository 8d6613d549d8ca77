"""A long simulated history in the log with untouched read models, and a plain recount of its days."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
import msgspec

from bench.database import MIGRATED, BenchServer, query
from bench.harness import console
from progress_context.engine.catalog import load
from progress_context.engine.rebuild import bring_up
from progress_context.feeding.simulated import to_log
from progress_context.log.database import open_pool
from progress_context.settings import Settings
from progress_context.simulator import Simulation

HISTORY = "bench_history"

Day = tuple[str, date]
Counts = tuple[int, int, int]  # reviews, correct, activities


@dataclass(frozen=True)
class History:
    """How many events the log has, how many a peer gets, and where as facts in JSON lines."""

    events: int
    facts: Path
    facts_count: int


def make_history(server: BenchServer, simulation: Simulation, folder: Path) -> History:
    """Fill the database `bench_history`: read models exist and have not folded anything yet."""
    server.make(HISTORY, MIGRATED)
    url = server.url(HISTORY)
    counts = asyncio.run(_fill(url, simulation))
    console.print(f"[dim]history: {', '.join(f'{n:,} {status}' for status, n in counts.items())}[/]")
    server.execute("VACUUM ANALYZE", HISTORY)
    facts = folder / "history.jsonl"
    return History(counts["stored"], facts, write_facts(url, facts))


def recount(facts: Path, count: int) -> dict[Day, Counts]:
    """Days of the first `count` events, counted one by one."""
    days: dict[Day, list[int]] = defaultdict(lambda: [0, 0, 0])
    with facts.open("rb") as lines:
        for _, line in zip(range(count), lines, strict=False):
            happened = msgspec.json.decode(line)
            day = days[happened["learner"], date.fromisoformat(happened["day"])]
            for column, name in enumerate(("reviews", "correct", "activities")):
                day[column] += happened[name]
    return {day: (values[0], values[1], values[2]) for day, values in days.items()}


def rows_by_day(rows: Iterable[asyncpg.Record]) -> dict[Day, Counts]:
    """Rows of a daily read model in the shape of `recount`."""
    return {
        (row["learner"], row["day"]): (int(row["reviews"]), int(row["correct"]), int(row["activities"]))
        for row in rows
    }


def differences(expected: Mapping[Day, Counts], found: Mapping[Day, Counts]) -> tuple[int, int]:
    """How much the rows found fall short of the expected, and how much they exceed them."""
    missed = exceeded = 0
    for day in expected.keys() | found.keys():
        pairs = zip(expected.get(day, (0, 0, 0)), found.get(day, (0, 0, 0)), strict=True)
        for wanted, got in pairs:
            missed += max(0, wanted - got)
            exceeded += max(0, got - wanted)
    return missed, exceeded


def write_facts(url: str, file: Path) -> int:
    """Every event of a learner, and what it adds to its day."""
    rows = query(url, "history")
    with file.open("wb") as lines:
        for row in rows:
            review = row["type"] == "learning.CorrectnessJudged"
            happened = {
                "id": row["position"],
                "type": row["type"],
                "learner": row["learner_id"],
                "day": row["learning_day"].isoformat(),
                "reviews": int(review),
                "correct": int(review and row["judgment"] != "UserConfirmedIncorrect"),
                "activities": int(row["type"] == "learning.ActivityRecorded"),
            }
            lines.write(msgspec.json.encode(happened) + b"\n")
    return len(rows)


async def _fill(url: str, simulation: Simulation) -> dict[str, int]:
    pool = await open_pool(url, "progress_projection", size=2)
    try:
        await bring_up(pool, load())
    finally:
        await pool.close()
    return dict(await to_log(simulation, Settings(database_url=url), lambda _: None))
