"""The calendar and the daily bars show every day, to the eye, to the keyboard and as a table."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from playwright.sync_api import Page, expect

TODAY = "query ($userId: ID!) { userSummary(userId: $userId) { today } }"
CALENDAR = """query ($userId: ID!, $year: DateRange!) {
  learningStreak(userId: $userId, calendar: $year) { calendar { date active reviews } }
}"""
DAYS = """query ($userId: ID!, $range: DateRange!) {
  dailyStats(userId: $userId, dateRange: $range) { date correct incorrect sessions studyTime { seconds } }
}"""

DATES = "marks => marks.map(mark => mark.dataset.date)"


def today_of(ask: Callable[..., Any], learner: str) -> date:
    return date.fromisoformat(ask(TODAY, userId=learner)["userSummary"]["today"])


def calendar_of(ask: Callable[..., Any], learner: str) -> list[dict[str, Any]]:
    """The year the page shows: 52 whole weeks, from Monday on, and the days of this one."""
    today = today_of(ask, learner)
    first = today - timedelta(days=today.weekday(), weeks=52)
    year = {"from": first.isoformat(), "to": today.isoformat()}
    return ask(CALENDAR, userId=learner, year=year)["learningStreak"]["calendar"]


def days_of(ask: Callable[..., Any], learner: str, count: int) -> list[dict[str, Any]]:
    today = today_of(ask, learner)
    first = today - timedelta(days=count - 1)
    days = {"from": first.isoformat(), "to": today.isoformat()}
    return ask(DAYS, userId=learner, range=days)["dailyStats"]


def tooltip(page: Page, chart: str) -> list[str]:
    return page.locator(f"{chart} .tooltip").inner_text().splitlines()


def test_the_calendar_has_a_square_for_every_day(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    calendar = calendar_of(ask, learner)
    active = [day["date"] for day in calendar if day["active"]]
    assert active
    cells = page.locator("#calendar .heatmap [data-date]")
    assert cells.evaluate_all(DATES) == [day["date"] for day in calendar]
    shaded = page.locator("#calendar .heatmap [data-date]:not(.shade-0)")
    assert shaded.evaluate_all(DATES) == active


def test_pointing_at_a_square_tells_its_day(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    day = next(day for day in reversed(calendar_of(ask, learner)) if day["reviews"] > 1)
    page.locator(f'#calendar [data-date="{day["date"]}"]').hover()
    title, reviews, *_ = tooltip(page, "#calendar")
    when = date.fromisoformat(day["date"])
    assert f"{when.day} {when:%b}" in title
    assert str(when.year) in title
    assert reviews == f"{day['reviews']:,} reviews"
    page.mouse.move(0, 0)
    page.locator("#calendar .tooltip").wait_for(state="hidden")


def test_arrow_keys_walk_the_calendar(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#calendar [data-surface]").focus()
    cells = page.locator("#calendar .heatmap [data-date]").evaluate_all(DATES)
    pointed = page.locator("#calendar .pointed")
    for key, index in [("Home", 0), ("ArrowRight", 7), ("ArrowDown", 8), ("ArrowLeft", 1), ("End", -1)]:
        page.keyboard.press(key)
        assert pointed.get_attribute("data-date") == cells[index]
        assert tooltip(page, "#calendar")
    page.keyboard.press("Escape")
    page.locator("#calendar .tooltip").wait_for(state="hidden")


def test_the_calendar_can_be_shaded_by_study_time(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#shade").get_by_label("Study time").check()
    shaded = page.locator("#calendar .heatmap [data-date]:not(.shade-0)")
    assert shaded.count() == sum(day["active"] for day in calendar_of(ask, learner))
    assert page.locator("#calendar .shade-4[data-date]").count() > 0


def test_bars_show_the_days_asked_for(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    assert page.locator("#days .column").count() == 30
    for count in (90, 7):
        page.locator("#span").get_by_label(f"{count} days").check()
        expect(page.locator("#days .column")).to_have_count(count)
        days = days_of(ask, learner, count)
        columns = page.locator("#days .column")
        assert columns.evaluate_all(DATES) == [day["date"] for day in days]
        for kind in ("correct", "incorrect"):
            drawn = page.locator(f"#days .column:has(.{kind})").evaluate_all(DATES)
            assert drawn == [day["date"] for day in days if day[kind] > 0]


def test_bars_are_as_high_as_their_figures(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    days = {day["date"]: day["correct"] for day in days_of(ask, learner, 30) if day["correct"] > 0}
    heights = page.locator("#days .column:has(.correct)").evaluate_all(
        "columns => columns.map(column => "
        "[column.dataset.date, column.querySelector('.correct').getBBox().height])"
    )
    assert len(days) > 1
    top, height = max(heights, key=lambda one: days[one[0]])
    for day, shown in heights:
        assert abs(shown - height * days[day] / days[top]) < 0.1


def test_arrow_keys_walk_the_bars(visit: Callable[..., Page], ask: Callable[..., Any], learner: str) -> None:
    page = visit(f"?learner={learner}")
    days = days_of(ask, learner, 30)
    back = next(steps for steps, day in enumerate(reversed(days)) if day["correct"] and steps)
    page.locator("#days [data-surface]").focus()
    page.keyboard.press("End")
    for _ in range(back):
        page.keyboard.press("ArrowLeft")
    day = days[-1 - back]
    assert page.locator("#days .pointed").get_attribute("data-date") == day["date"]
    told = f"{day['correct']:,} correct, {day['incorrect']:,} incorrect"
    assert tooltip(page, "#days")[1].startswith(told)


def test_charts_can_be_read_as_tables(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    page.get_by_text("Active days as a table").click()
    active = [day for day in calendar_of(ask, learner) if day["active"]]
    rows = page.locator("#calendar tbody tr")
    expect(rows).to_have_count(len(active))
    assert rows.first.locator("td").first.inner_text() == f"{active[-1]['reviews']:,}"
    page.get_by_text("Days as a table", exact=True).click()
    expect(page.locator("#days tbody tr")).to_have_count(30)
