"""Answers follow the read models that the database serves, and end when they take too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from desk import Desk, desk_at, judged
from progress_context.engine.catalog import load
from progress_context.engine.definition import Policy
from progress_context.engine.rebuild import bring_up, rebuild
from progress_context.engine.rollback import rollback
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from waiting import until

STUDY = '{ dailyStats(userId: "ada") { reviews studyTime { sessionCapSeconds } } }'
ROWS = 'query($name: String!) { readModel(name: $name, userId: "ada") { rows nodes { __typename } } }'
HOURS = """\
-- name:   reviews_by_hour
-- about:  In which hours a learner reviews.
-- kind:   fold
-- grain:  learner_key, hour
-- update: realtime
SELECT learner_key, extract(hour FROM occurred_at)::int AS hour, count(*) AS reviews
FROM   events
WHERE  type = 'learning.CorrectnessJudged'
GROUP  BY learner_key, hour
"""
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%dailyStats%'"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        yield desk


def asking(desk: Desk, **options: Any) -> Executor:
    """Another query process, whose files may be newer than what the database serves."""
    catalog = options.pop("catalog", desk.world.catalog)
    return Executor(desk.pool, catalog, Calendar("UTC", 0), desk.positions, lambda: desk.now, **options)


async def test_edited_files_count_only_once_they_were_built(desk: Desk) -> None:
    """As under PROGRESS_REBUILD=ask: the files say another policy than the tables were made with."""
    await desk.tell(judged(1))
    edited = load(policy=Policy(cap_seconds=60))
    executor = asking(desk, catalog=edited)
    [day] = (await executor.answer(STUDY))["data"]["dailyStats"]
    assert day == {"reviews": 1, "studyTime": {"sessionCapSeconds": 14_400}}
    await rebuild(desk.world.pool, edited, [model.name for model in edited.stored()])
    [day] = (await executor.answer(STUDY))["data"]["dailyStats"]
    assert day["studyTime"]["sessionCapSeconds"] == 60
    await rollback(desk.world.pool, "sessions")
    [day] = (await executor.answer(STUDY))["data"]["dailyStats"]
    assert day["studyTime"]["sessionCapSeconds"] == 14_400


async def test_a_read_model_is_in_the_api_from_its_build_to_its_end(desk: Desk, tmp_path: Path) -> None:
    await desk.tell(judged(1))
    (tmp_path / "reviews_by_hour.sql").write_text(HOURS)
    more = load(tmp_path)
    executor = asking(desk, catalog=more)
    asked = await executor.answer(ROWS, {"name": "reviews_by_hour"})
    assert "there is no read model" in asked["errors"][0]["message"]
    await bring_up(desk.world.pool, more)
    answer = await executor.answer(ROWS, {"name": "reviews_by_hour"})
    assert answer["data"]["readModel"] == {
        "rows": [{"hour": 12, "reviews": 1}],
        "nodes": [{"__typename": "ReviewsByHourRow"}],
    }


async def test_a_lazy_view_that_does_not_fit_is_not_served_and_harms_no_other(desk: Desk) -> None:
    await desk.tell(judged(1))
    broken = dict(desk.world.catalog.models)
    text = broken["streak"].text.replace("sum(days)", "sum(lengths)")
    broken["streak"] = replace(broken["streak"], text=text)
    executor = asking(desk, catalog=replace(desk.world.catalog, models=broken))
    streak = await executor.answer('{ learningStreak(userId: "ada") { current } }')
    assert streak["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    assert "streak is not built yet" in streak["errors"][0]["message"]
    [day] = (await executor.answer(STUDY))["data"]["dailyStats"]
    assert day["reviews"] == 1


@pytest.mark.parametrize("planned", [True, False])
async def test_what_takes_too_long_is_stopped_in_the_database(desk: Desk, planned: bool) -> None:
    await desk.tell(judged(1))
    executor = asking(desk, timeout=0.5, planned=planned)
    await executor.answer(STUDY)
    owner = await asyncpg.connect(desk.world.url)
    table = (await desk.world.versions())["daily_stats"].table
    try:
        async with owner.transaction():
            await owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            asking_now = asyncio.create_task(executor.answer(STUDY))
            [error] = (await asking_now)["errors"]
            assert error["extensions"]["code"] == "QUERY_TIMEOUT"

            async def nobody_waits() -> bool:
                return not await owner.fetchval(BUSY)

            await until(nobody_waits)
    finally:
        await owner.close()
    assert (await executor.answer(STUDY))["data"]["dailyStats"][0]["reviews"] == 1


async def test_a_number_may_name_a_learner(desk: Desk) -> None:
    """What GraphQL allows for an ID though hardly anybody sends it; the limits count then, too."""
    await desk.tell(judged(1, learner="7"))
    query = "query($u: ID!, $first: Int) { itemProgress(userId: $u, first: $first) { totalCount nodes { itemId } } }"
    answer = await asking(desk).answer(query, {"u": 7})
    assert answer["data"]["itemProgress"]["totalCount"] == 1
    assert answer["extensions"]["cost"] == 3


async def test_text_that_no_database_can_hold_is_refused(desk: Desk) -> None:
    await desk.tell(judged(1))
    search = "query($s: String) { learners(search: $s) { userId } }"
    answer = await asking(desk).answer(search, {"s": "\0"})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    unknown = await asking(desk).answer("query($u: ID!) { userSummary(userId: $u) { today } }", {"u": "\0"})
    assert unknown["errors"][0]["extensions"]["code"] == "LEARNER_UNKNOWN"
