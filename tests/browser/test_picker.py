"""Choosing a learner: from the welcome, by keyboard alone, through the address and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

LEARNERS = """query ($search: String, $first: Int!) {
  learners(search: $search, first: $first) { userId }
}"""


def learners(ask: Callable[..., Any], first: int, search: str | None = None) -> list[str]:
    rows = ask(LEARNERS, search=search, first=first)["learners"]
    return [row["userId"] for row in rows]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab, as a keyboard user does, until `selector` has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab reaches {selector}")


def test_without_a_learner_the_page_offers_some(visit: Callable[..., Page], ask: Callable[..., Any]) -> None:
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    offered = page.locator("#learners .id").all_inner_texts()
    assert offered == learners(ask, 12)
    page.locator("#learners a").first.click()
    page.locator("main[data-state=ready], main[data-state=idle]").wait_for()
    assert page.url.endswith(f"?learner={offered[0]}")


def test_the_picker_works_by_keyboard_alone(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    tab_to(page, "#learner")
    page.keyboard.type(learner)
    option = page.get_by_role("option")
    expect(option).to_have_count(min(8, len(learners(ask, 8, learner))))
    page.keyboard.press("ArrowDown")
    picked = option.first
    expect(picked).to_have_attribute("aria-selected", "true")
    combobox = page.get_by_role("combobox")
    assert combobox.get_attribute("aria-activedescendant") == picked.get_attribute("id")
    page.keyboard.press("Enter")
    page.locator("main[data-state=ready]").wait_for()
    assert page.locator("#name").inner_text() == learner
    assert f"learner={learner}" in page.url
    assert combobox.get_attribute("aria-expanded") == "false"


def test_escape_closes_the_suggestions(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}")
    tab_to(page, "#learner")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("Escape")
    page.locator("#suggestions").wait_for(state="hidden")
    assert page.locator("#name").inner_text() == learner


def test_suggestions_are_those_of_the_search(visit: Callable[..., Page], ask: Callable[..., Any]) -> None:
    searched = learners(ask, 20)[-1][-2:]
    page = visit("", ready=False)
    page.get_by_role("combobox").fill(searched)
    wanted = learners(ask, 8, searched)
    expect(page.locator("#suggestions .id")).to_have_text(wanted)


def test_a_suggestion_can_be_clicked(visit: Callable[..., Page], learner: str) -> None:
    page = visit("", ready=False)
    page.get_by_role("combobox").fill(learner)
    page.get_by_role("option", name=re.compile(f"^{re.escape(learner)}")).click()
    page.locator("main[data-state=ready]").wait_for()
    assert page.locator("#name").inner_text() == learner


def test_back_returns_to_the_learner_before(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    other = next(one for one in learners(ask, 20) if one != learner)
    page = visit(f"?learner={learner}")
    box = page.get_by_role("combobox")
    box.fill(other)
    page.get_by_role("option").first.wait_for()
    box.press("Enter")
    expect(page.locator("#name")).to_have_text(other)
    page.go_back()
    expect(page.locator("#name")).to_have_text(learner)
    expect(box).to_have_value(learner)
    expect(page).to_have_title(re.compile(f"^{re.escape(learner)}"))
