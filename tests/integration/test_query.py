"""GraphQL answers, from events to JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from desk import NOW, Desk, desk_at, event, judged
from progress_context.engine.rebuild import rebuild
from progress_context.log.database import open_pool
from progress_context.log.event import ProfileChange
from world import World


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        yield desk


async def test_days_come_with_zeros_and_ratios(desk: Desk) -> None:
    yesterday = NOW - timedelta(days=1)
    await desk.tell(judged(1), judged(2, judgment="UserConfirmedIncorrect"), judged(3, at=yesterday))
    data = await desk.ask(
        '{dailyStats(userId:"ada",dateRange:{from:"2026-11-21",to:"2026-11-23"})'
        "{date reviews correct incorrect accuracy averageResponseTimeMs newItems active"
        " studyTime{seconds sessionCapSeconds idleGapSeconds}}}"
    )
    assert [day["date"] for day in data["dailyStats"]] == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert data["dailyStats"][0] == {
        "date": "2026-11-21", "reviews": 0, "correct": 0, "incorrect": 0, "accuracy": None,
        "averageResponseTimeMs": None, "newItems": 0, "active": False,
        "studyTime": {"seconds": 0, "sessionCapSeconds": 14400, "idleGapSeconds": 1800},
    }  # fmt: skip
    assert data["dailyStats"][2]["accuracy"] == 0.5
    assert data["dailyStats"][2]["averageResponseTimeMs"] == 1001.5
    assert [day["newItems"] for day in data["dailyStats"]] == [0, 1, 0]


async def test_today_is_the_learners_own_and_follows_their_last_word(desk: Desk) -> None:
    today = '{userSummary(userId:"ada"){today}}'
    desk.now = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    await desk.tell(judged(1))
    assert (await desk.ask(today))["userSummary"]["today"] == "2026-11-23"
    await desk.tell(judged(2, context='{"time": "2026-11-23T12:00:00+09:00"}', zone="+09:00"))
    assert (await desk.ask(today))["userSummary"]["today"] == "2026-11-24"
    profile = {"time_zone": "America/New_York", "day_rollover_hour": 4}
    await desk.tell(
        event(3, "user.PreferencesUpdated", profile, profile=ProfileChange("America/New_York", 4),
              at=NOW + timedelta(hours=1))
    )  # fmt: skip
    assert (await desk.ask(today))["userSummary"]["today"] == "2026-11-23"
    desk.now = datetime(2026, 11, 24, 8, 59, tzinfo=UTC)
    assert (await desk.ask(today))["userSummary"]["today"] == "2026-11-23"
    desk.now = datetime(2026, 11, 24, 9, 1, tzinfo=UTC)
    assert (await desk.ask(today))["userSummary"]["today"] == "2026-11-24"


async def test_a_streak_lives_until_the_day_after_is_over(desk: Desk) -> None:
    await desk.tell(*(judged(i, at=NOW - timedelta(days=i)) for i in range(1, 4)))
    query = (
        '{learningStreak(userId:"ada",calendar:{from:"2026-11-19",to:"2026-11-21"})'
        "{current longest alive activeToday lastActiveDay totalActiveDays calendar{date active reviews}"
        " runs{from to days}}}"
    )
    streak = (await desk.ask(query))["learningStreak"]
    assert (streak["current"], streak["alive"], streak["activeToday"]) == (3, True, False)
    assert [day["active"] for day in streak["calendar"]] == [False, True, True]
    assert streak["runs"] == [{"from": "2026-11-20", "to": "2026-11-22", "days": 3}]
    desk.now = NOW + timedelta(days=1)
    streak = (await desk.ask(query))["learningStreak"]
    assert (streak["current"], streak["longest"], streak["alive"]) == (0, 3, False)


async def test_items_are_paged_and_filtered(desk: Desk) -> None:
    await desk.tell(*(judged(i, item=f"item-{i % 7}", at=NOW - timedelta(minutes=i)) for i in range(30)))
    query = (
        "query($filter:ItemFilter,$after:String,$ids:[ID!])"
        '{itemProgress(userId:"ada",first:3,filter:$filter,after:$after,itemIds:$ids)'
        "{totalCount nodes{itemId reviews} edges{cursor} pageInfo{hasNextPage endCursor}}}"
    )
    seen: list[str] = []
    after = None
    while True:
        page = (await desk.ask(query, after=after))["itemProgress"]
        seen += [node["itemId"] for node in page["nodes"]]
        assert page["totalCount"] == 7
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"item-{i}" for i in range(7)]
    assert (await desk.ask(query, filter="MASTERED"))["itemProgress"]["totalCount"] == 0
    search = '{itemProgress(userId:"ada",search:"M-3"){totalCount nodes{itemId}}}'
    assert (await desk.ask(search))["itemProgress"] == {"totalCount": 1, "nodes": [{"itemId": "item-3"}]}
    assert (await desk.ask(query, filter="IN_PROGRESS", ids=["item-1", "item-9"]))["itemProgress"][
        "totalCount"
    ] == 1


async def test_an_overdue_item_is_overdue_only_when_asked_late_enough(desk: Desk) -> None:
    due = {"item_id": "apple", "next_review_at": "2026-11-24T00:00:00Z", "interval_days": 1}
    await desk.tell(judged(1), event(2, "algorithm.ReviewScheduled", due))
    query = '{itemProgress(userId:"ada",filter:OVERDUE){totalCount nodes{nextReviewAt overdue}}}'
    assert (await desk.ask(query))["itemProgress"]["totalCount"] == 0
    desk.now = NOW + timedelta(days=1)
    assert (await desk.ask(query))["itemProgress"]["nodes"] == [
        {"nextReviewAt": "2026-11-24T00:00:00Z", "overdue": True}
    ]


async def test_every_field_of_an_answer_reflects_the_position_it_names(desk: Desk) -> None:
    await desk.tell(judged(1))
    answer = await desk.executor.answer('{userSummary(userId:"ada"){reviews}}')
    assert answer["extensions"]["position"] == 1
    await desk.world.append([judged(2)])
    answer = await desk.executor.answer('{userSummary(userId:"ada"){reviews}}')
    assert (answer["extensions"]["position"], answer["data"]["userSummary"]["reviews"]) == (1, 1)


async def test_an_answer_waits_for_the_position_asked_for(desk: Desk) -> None:
    await desk.tell(judged(1))
    await desk.world.append([judged(2)])
    query = 'query($p:Position){userSummary(userId:"ada",waitForPosition:$p){reviews}}'
    waiting = asyncio.create_task(desk.ask(query, p=2))
    await asyncio.sleep(0)
    assert not waiting.done()
    await desk.world.catch_up()
    assert (await waiting)["userSummary"]["reviews"] == 2
    code, message = await desk.refused(query, p=99)
    assert code == "POSITION_TIMEOUT"
    assert "at 2" in message


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ('{userSummary(userId:"nobody"){today}}', "LEARNER_UNKNOWN", "nobody"),
        ('{dailyStats(userId:"ada",dateRange:{from:"2026-02-02",to:"2026-01-01"}){date}}', "BAD_USER_INPUT", "after its end"),
        ('{dailyStats(userId:"ada",dateRange:{from:"1900-01-01",to:"2026-01-01"}){date}}', "BAD_USER_INPUT", "3,660 days"),
        ('{dailyStats(userId:"ada",date:"2026-01-01",dateRange:{from:"2026-01-01",to:"2026-01-01"}){date}}', "BAD_USER_INPUT", "not both"),
        ('{dailyStats(userId:"ada",date:"2026-02-30"){date}}', "GRAPHQL_VALIDATION_FAILED", "no date"),
        ('{dailyStats(userId:"ada",date:20260101){date}}', "GRAPHQL_VALIDATION_FAILED", "no date"),
        ('{itemProgress(userId:"ada",first:501){totalCount}}', "BAD_USER_INPUT", "0 to 500"),
        ('{itemProgress(userId:"ada",first:-1){totalCount}}', "BAD_USER_INPUT", "0 to 500"),
        ('{itemProgress(userId:"ada",after:"%%%"){totalCount}}', "BAD_USER_INPUT", "no cursor"),
        ('{itemProgress(userId:"ada",after:"WzEsMl0="){totalCount}}', "BAD_USER_INPUT", "no cursor"),
        ('{userSummary(userId:"ada",waitForPosition:-1){today}}', "GRAPHQL_VALIDATION_FAILED", "no position"),
        ("{nothing}", "GRAPHQL_VALIDATION_FAILED", "Cannot query field"),
        ("{", "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("mutation{x}", "GRAPHQL_VALIDATION_FAILED", "mutation"),
        ("{" + "__typename " * 3000 + "}", "GRAPHQL_PARSE_FAILED", "tokens"),
    ],
)  # fmt: skip
async def test_a_question_without_an_answer_says_why(
    desk: Desk, query: str, code: str | None, says: str
) -> None:
    await desk.tell(judged(1))
    found, message = await desk.refused(query)
    assert says in message
    assert found == code


async def test_before_the_read_models_exist_the_service_says_so(database_url: str) -> None:
    world = World(database_url)
    pool = await open_pool(database_url, "progress_query", size=2)
    world.log_pool = await open_pool(database_url, "progress_command", size=2)
    desk = Desk(world, pool)
    await world.append([judged(1)])
    assert await desk.refused('{userSummary(userId:"ada"){today}}') == (
        "UNAVAILABLE",
        "the read models are not built yet",
    )
    pool.terminate()
    world.log_pool.terminate()


async def test_answers_stay_right_while_read_models_are_swapped(desk: Desk) -> None:
    await desk.tell(*(judged(i) for i in range(5)))
    names = [model.name for model in desk.world.catalog.stored()]
    rebuilding = asyncio.create_task(rebuild(desk.world.pool, desk.world.catalog, names))
    query = '{userSummary(userId:"ada"){reviews itemsSeen currentStreak} learningStreak(userId:"ada"){runs{days}}}'
    asked = 0
    while not rebuilding.done() or asked < 5:
        data = await desk.ask(query)
        assert data["userSummary"] == {"reviews": 5, "itemsSeen": 1, "currentStreak": 1}
        assert data["learningStreak"]["runs"] == [{"days": 1}]
        asked += 1
    await rebuilding


async def test_the_query_side_cannot_write(desk: Desk) -> None:
    async with desk.pool.acquire() as connection:
        for table in ("log.learners", "log.head", "engine.checkpoints", "read.daily_stats"):
            for privilege in ("INSERT", "UPDATE", "DELETE"):
                allowed = await connection.fetchval("SELECT has_table_privilege($1, $2)", table, privilege)
                assert not allowed, f"{privilege} on {table}"
