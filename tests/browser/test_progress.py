"""Weeks, skills, levels, performance, milestones, and why the streak is what it is: the service's figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

PROGRESS = """query ($userId: ID!) {
  weeklyTrend(userId: $userId, weeks: 16) {
    trend weeks { week reviewsPerDay trend } recommendations { code text { en ja } }
  }
  skills: categoryProgress(userId: $userId, categoryType: DOMAIN) { categories { name mastered totalItems progress } }
  levels: categoryProgress(userId: $userId, categoryType: LEVEL) {
    categories { name mastered totalItems progress estimatedCompletion }
  }
  milestones(userId: $userId) { type threshold status achievedOn progress target }
  performanceMetrics(userId: $userId, period: QUARTER) { score retention onTime insights { code text { en } } }
}"""
WHY = """query ($userId: ID!) {
  learningStreak(userId: $userId) { current today runs { from } explanation { date status text { en } } }
}"""
STREAKS = "query ($userId: ID!) { learningStreak(userId: $userId) { current } }"

Ask = Callable[..., Any]


def percent(value: float) -> str:
    return f"{value + 1e-9:.0f}%"


def test_weeks_are_the_services_with_their_trends(visit: Callable[..., Page], ask: Ask, learner: str) -> None:
    page = visit(f"?learner={learner}")
    trend = ask(PROGRESS, userId=learner)["weeklyTrend"]
    columns = page.locator("#weeks .column")
    assert columns.evaluate_all("all => all.map(one => one.dataset.week)") == [
        w["week"] for w in trend["weeks"]
    ]
    heights = columns.evaluate_all(
        "all => all.map(one => one.querySelector('.correct')?.getBBox().height ?? 0)"
    )
    top = max(range(16), key=lambda index: trend["weeks"][index]["reviewsPerDay"])
    for height, week in zip(heights, trend["weeks"], strict=True):
        share = week["reviewsPerDay"] / trend["weeks"][top]["reviewsPerDay"]
        assert abs(height - heights[top] * share) < 0.5
    expect(page.locator("#week-trend")).to_contain_text(
        {"UP": "more than before", "STABLE": "as before", "DOWN": "less than before"}[trend["trend"]]
    )
    advice = [one["text"]["en"] for one in trend["recommendations"]]
    assert page.locator("#advice li").all_inner_texts() == advice


def test_arrow_keys_walk_the_weeks_and_a_table_tells_the_same(
    visit: Callable[..., Page], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#weeks [data-surface]").focus()
    page.keyboard.press("Home")
    expect(page.locator("#weeks .tooltip")).to_contain_text("Week of")
    expect(page.locator("#weeks .pointed")).to_have_attribute("data-index", "0")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#weeks .pointed")).to_have_attribute("data-index", "1")
    page.get_by_text("Weeks as a table").click()
    expect(page.locator("#weeks tbody tr")).to_have_count(16)


def test_skills_and_levels_show_their_shares(visit: Callable[..., Page], ask: Ask, learner: str) -> None:
    page = visit(f"?learner={learner}")
    answer = ask(PROGRESS, userId=learner)
    for kind in ("skills", "levels"):
        rows = page.locator(f"#{kind} li")
        categories = answer[kind]["categories"]
        assert rows.evaluate_all("all => all.map(one => one.dataset.category)") == [
            c["name"] for c in categories
        ]
        for row, category in zip(rows.all(), categories, strict=True):
            expect(row.locator(".share")).to_have_text(percent(category["progress"]))
            expect(row).to_contain_text(f"{category['mastered']:,} of {category['totalItems']:,} mastered")
    paced = [one["name"] for one in answer["levels"]["categories"] if one["estimatedCompletion"]]
    expect(page.locator("#levels li", has_text="done about")).to_have_count(len(paced))


def test_performance_follows_the_period(visit: Callable[..., Page], ask: Ask, learner: str) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#period [value=QUARTER]").check()
    metrics = ask(PROGRESS, userId=learner)["performanceMetrics"]
    insights = [one["text"]["en"] for one in metrics["insights"]]
    expect(page.locator("#insights li")).to_have_text(insights or ["Nothing stands out."])
    expect(page.locator("[data-metric=score] dd").first).to_have_text(f"{metrics['score']:.0f}")
    expect(page.locator("[data-metric=retention] dd").first).to_have_text(percent(metrics["retention"] * 100))


def test_milestones_are_achieved_or_next(visit: Callable[..., Page], ask: Ask, learner: str) -> None:
    page = visit(f"?learner={learner}")
    milestones = ask(PROGRESS, userId=learner)["milestones"]
    achieved = sorted((one["achievedOn"] for one in milestones if one["status"] == "ACHIEVED"), reverse=True)
    assert achieved
    shown = page.locator("#milestones-achieved time")
    assert shown.evaluate_all("all => all.map(one => one.dateTime)") == achieved
    nearest = max(
        (one for one in milestones if one["status"] != "ACHIEVED"),
        key=lambda one: one["progress"] / one["target"],
    )
    expect(page.locator("#milestones-next li").first).to_have_attribute("data-type", nearest["type"])


def test_the_streak_is_explained_day_by_day(visit: Callable[..., Page], ask: Ask, learner: str) -> None:
    ids = [row["userId"] for row in ask("{ learners(first: 30) { userId } }")["learners"]]
    current = {one: ask(STREAKS, userId=one)["learningStreak"]["current"] for one in ids}
    alive = min((one for one in ids if 1 < current[one] < 50), key=lambda one: current[one], default=None)
    assert alive, "some sample learner has a streak"
    page = visit(f"?learner={alive}")
    page.get_by_text(f"Why is my streak {current[alive]}?").click()
    days = page.locator("#why-days li")
    expect(days.first).to_be_visible()
    streak = ask(WHY, userId=alive)["learningStreak"]
    told = [day for day in streak["explanation"] if day["date"] >= days.last.get_attribute("data-date")]
    assert days.evaluate_all("all => all.map(one => one.dataset.date)") == [
        day["date"] for day in reversed(told)
    ]
    assert days.last.get_attribute("class") == "missed", "it begins after a missed day"
    assert days.first.locator("span").inner_text() == told[-1]["text"]["en"]
    assert sum(day["status"] == "ACTIVE" for day in told) == current[alive]
