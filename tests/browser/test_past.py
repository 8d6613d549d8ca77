"""Any past moment: asked of the service, clearly told, and left again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

FIGURES = """query ($userId: ID!, $asOf: AsOf) {
  userSummary(userId: $userId, asOf: $asOf) { today reviews totalActiveDays itemsSeen }
  learningStreak(userId: $userId, asOf: $asOf) { current longest }
}"""


@pytest.fixture(scope="module")
def then() -> str:
    """Noon of a day a month ago."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return f"{noon - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"


def figure(page: Page, name: str) -> Any:
    return expect(page.locator(f'[data-figure="{name}"]'))


def test_the_past_shows_the_figures_of_that_moment(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str, then: str
) -> None:
    past = ask(FIGURES, userId=learner, asOf={"happenedBy": then})
    now = ask(FIGURES, userId=learner)
    assert 0 < past["userSummary"]["reviews"] < now["userSummary"]["reviews"]
    page = visit(f"?learner={learner}&happenedBy={then}")
    figure(page, "total.reviews").to_have_text(f"{past['userSummary']['reviews']:,}")
    figure(page, "streak.current").to_have_text(f"{past['learningStreak']['current']:,}")
    expect(page.locator("#today")).to_have_attribute("datetime", past["userSummary"]["today"])
    expect(page.locator("#items-shown")).to_contain_text(f"of {past['userSummary']['itemsSeen']:,}")
    assert (
        page.locator("#calendar [data-date]").last.get_attribute("data-date") == past["userSummary"]["today"]
    )


def test_the_past_is_told_and_left_by_one_button(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str, then: str
) -> None:
    page = visit(f"?learner={learner}&happenedBy={then}")
    day = date.fromisoformat(then[:10])
    expect(page.locator("#past-text")).to_contain_text(f"The past: what had happened by {day.day} ")
    expect(page.locator("#fresh")).to_have_text("Not live")
    assert page.evaluate("document.documentElement.hasAttribute('data-past')")
    page.get_by_role("button", name="Back to now").click()
    figure(page, "total.reviews").to_have_text(f"{ask(FIGURES, userId=learner)['userSummary']['reviews']:,}")
    expect(page.locator("#past")).to_be_hidden()
    assert not page.evaluate("document.documentElement.hasAttribute('data-past')")
    assert page.url.endswith(f"?learner={learner}")


def test_a_moment_is_chosen_by_keyboard_and_browser_history_keeps_it(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str, then: str
) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#look-back").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#at")).to_be_focused()
    page.locator("#ways [value=happenedBy]").check()
    page.locator("#at").fill(then[:16])
    past = ask(FIGURES, userId=learner, asOf={"happenedBy": then})
    figure(page, "total.reviews").to_have_text(f"{past['userSummary']['reviews']:,}")
    page.get_by_role("button", name="A day earlier").click()
    before = datetime.fromisoformat(then) - timedelta(days=1)
    expect(page).to_have_url(re.compile(f"happenedBy={before:%Y-%m-%d}T12"))
    earlier = ask(FIGURES, userId=learner, asOf={"happenedBy": before.isoformat()})
    figure(page, "total.reviews").to_have_text(f"{earlier['userSummary']['reviews']:,}")
    page.go_back()
    figure(page, "total.reviews").to_have_text(f"{past['userSummary']['reviews']:,}")
    page.get_by_role("button", name="A day later").click()
    expect(page).not_to_have_url(re.compile(f"happenedBy={then[:10]}"))


def test_what_was_known_before_the_first_event_is_nothing(
    visit: Callable[..., Page], learner: str, then: str
) -> None:
    page = visit(f"?learner={learner}&knownAt={then}", ready=False)
    page.locator("main[data-state=idle]").wait_for()
    expect(page.locator("#message-title")).to_have_text(f"{learner} had not studied yet")
    expect(page.locator("#past-text")).to_contain_text("what was known on")
    page.get_by_role("button", name="Back to now").click()
    page.locator("main[data-state=ready]").wait_for()


def test_what_is_known_later_does_not_change_what_was_known(
    visit: Callable[..., Page], ask: Callable[..., Any], tell: Callable[..., int], learner: str
) -> None:
    known = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    before = ask(FIGURES, userId=learner, asOf={"knownAt": known})["userSummary"]["reviews"]
    tell(learner, "learning.CorrectnessJudged", {"item_id": "later", "judgment": "AutoConfirmed"})
    page = visit(f"?learner={learner}&knownAt={known}")
    figure(page, "total.reviews").to_have_text(f"{before:,}")


def test_the_past_is_not_followed(visit: Callable[..., Page], learner: str, then: str) -> None:
    page = visit(f"?learner={learner}&happenedBy={then}")
    page.clock.install()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.clock.run_for(120_000)
    assert sent == []
