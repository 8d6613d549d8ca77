"""What the page says when there is nothing to show, when the service fails, and as time passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Request, Route, expect

HIDDEN = """
Object.defineProperty(document, "visibilityState", { get: () => window.seen ?? "visible" });
"""


def unreachable(route: Route) -> None:
    route.abort("connectionrefused")


def answering(change: Callable[[dict[str, Any]], None]) -> Callable[[Route], None]:
    """A route that lets the service answer, and changes what it said."""

    def handle(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        change(answer["data"])
        route.fulfill(response=response, body=json.dumps(answer))

    return handle


def pages_asked(page: Page) -> list[str]:
    """The names of the operations sent, from now on."""
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/graphql") and request.method == "POST":
            sent.append(json.loads(request.post_data or "{}")["operationName"])

    page.on("request", note)
    return sent


def test_an_unknown_learner_is_said_to_be_unknown(visit: Callable[..., Page], complaints: list[str]) -> None:
    page = visit("?learner=nobody-here", ready=False)
    page.locator("main[data-state=unknown]").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "No learner “nobody-here”"
    assert page.locator("#page").is_hidden()
    assert page.locator("main").get_attribute("aria-busy") == "false"
    complaints.clear()  # the browser notes a refusal in its console when its status is not 2xx


def test_a_service_that_is_down_is_said_and_tried_again(
    visit: Callable[..., Page], learner: str, complaints: list[str]
) -> None:
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    page.context.route("**/graphql", unreachable)
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=failed]").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "The service does not answer"
    page.context.unroute("**/graphql")
    page.get_by_role("button", name="Try again").click()
    page.locator("main[data-state=ready]").wait_for()
    assert page.locator("#name").inner_text() == learner
    complaints.clear()  # the browser notes the refused connections


def test_figures_stay_under_a_warning_while_the_service_is_down(
    visit: Callable[..., Page], learner: str, complaints: list[str]
) -> None:
    page = visit(f"?learner={learner}")
    reviews = page.locator('[data-figure="total.reviews"]').inner_text()
    page.context.route("**/graphql", unreachable)
    page.locator("#filter [value=MASTERED]").check()
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("may be out of date")
    assert page.locator('[data-figure="total.reviews"]').inner_text() == reviews
    page.context.unroute("**/graphql")
    banner.get_by_role("button", name="Try again").click()
    expect(banner).to_be_hidden()
    complaints.clear()  # the browser notes the refused connections


def test_a_refusal_is_told_in_the_services_words(visit: Callable[..., Page], learner: str) -> None:
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    refusal = {"errors": [{"message": "Too many requests", "extensions": {"code": "RATE"}}]}
    page.context.route("**/graphql", lambda route: route.fulfill(json=refusal))
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=failed]").wait_for()
    assert page.locator("#message-body").inner_text() == "Too many requests"


def test_a_learner_without_activity_is_told_so(visit: Callable[..., Page], learner: str) -> None:
    def forget(data: dict[str, Any]) -> None:
        if "learningStreak" in data:
            data["userSummary"] |= {"firstActiveDay": None, "totalActiveDays": 0, "itemsSeen": 0}

    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    page.context.route("**/graphql", answering(forget))
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=idle]").wait_for()
    assert learner in page.get_by_role("heading", level=1).inner_text()
    page.context.unroute("**/graphql")


def test_a_refresh_leaves_the_reader_where_they_are(visit: Callable[..., Page], learner: str) -> None:
    def count_on(data: dict[str, Any]) -> None:
        if "userSummary" in data:
            data["userSummary"]["reviews"] = 7654321

    page = visit(f"?learner={learner}")
    page.get_by_text("Active days as a table").click()
    page.locator("#days [data-surface]").focus()
    page.keyboard.press("Home")
    page.context.route("**/graphql", answering(count_on))
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator('[data-figure="total.reviews"]')).to_have_text("7,654,321")
    expect(page.locator("#calendar tbody tr").first).to_be_visible()
    expect(page.locator("#days [data-surface]")).to_be_focused()
    expect(page.locator("#days .pointed")).to_have_attribute("data-index", "0")
    page.context.unroute("**/graphql")


def test_a_refreshed_welcome_keeps_the_focus(visit: Callable[..., Page]) -> None:
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    page.locator("#learners a").nth(1).focus()
    with page.expect_response("**/graphql"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator("#learners a").nth(1)).to_be_focused()


def test_a_hidden_page_asks_for_nothing_until_it_is_seen(visit: Callable[..., Page], learner: str) -> None:
    page = visit("", ready=False, script=HIDDEN)
    page.locator("main[data-state=welcome]").wait_for()
    page.clock.install()
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=ready]").wait_for()
    page.evaluate("window.seen = 'hidden'")
    sent = pages_asked(page)
    page.clock.run_for(60_000)
    assert sent == []
    with page.expect_response("**/graphql"):
        page.evaluate("window.seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))")
    page.locator("main[data-state=ready]").wait_for()
    assert sent == ["Page", "Progress", "Items"]


def test_a_day_that_ends_while_the_page_is_open_is_noticed(visit: Callable[..., Page], learner: str) -> None:
    """The first answer names yesterday as today; the page asks again for the real one."""
    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()

    def yesterday(data: dict[str, Any]) -> None:
        if "today" in data.get("userSummary", {}) and "learningStreak" not in data:
            data["userSummary"]["today"] = "2020-02-29"

    page.context.route("**/graphql", answering(yesterday))
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=ready]").wait_for()
    today = page.locator("#today").get_attribute("datetime")
    assert today != "2020-02-29"
    assert page.locator("#calendar [data-date]").last.get_attribute("data-date") == today
    page.context.unroute("**/graphql")
