"""The figures on the page are the service's, on the learner's days, in the viewer's language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

FIGURES = """query ($userId: ID!) {
  userSummary(userId: $userId) {
    today sessions reviews accuracy studySeconds totalActiveDays itemsMastered itemsSeen
  }
  learningStreak(userId: $userId) { current longest }
  dailyStats(userId: $userId) {
    reviews accuracy sessions newItems itemsMastered studyTime { seconds }
  }
}"""

NOTHING = "\N{EN DASH}"


def figure(page: Page, name: str) -> str:
    return page.locator(f'[data-figure="{name}"]').inner_text()


def value(page: Page, name: str) -> float | None:
    shown = page.locator(f'[data-figure="{name}"]').get_attribute("data-value")
    return None if shown is None else float(shown)


def percent(ratio: float | None) -> str:
    # Half a percent goes up, in the decimal digits of the ratio, as the page's formatter does.
    if ratio is None:
        return NOTHING
    return f"{(Decimal(repr(ratio)) * 100).quantize(Decimal(1), ROUND_HALF_UP)}%"


def test_totals_are_those_of_the_service(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    summary = ask(FIGURES, userId=learner)["userSummary"]
    assert summary["reviews"] > 0
    assert page.locator("#name").inner_text() == learner
    assert figure(page, "total.reviews") == f"{summary['reviews']:,}"
    assert figure(page, "total.sessions") == f"{summary['sessions']:,}"
    assert figure(page, "total.activeDays") == f"{summary['totalActiveDays']:,}"
    assert figure(page, "total.itemsMastered") == f"{summary['itemsMastered']:,}"
    assert figure(page, "total.accuracy") == percent(summary["accuracy"])
    assert value(page, "total.studyTime") == summary["studySeconds"]
    assert f"{summary['itemsSeen']:,} items seen" in figure(page, "total.mastery")


def test_today_and_the_streak_are_those_of_the_service(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    answer = ask(FIGURES, userId=learner)
    (today,) = answer["dailyStats"]
    assert figure(page, "today.reviews") == f"{today['reviews']:,}"
    assert figure(page, "today.sessions") == f"{today['sessions']:,}"
    assert figure(page, "today.newItems") == f"{today['newItems']:,}"
    assert figure(page, "today.itemsMastered") == f"{today['itemsMastered']:,}"
    assert figure(page, "today.accuracy") == percent(today["accuracy"])
    assert value(page, "today.studyTime") == today["studyTime"]["seconds"]
    assert figure(page, "streak.current") == f"{answer['learningStreak']['current']:,}"
    assert f"Longest: {answer['learningStreak']['longest']:,} day" in figure(page, "streak.longest")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_days_are_the_learners_wherever_the_viewer_sits(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str, zone: str
) -> None:
    page = visit(f"?learner={learner}", timezone_id=zone)
    today = ask(FIGURES, userId=learner)["userSummary"]["today"]
    shown = page.locator("#today")
    assert shown.get_attribute("datetime") == today
    assert f"{date.fromisoformat(today):%A}" in shown.inner_text()
    assert f"{date.fromisoformat(today).day} " in shown.inner_text()
    assert page.locator("#calendar [data-date]").last.get_attribute("data-date") == today


def test_the_page_speaks_japanese_when_asked(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}&lang=ja")
    assert page.locator("html").get_attribute("lang") == "ja"
    assert page.locator("#streak-title").inner_text() == "連続学習"
    page.get_by_role("link", name="English").click()
    expect(page.locator("#streak-title")).to_have_text("Streak")
    assert page.locator("#name").inner_text() == learner


def test_the_language_follows_the_browser(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}", locale="ja-JP")
    expect(page.locator("html")).to_have_attribute("lang", "ja")


def test_every_text_exists_in_every_language(visit: Callable[..., Page]) -> None:
    page = visit("", ready=False)
    names = page.evaluate(
        """async () => {
          const { languages } = await import("./texts.js");
          return Object.values(languages).map((texts) => Object.keys(texts).sort());
        }"""
    )
    assert len(names) > 1
    assert all(one == names[0] for one in names)
