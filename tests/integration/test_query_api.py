"""Every question of the API, from events to JSON: weeks, months, categories, milestones, performance, the past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from desk import NOW, Desk, desk_at, event, judged
from progress_context.engine.definition import Policy

ADA = 'userId: "ada"'
WRONG = "UserConfirmedIncorrect"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        yield desk


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


async def tell_and_batch(desk: Desk, *events: Any) -> None:
    await desk.tell(*events)
    await desk.world.run_batch()


async def test_weeks_come_with_quiet_ones_and_the_last_whole_week_tells_the_trend(desk: Desk) -> None:
    # NOW is a Monday: the running week has one day, the last whole week ended yesterday.
    await tell_and_batch(
        desk, *(judged(n, at=days_ago(n)) for n in range(1, 4)), judged(9, at=days_ago(22)), judged(10)
    )
    query = (
        f"{{ weeklyTrend({ADA}, weeks: 4) {{ trend consistency recommendations {{ code text {{ en ja }} }}"
        " weeks { week daysElapsed activeDays reviews reviewsPerDay consistency trend itemsMasteredSoFar } } }"
    )
    trend = (await desk.ask(query))["weeklyTrend"]
    assert [week["week"] for week in trend["weeks"]] == [
        "2026-11-02",
        "2026-11-09",
        "2026-11-16",
        "2026-11-23",
    ]
    assert [week["reviews"] for week in trend["weeks"]] == [0, 0, 3, 1]
    assert [week["trend"] for week in trend["weeks"]] == ["DOWN", "STABLE", "UP", "UP"]
    assert [week["daysElapsed"] for week in trend["weeks"]] == [7, 7, 7, 1]
    assert trend["weeks"][3]["consistency"] == pytest.approx(100 / 7)
    assert trend["trend"] == "UP"
    assert trend["consistency"] == pytest.approx(100 * 4 / 22)
    [advice] = trend["recommendations"]
    assert advice["code"] == "STUDY_MORE_OFTEN"
    assert advice["text"]["ja"].endswith("効果的です。")


@pytest.mark.parametrize(
    ("events", "codes"),
    [
        ([], ["START_AGAIN"]),
        ([judged(n, at=days_ago(n)) for n in range(8)], ["KEEP_GOING"]),
        ([judged(n, judgment=WRONG, at=days_ago(n % 8)) for n in range(16)], ["REVIEW_STRUGGLING_ITEMS"]),
        ([judged(n, at=days_ago(7 + n % 6)) for n in range(9)], ["STUDY_MORE_OFTEN", "REGAIN_PACE"]),
        ([e for n in range(20) for e in (judged(n, item=f"i{n}", at=days_ago(n % 8)), event(
            100 + n, "algorithm.ReviewScheduled", {"item_id": f"i{n}", "next_review_at": "2026-11-22T00:00:00Z", "interval_days": 1}))],
         ["CLEAR_OVERDUE_REVIEWS"]),
    ],
    ids=lambda value: "".join(value)[:20] if value and isinstance(value[0], str) else "",
)  # fmt: skip
async def test_recommendations_follow_from_the_weeks(desk: Desk, events: list[Any], codes: list[str]) -> None:
    await tell_and_batch(desk, event(900, "user.UserCreated", {}), *events)
    query = f"{{ weeklyTrend({ADA}, weeks: 2) {{ recommendations {{ code }} }} }}"
    found = (await desk.ask(query))["weeklyTrend"]["recommendations"]
    assert [each["code"] for each in found] == codes


async def test_months_come_with_quiet_ones(desk: Desk) -> None:
    await desk.tell(judged(1), judged(2, at=datetime(2026, 9, 30, 12, tzinfo=UTC)))
    query = f"{{ monthlyStats({ADA}, months: 3) {{ month daysElapsed reviews consistency trend accuracy }} }}"
    months = (await desk.ask(query))["monthlyStats"]
    assert [(m["month"], m["daysElapsed"], m["reviews"], m["trend"]) for m in months] == [
        ("2026-09-01", 30, 1, "UP"),
        ("2026-10-01", 31, 0, "DOWN"),
        ("2026-11-01", 23, 1, "UP"),
    ]
    assert (months[1]["consistency"], months[1]["accuracy"]) == (0, None)
    assert months[2]["consistency"] == pytest.approx(100 / 30)


async def test_categories_are_skills_or_levels(desk: Desk) -> None:
    items = {"apple": ("A1", ["reading"]), "pear": ("A1", ["reading", "writing"]), "fig": ("B2", ["writing"])}
    await tell_and_batch(
        desk,
        *(
            event(n, "vocabulary.ItemPublished", {"item_id": item, "spelling": item, "level": level, "domains": skills}, learner=None)
            for n, (item, (level, skills)) in enumerate(items.items())
        ),
        judged(10, "apple"),
        judged(11, "pear", WRONG),
        event(12, "algorithm.ItemMastered", {"item_id": "apple", "total_reviews": 9, "accuracy_rate": 1, "retention_days": 9}),
    )  # fmt: skip
    query = (
        f"query($type: CategoryType!) {{ categoryProgress({ADA}, categoryType: $type) {{ overallCompletion categories"
        " { name domain level totalItems mastered inProgress notStarted progress accuracy estimatedCompletion } } }"
    )
    levels = (await desk.ask(query, type="LEVEL"))["categoryProgress"]
    assert levels["overallCompletion"] == pytest.approx(100 / 3)
    assert levels["categories"][0] == {
        "name": "A1", "domain": None, "level": "A1", "totalItems": 2, "mastered": 1, "inProgress": 1, "notStarted": 0,
        "progress": 50, "accuracy": None, "estimatedCompletion": "2026-12-21",
    }  # fmt: skip
    assert [c["name"] for c in levels["categories"]] == ["A1", "B2"]
    skills = (await desk.ask(query, type="DOMAIN"))["categoryProgress"]
    assert [c["domain"] for c in skills["categories"]] == ["READING", "WRITING", "LISTENING", "SPEAKING"]
    assert [c["progress"] for c in skills["categories"]] == [50, 0, None, None]
    assert skills["categories"][0]["accuracy"] == 0.5
    assert skills["overallCompletion"] == 25


async def test_a_streak_is_explained_day_by_day(database_url: str) -> None:
    async with desk_at(database_url, Policy(streak_grace=True)) as desk:
        await desk.tell(*(judged(n, at=days_ago(n)) for n in (1, 2, 4, 7)))
        query = (
            f'{{ learningStreak({ADA}, calendar: {{from: "2026-11-16", to: "2026-11-24"}})'
            " { current freezesUsed explanation { date status dayOfStreak text { en ja } } } }"
        )
        streak = (await desk.ask(query))["learningStreak"]
    assert (streak["current"], streak["freezesUsed"]) == (3, 1)
    assert [(day["status"], day["dayOfStreak"]) for day in streak["explanation"]] == [
        ("ACTIVE", 1), ("MISSED", 0), ("MISSED", 0), ("ACTIVE", 1), ("BRIDGED", 1), ("ACTIVE", 2), ("ACTIVE", 3),
        ("PENDING", 0), ("AHEAD", 0),
    ]  # fmt: skip
    assert streak["explanation"][6]["text"] == {
        "en": "Active: day 3 of the streak.",
        "ja": "学習しました。ストリーク3日目です。",
    }


async def test_the_summary_tells_what_comes_next_and_what_was_achieved(desk: Desk) -> None:
    await desk.tell(
        *(judged(n, at=days_ago(n)) for n in range(6)),
        event(20, "learning.SessionCompleted", {"session_id": "s", "duration_seconds": 5400}),
    )
    query = (
        f"{{ userSummary({ADA}) {{ studyHours averageDailyMinutes consistency itemsLearned progressScore"
        " nextMilestone { type threshold level target progress } recentAchievements { type threshold achievedOn } } }"
    )
    summary = (await desk.ask(query))["userSummary"]
    assert (summary["studyHours"], summary["averageDailyMinutes"], summary["itemsLearned"]) == (1.5, 15, 1)
    assert summary["consistency"] == 20
    assert summary["nextMilestone"] == {
        "type": "CONSECUTIVE_DAYS", "threshold": 7, "level": None, "target": 7, "progress": 6
    }  # fmt: skip
    assert summary["recentAchievements"] == [
        {"type": "FIRST_SESSION", "threshold": 1, "achievedOn": "2026-11-23"}
    ]
    await desk.tell(event(30, "user.UserCreated", {}, learner="new"))
    fresh = (await desk.ask(query.replace("ada", "new")))["userSummary"]
    assert (fresh["nextMilestone"], fresh["recentAchievements"], fresh["progressScore"]) == (None, [], 0)


async def test_milestones_are_told_by_status(desk: Desk) -> None:
    await desk.tell(event(1, "learning.SessionCompleted", {"session_id": "s", "duration_seconds": 3600}))
    query = f"query($s: MilestoneStatus) {{ milestones({ADA}, status: $s) {{ type threshold progress status achievedOn }} }}"
    everything = (await desk.ask(query))["milestones"]
    assert len(everything) == 12
    achieved = (await desk.ask(query, s="ACHIEVED"))["milestones"]
    assert achieved == [
        {
            "type": "FIRST_SESSION",
            "threshold": 1,
            "progress": 1,
            "status": "ACHIEVED",
            "achievedOn": "2026-11-23",
        }
    ]
    begun = (await desk.ask(query, s="IN_PROGRESS"))["milestones"]
    assert {each["type"] for each in begun} == {"CONSECUTIVE_DAYS", "PERFECT_WEEK", "STUDY_HOURS"}
    untouched = (await desk.ask(query, s="NOT_STARTED"))["milestones"]
    assert {each["type"] for each in untouched} == {"ITEMS_MASTERED"}


async def test_performance_has_metrics_and_insights(desk: Desk) -> None:
    await desk.tell(
        *(judged(n, at=days_ago(n)) for n in range(7)),
        *(judged(10 + n, judgment=WRONG, at=days_ago(7 + n)) for n in range(2)),
        event(30, "algorithm.ReviewRecorded", {"item_id": "apple", "quality": 5, "is_correct": True,
              "review_type": "review", "previous_interval_days": 3}),
    )  # fmt: skip
    query = (
        f"query($p: Period!) {{ performanceMetrics({ADA}, period: $p) {{ period days reviews accuracy previousAccuracy"
        " accuracyTrend retention retentionMature activeDays consistency score insights { code text { en } } } }"
    )
    week = (await desk.ask(query, p="WEEK"))["performanceMetrics"]
    assert (week["days"], week["reviews"], week["activeDays"], week["consistency"]) == (7, 7, 7, 100)
    assert (week["accuracy"], week["previousAccuracy"], week["accuracyTrend"]) == (1, 0, "UP")
    assert (week["retention"], week["retentionMature"], week["score"]) == (1, None, 100)
    assert [i["code"] for i in week["insights"]] == ["ACCURACY_RISING", "STRONG_RETENTION", "CONSISTENT"]
    assert (await desk.ask(query, p="ALL"))["performanceMetrics"]["days"] == 9
    day = (await desk.ask(query, p="DAY"))["performanceMetrics"]
    assert (day["days"], day["activeDays"], day["consistency"]) == (1, 1, 100)


async def test_rows_of_a_read_model_have_types(desk: Desk) -> None:
    await desk.tell(judged(1), judged(2, judgment=WRONG))
    query = (
        f"query($name: String!) {{ readModel({ADA}, name: $name) {{ totalCount nodes {{ __typename"
        " ... on DailyStatsRow { learning_day reviews study_ms } ... on StreakRow { current last_active_day alive }"
        " ... on ItemStatsRow { item_id first_seen_at accuracy mastered } } } }"
    )
    assert (await desk.ask(query, name="daily_stats"))["readModel"]["nodes"] == [
        {"__typename": "DailyStatsRow", "learning_day": "2026-11-23", "reviews": 2, "study_ms": 0}
    ]
    assert (await desk.ask(query, name="streak"))["readModel"]["nodes"] == [
        {"__typename": "StreakRow", "current": 1, "last_active_day": "2026-11-23", "alive": True}
    ]
    [item] = (await desk.ask(query, name="item_stats"))["readModel"]["nodes"]
    assert item == {
        "__typename": "ItemStatsRow", "item_id": "apple", "first_seen_at": "2026-11-23T12:00:00Z", "accuracy": 0.5,
        "mastered": False,
    }  # fmt: skip


EVERYTHING = """
query($day: Date!, $asOf: AsOf) {
  dailyStats(userId: "ada", date: $day, asOf: $asOf) { reviews }
  weeklyTrend(userId: "ada", asOf: $asOf) { consistency weeks { reviews } recommendations { code } }
  monthlyStats(userId: "ada", months: 1, asOf: $asOf) { reviews }
  categoryProgress(userId: "ada", categoryType: LEVEL, asOf: $asOf) { overallCompletion categories { mastered } }
  itemProgress(userId: "ada", asOf: $asOf) { totalCount nodes { itemId reviews } edges { cursor } }
  learningStreak(userId: "ada", asOf: $asOf) { today current runs { days } calendar { reviews } }
  userSummary(userId: "ada", asOf: $asOf) { today reviews recentAchievements { type } }
  performanceMetrics(userId: "ada", asOf: $asOf) { reviews insights { code } }
  milestones(userId: "ada", status: IN_PROGRESS, asOf: $asOf) { type }
  readModel(userId: "ada", name: "daily_stats", asOf: $asOf) { rows totalCount nodes { ... on DailyStatsRow { reviews } } }
}
"""


async def test_every_question_can_be_asked_as_of_a_position(desk: Desk) -> None:
    """What was shown when the log ended there is shown for that position for ever."""
    at = datetime.now(UTC)
    shown: list[Any] = []
    for first, items in ((1, ("apple", "pear")), (3, ("apple", "fig"))):
        await tell_and_batch(desk, *(judged(first + n, item, at=at) for n, item in enumerate(items)))
        desk.now = await recorded(desk, first + 1)
        shown.append(await desk.ask(EVERYTHING, day=at.date().isoformat()))
    assert shown[0] != shown[1]
    desk.now += timedelta(days=40)
    for position, then in zip((2, 4), shown, strict=True):
        assert await desk.ask(EVERYTHING, day=at.date().isoformat(), asOf={"position": position}) == then


async def recorded(desk: Desk, position: int) -> datetime:
    """The instant at which the log received an event, which is the real clock's and not the desk's."""
    return await desk.world.pool.fetchval("SELECT recorded_at FROM log.events WHERE position = $1", position)


async def test_known_and_happened_differ_for_late_events(desk: Desk) -> None:
    await desk.tell(judged(1, at=days_ago(9)))
    query = f"query($asOf: AsOf) {{ userSummary({ADA}, asOf: $asOf) {{ today reviews }} }}"
    ask = {"reviews": 1, "today": "2026-11-20"}
    assert (await desk.ask(query, asOf={"happenedBy": "2026-11-20T00:00:00Z"}))["userSummary"] == ask
    assert (await desk.ask(query, asOf={"knownAt": "2020-01-01T00:00:00Z"}))["userSummary"]["reviews"] == 0
    assert (await desk.refused(query, asOf={"position": 99}))[0] == "POSITION_UNKNOWN"
    assert (await desk.refused(query, asOf={}))[0] == "BAD_USER_INPUT"
    assert (await desk.refused(query, asOf={"position": 1, "knownAt": "2020-01-01T00:00:00Z"}))[
        0
    ] == "BAD_USER_INPUT"
