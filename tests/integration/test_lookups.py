"""A lookup that changes moves the rows of everyone who has its key, whoever was active meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from progress_context.log.event import NewEvent
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def published(number: int, **fields: object) -> NewEvent:
    data = json.dumps({"item_id": "apple", **fields})
    at = NOON + timedelta(hours=number)
    return NewEvent("urn:t", f"v{number}", "vocabulary.ItemUpdated", 1, None, at, None, data)


def judged(learner: str) -> NewEvent:
    data = json.dumps({"item_id": "apple", "judgment": "AutoConfirmed"})
    return NewEvent("urn:t", learner, "learning.CorrectnessJudged", 1, learner, NOON, None, data)


@pytest.fixture(params=["batches", "realtime"])
async def world(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[World]:
    world = await World(database_url, eager=request.param == "realtime").open()
    yield world
    await world.close()


async def seen(world: World, name: str, key: str) -> set[tuple[int, str]]:
    await world.catch_up()
    await world.run_batch()
    assert {row["row_count"] for row in (await world.rows(name)).values()} <= {1}
    return {(row["learner_key"], row[key]) for row in (await world.rows(name)).values()}


async def test_an_item_that_changes_its_level_takes_its_learners_along(world: World) -> None:
    await world.append([judged("ada"), judged("ben")])
    assert await seen(world, "level_items", "level") == set()
    await world.append([published(1, level="A1", domains=["reading"])])
    assert await seen(world, "level_items", "level") == {(1, "A1"), (2, "A1")}
    await world.append([published(2, level="B2", domains=["reading", "writing"])])
    assert await seen(world, "level_items", "level") == {(1, "B2"), (2, "B2")}
    assert await seen(world, "skill_items", "domain") == {
        (learner, skill) for learner in (1, 2) for skill in ("reading", "writing")
    }
