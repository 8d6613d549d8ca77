"""The items table: the service's items, filtered and paged by cursor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

FILTERS = ["ALL", "STRUGGLING", "MASTERED", "IN_PROGRESS", "OVERDUE"]

ITEMS = """query ($userId: ID!, $filter: ItemFilter, $after: String) {
  itemProgress(userId: $userId, filter: $filter, first: 20, after: $after) {
    totalCount
    nodes { itemId spelling reviews mastered }
    pageInfo { hasNextPage endCursor }
  }
}"""

TO = "\N{EN DASH}"


def items(
    ask: Callable[..., Any], learner: str, chosen: str = "ALL", after: str | None = None
) -> dict[str, Any]:
    return ask(ITEMS, userId=learner, filter=chosen, after=after)["itemProgress"]


def expect_items(page: Page, answer: dict[str, Any]) -> None:
    """The table shows exactly the items of `answer`, in its order."""
    page.wait_for_function(
        "ids => JSON.stringify(ids) === "
        "JSON.stringify([...document.querySelectorAll('#items tr')].map(row => row.dataset.item))",
        arg=[node["itemId"] for node in answer["nodes"]],
    )


def test_rows_are_the_services_items(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    answer = items(ask, learner)
    expect_items(page, answer)
    names = [node["spelling"] or node["itemId"] for node in answer["nodes"]]
    assert page.locator("#items .spelling").all_inner_texts() == names
    reviews = page.locator("#items tr td:nth-of-type(3)").all_inner_texts()
    assert reviews == [f"{node['reviews']:,}" for node in answer["nodes"]]
    marked = page.locator("#items tr:has(.chip.mastered)").count()
    assert marked == sum(node["mastered"] for node in answer["nodes"])


def test_pages_follow_the_cursor(visit: Callable[..., Page], ask: Callable[..., Any], learner: str) -> None:
    first = items(ask, learner)
    assert first["pageInfo"]["hasNextPage"], "paging needs a learner with more than 20 items"
    second = items(ask, learner, after=first["pageInfo"]["endCursor"])
    page = visit(f"?learner={learner}")
    shown = page.locator("#items-shown")
    following = page.get_by_role("button", name="Next")
    previous = page.get_by_role("button", name="Previous")
    expect(previous).to_be_disabled()
    following.click()
    expect_items(page, second)
    last = 20 + len(second["nodes"])
    expect(shown).to_have_text(f"21{TO}{last} of {first['totalCount']:,}")
    previous.click()
    expect_items(page, first)
    expect(shown).to_have_text(f"1{TO}20 of {first['totalCount']:,}")


def test_next_ends_at_the_last_page(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    following = page.get_by_role("button", name="Next")
    answer = items(ask, learner)
    while answer["pageInfo"]["hasNextPage"]:
        following.click()
        answer = items(ask, learner, after=answer["pageInfo"]["endCursor"])
        expect_items(page, answer)
    expect(following).to_be_disabled()


@pytest.mark.parametrize("chosen", FILTERS[1:])
def test_a_filter_shows_its_items_from_the_first_page(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str, chosen: str
) -> None:
    page = visit(f"?learner={learner}")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#items-shown")).to_have_text(re.compile(f"^21{TO}"))
    page.locator(f"#filter [value={chosen}]").check()
    answer = items(ask, learner, chosen)
    expect_items(page, answer)
    expect(page.locator("#no-items")).to_be_visible(visible=not answer["nodes"])


def test_the_filter_works_by_keyboard_alone(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#filter [value=ALL]").focus()
    for chosen in FILTERS[1:]:
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#filter [value={chosen}]")).to_be_checked()
        expect_items(page, items(ask, learner, chosen))


def test_a_search_finds_items_by_their_spelling(
    visit: Callable[..., Page], ask: Callable[..., Any], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    word = next(node["spelling"] for node in items(ask, learner)["nodes"] if node["spelling"])
    page.get_by_role("searchbox", name="Search items").fill(word[1:4].upper())
    answer = ask(
        "query ($u: ID!, $s: String) {"
        " itemProgress(userId: $u, search: $s) { totalCount nodes { itemId spelling } } }",
        u=learner, s=word[1:4],
    )["itemProgress"]  # fmt: skip
    expect_items(page, answer)
    assert 0 < answer["totalCount"] < items(ask, learner)["totalCount"]
    assert all(word[1:4] in (node["spelling"] + node["itemId"]).lower() for node in answer["nodes"])
    page.get_by_role("searchbox", name="Search items").fill("no such item")
    expect(page.locator("#no-items")).to_have_text("No items here.")
