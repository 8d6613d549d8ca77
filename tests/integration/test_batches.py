"""Batches: read models that join later, folds among them, and runs that nobody needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from progress_context.engine.batch import run_batch
from progress_context.engine.catalog import load
from progress_context.engine.rebuild import bring_up, rebuild
from progress_context.log.event import NewEvent
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
REVIEWS_OF_ITEMS = """\
-- name:   reviews_of_items
-- kind:   fold
-- grain:  learner_key, item_id
-- update: batch
SELECT learner_key, data->>'item_id' AS item_id, count(*) AS reviews
FROM   events
WHERE  type = 'learning.CorrectnessJudged'
GROUP  BY learner_key, item_id
"""
REVIEWS_IN_ALL = """\
-- name:   reviews_in_all
-- kind:   rollup
-- grain:  learner_key
-- update: batch
SELECT learner_key, sum(weight) AS row_count, sum(weight * reviews) AS reviews
FROM   reviews_of_items
GROUP  BY learner_key
"""


def judged(number: int, learner: str) -> NewEvent:
    data = f'{{"item_id":"i{number % 3}","judgment":"AutoConfirmed"}}'
    at = NOON + timedelta(minutes=number)
    return NewEvent("urn:t", f"e{number}", "learning.CorrectnessJudged", 1, learner, at, None, data)


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "items.sql").write_text(REVIEWS_OF_ITEMS)
    (tmp_path / "all.sql").write_text(REVIEWS_IN_ALL)
    world = World(database_url)
    world.catalog = load(tmp_path)
    yield await world.open()
    await world.close()


async def follow(world: World, *events: NewEvent) -> None:
    await world.append(events)
    await world.catch_up()


@pytest.mark.parametrize("name", ["weekly_totals", "reviews_of_items", "reviews_in_all"])
async def test_one_that_was_built_anew_joins_the_others(world: World, name: str) -> None:
    await follow(world, judged(1, "ada"), judged(2, "ben"))
    await world.run_batch()
    await follow(world, judged(3, "ada"), judged(4, "ben"))
    await rebuild(world.pool, world.catalog, [name])
    await follow(world, judged(5, "ben"))
    await world.run_batch()
    kept = await world.tables()
    assert kept["reviews_in_all"] == {
        (1,): {"learner_key": 1, "row_count": 2, "reviews": 2},
        (2,): {"learner_key": 2, "row_count": 2, "reviews": 3},
    }
    await world.rebuild()
    assert await world.tables() == kept


async def test_one_that_is_new_joins_the_others(world: World, tmp_path: Path) -> None:
    await follow(world, judged(1, "ada"))
    await world.run_batch()
    await follow(world, judged(2, "ben"))
    (tmp_path / "new.sql").write_text(REVIEWS_OF_ITEMS.replace("reviews_of_items", "again"))
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    await follow(world, judged(3, "ada"))
    await world.run_batch()
    assert list((await world.rows("again")).values()) == list((await world.rows("reviews_of_items")).values())


async def test_a_batch_with_nothing_to_do_does_nothing(world: World) -> None:
    await follow(world, judged(1, "ada"))
    async with world.pool.acquire() as connection:
        advance = await run_batch(connection)
        assert advance is not None
        assert (advance.upto, len(advance.learners)) == (1, 1)
        assert await run_batch(connection) is None
