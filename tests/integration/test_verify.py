"""`verify` finds every row that is not what the events say, and none in a sound store, whatever goes on beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from progress_context.engine import versions as books
from progress_context.engine.maintain import Maintainer
from progress_context.engine.projector import Projector
from progress_context.engine.rebuild import rebuild
from progress_context.engine.shards import reshard
from progress_context.engine.verify import Verdict, verify
from progress_context.intake.cloudevents import decode_lines
from progress_context.log import read
from progress_context.log.event import NewEvent
from progress_context.simulator import Simulation, events
from world import World

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEARNERS = 12


def simulated() -> list[NewEvent]:
    lines = b"\n".join(events(Simulation(LEARNERS, 12, date(2026, 11, 22), items=60)))
    return [event for event in decode_lines(lines, now=NOW) if isinstance(event, NewEvent)]


HISTORY = simulated()


def judged(number: int, learner: str) -> NewEvent:
    data = f'{{"item_id":"i{number % 5}","judgment":"AutoConfirmed"}}'
    at = NOW + timedelta(minutes=number)
    return NewEvent("urn:t", f"{learner}-{number}", "learning.CorrectnessJudged", 1, learner, at, None, data)


def published(number: int) -> NewEvent:
    data = (
        f'{{"item_id":"i{number % 5}","spelling":"word","level":"A{1 + number % 2}","domains":["reading"]}}'
    )
    return NewEvent("urn:t", f"p-{number}", "vocabulary.ItemPublished", 1, None, NOW, None, data)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


@pytest.fixture
async def filled(world: World) -> World:
    await world.append(HISTORY)
    await world.catch_up()
    await world.run_batch()
    return world


async def verdict_of(world: World, *names: str, **options: Any) -> Verdict:
    return await verify(world.pool, world.catalog, names, learners_at_once=5, **options)


def differing(verdict: Verdict) -> dict[str, tuple[int, int, int]]:
    return {
        name: (found.only_computed, found.only_stored, found.changed)
        for name, found in verdict.comparisons.items()
        if found.differing
    }


async def damage(world: World, name: str, change: str) -> None:
    """Change a table behind the engine's back."""
    table = (await world.versions())[name].table
    async with world.pool.acquire() as connection:
        await connection.execute(change.replace("TABLE", table))


async def test_a_sound_store_is_found_sound_and_all_of_it_is_looked_at(filled: World) -> None:
    heard: list[tuple[int, int]] = []

    def hear(done: int, total: int) -> None:
        heard.append((done, total))

    verdict = await verdict_of(filled, report=hear)
    assert verdict.sound
    assert (verdict.learners, +verdict.left_out) == (LEARNERS, {})
    tables = await filled.tables()
    assert {name: found.rows for name, found in verdict.comparisons.items()} == {
        name: len(rows) for name, rows in tables.items()
    }
    assert all(tables[name] for name in ("daily_stats", "streak_runs", "item_catalogue", "weekly_totals"))
    assert heard == [(0, LEARNERS), (5, LEARNERS), (10, LEARNERS), (LEARNERS, LEARNERS)]


ONE = "ctid = (SELECT ctid FROM TABLE ORDER BY 1 LIMIT 1)"


@pytest.mark.parametrize(
    ("name", "change", "found", "columns"),
    [
        ("daily_stats", f"UPDATE TABLE SET reviews = reviews + 1 WHERE {ONE}", (0, 0, 1), ["reviews"]),
        ("daily_stats", f"UPDATE TABLE SET ai_cost = NULL WHERE {ONE}", (0, 0, 1), ["ai_cost"]),
        ("item_progress", f"DELETE FROM TABLE WHERE {ONE}", (1, 0, 0), None),
        ("sessions", f"UPDATE TABLE SET active = NULL WHERE {ONE}", (0, 0, 1), ["active"]),
        ("active_days", "INSERT INTO TABLE SELECT 987654, '2026-11-01', 1", (0, 1, 0), None),
        ("streak_runs", f"UPDATE TABLE SET first_day = first_day - 99 WHERE {ONE}", (1, 1, 0), None),
        ("weekly_totals", f"UPDATE TABLE SET reviews = 0 WHERE {ONE}", (0, 0, 1), ["reviews"]),
        ("item_catalogue", f"UPDATE TABLE SET level = NULL WHERE {ONE}", (0, 0, 1), ["level"]),
        ("level_totals", f"DELETE FROM TABLE WHERE {ONE}", (1, 0, 0), None),
    ],
)  # fmt: skip
async def test_a_damaged_row_is_named_with_what_is_stored_and_what_should_be(
    filled: World, name: str, change: str, found: tuple[int, int, int], columns: list[str] | None
) -> None:
    before = await filled.rows(name)
    await damage(filled, name, change)
    verdict = await verdict_of(filled)
    assert not verdict.sound
    assert differing(verdict) == {name: found}
    examples = verdict.comparisons[name].examples
    assert len(examples) == sum(found)
    assert all(tuple(example.grain) == filled.catalog[name].grain for example in examples)
    if columns is not None:
        [example] = examples
        assert example.columns() == columns
        assert example.computed is not None
        [row] = [row for row in before.values() if is_of(example.grain, row)]
        assert all(str(row[c]) == str(example.computed[c]) for c in columns if row[c].__class__ is int)


def is_of(grain: dict[str, Any], row: dict[str, Any]) -> bool:
    return all(str(row[column]) == str(value) for column, value in grain.items())


async def test_only_what_is_named_is_looked_at(filled: World) -> None:
    await damage(filled, "daily_stats", f"DELETE FROM TABLE WHERE {ONE}")
    assert (await verdict_of(filled, "sessions", "streak_runs")).sound
    assert set((await verdict_of(filled, "sessions")).comparisons) == {"sessions"}
    assert differing(await verdict_of(filled, "daily_stats")) == {"daily_stats": (1, 0, 0)}


async def test_a_sample_is_of_that_size_and_the_same_for_the_same_seed(filled: World) -> None:
    await damage(filled, "daily_stats", "DELETE FROM TABLE")

    async def seen(seed: int) -> set[int]:
        found = await verdict_of(filled, "daily_stats", sample=2, seed=seed)
        assert found.learners == 2
        return {example.grain["learner_key"] for example in found.comparisons["daily_stats"].examples}

    assert await seen(1) == await seen(1)
    assert len({frozenset(await seen(seed)) for seed in range(5)}) > 1
    assert (await verdict_of(filled, sample=500)).learners == LEARNERS


async def test_batch_read_models_are_compared_for_learners_who_stood_still(filled: World) -> None:
    await filled.append([judged(1, "late"), judged(2, "late")])
    await filled.catch_up()
    verdict = await verdict_of(filled)
    assert verdict.sound
    assert verdict.left_out == {"learners with events since the last batch, in batch read models": 1}
    await filled.append([published(1)])
    await filled.catch_up()
    verdict = await verdict_of(filled)
    assert verdict.sound
    assert (
        verdict.left_out["learners, in read models whose lookup is on its way, or lacks a parked event"] > 0
    )
    await damage(filled, "weekly_totals", f"DELETE FROM TABLE WHERE {ONE}")
    assert differing(await verdict_of(filled)) == {"weekly_totals": (1, 0, 0)}
    await filled.run_batch()
    assert differing(await verdict_of(filled)) == {"weekly_totals": (1, 0, 0)}


async def test_each_shard_is_compared_at_its_own_position(filled: World) -> None:
    await reshard(filled.pool, 3)
    await filled.append([event for n in range(60) for event in (judged(n, f"new-{n % 7}"), published(n))])
    versions = await filled.versions()
    realtime = books.realtime(versions)
    async with filled.pool.acquire() as connection:
        reached = await books.checkpoints(connection, realtime)
        for shard, events_ in ((0, 90), (1, 40), (2, 0)):
            maintainer = Maintainer(realtime, filled.catalog.policy, stored=versions, shard=shard, shards=3)
            if events_:
                await maintainer.advance(connection, reached[shard], reached[shard] + events_)
    assert (await verdict_of(filled)).sound
    await damage(filled, "daily_stats", "DELETE FROM TABLE WHERE learner_key % 3 = 1")
    assert set(differing(await verdict_of(filled))) == {"daily_stats"}


async def test_the_parked_are_left_out(filled: World) -> None:
    await damage(filled, "daily_stats", "DELETE FROM TABLE WHERE learner_key = 1")
    async with filled.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO engine.parked (position, learner_key, type, reason) VALUES (1, 1, 'x', 'because')"
        )
    verdict = await verdict_of(filled)
    assert verdict.sound
    assert verdict.left_out == {"learners who are parked": 1}


async def test_what_may_lack_a_parked_event_of_no_learner_is_left_out(filled: World) -> None:
    await damage(filled, "item_catalogue", f"DELETE FROM TABLE WHERE {ONE}")
    await damage(filled, "level_items", "DELETE FROM TABLE")
    async with filled.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO engine.parked (position, type, reason) VALUES (1, 'x', 'because')"
        )
    verdict = await verdict_of(filled)
    assert verdict.sound
    assert verdict.left_out["item_catalogue is on its way, or lacks a parked event"] == 1
    assert "daily_stats" in verdict.comparisons


async def is_at_head(world: World) -> bool:
    async with world.pool.acquire() as connection:
        reached = await books.checkpoints(connection, books.realtime(await world.versions()))
        return set(reached.values()) == {await read.head(connection)}


async def test_live_work_and_swaps_beside_it_make_no_difference(world: World) -> None:
    await world.append(HISTORY[:500])
    projector = Projector(world.pool, shards=1, page_events=40, poll_seconds=0.01, batch_seconds=0.05)
    running = asyncio.create_task(projector.run())
    writing = asyncio.create_task(world.append(HISTORY[500:], [20] * 400))
    rebuilding = asyncio.create_task(rebuild(world.pool, world.catalog, ["daily_stats", "weekly_totals"]))
    while not (writing.done() and rebuilding.done() and await is_at_head(world)):
        assert differing(await verdict_of(world)) == {}
    await asyncio.gather(writing, rebuilding)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(await world.rows("daily_stats")) > 0


async def test_what_is_not_built_is_said(filled: World) -> None:
    async with filled.pool.acquire() as connection:
        await connection.execute(
            "UPDATE engine.versions SET fingerprint = 'other' WHERE read_model = 'streak_runs'"
        )
    verdict = await verdict_of(filled)
    assert verdict.sound
    assert verdict.left_out["streak_runs is not built as its file says"] == 1
