"""What happens is seen without a reload: over the stream, and without it by looking again and again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect

REVIEWS = "query ($userId: ID!) { dailyStats(userId: $userId) { reviews } }"
JUDGED = "learning.CorrectnessJudged"


def reviews_today(ask: Callable[..., Any], learner: str) -> int:
    return ask(REVIEWS, userId=learner)["dailyStats"][0]["reviews"]


def judged() -> dict[str, Any]:
    return {"item_id": f"live-{uuid.uuid4().hex[:8]}", "judgment": "AutoConfirmed"}


def open_marked(visit: Callable[..., Page], learner: str) -> Page:
    """The learner's page with a mark that a reload would wipe out."""
    page = visit(f"?learner={learner}")
    page.evaluate("window.marked = true")
    return page


def test_a_review_is_seen_at_once_and_without_a_reload(
    visit: Callable[..., Page], ask: Callable[..., Any], tell: Callable[..., int], learner: str
) -> None:
    page = open_marked(visit, learner)
    expect(page.locator("#fresh")).to_contain_text("Live")
    before = reviews_today(ask, learner)
    for _ in range(2):
        tell(learner, JUDGED, judged())
    expect(page.locator('[data-figure="today.reviews"]')).to_have_text(f"{before + 2:,}")
    assert page.evaluate("window.marked")


def test_another_learners_events_do_not_concern_the_page(
    visit: Callable[..., Page], tell: Callable[..., int], learner: str
) -> None:
    page = open_marked(visit, learner)
    expect(page.locator("#fresh")).to_contain_text("Live")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    tell("somebody-else", JUDGED, judged())
    position = tell(learner, JUDGED, judged())
    expect(page.locator("#fresh")).to_contain_text(f"event {position:,}")
    assert len(sent) == 3, "one refresh"


def test_without_the_stream_the_page_looks_by_itself(
    visit: Callable[..., Page],
    ask: Callable[..., Any],
    tell: Callable[..., int],
    learner: str,
    complaints: list[str],
) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=404)

    page = visit("", ready=False)
    page.context.route("**/graphql/stream", refuse)
    page.clock.install()
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=ready]").wait_for()
    expect(page.locator("#fresh")).to_contain_text("Every 10 s")
    position = tell(learner, JUDGED, judged())
    ask(
        "query ($u: ID!, $p: Position) { userSummary(userId: $u, waitForPosition: $p) { reviews } }",
        u=learner,
        p=position,
    )
    reviews = reviews_today(ask, learner)
    page.clock.run_for(10_100)
    expect(page.locator('[data-figure="today.reviews"]')).to_have_text(f"{reviews:,}")
    complaints.clear()  # the browser notes the refusal


def test_a_stream_that_breaks_off_is_opened_again(
    visit: Callable[..., Page],
    ask: Callable[..., Any],
    tell: Callable[..., int],
    learner: str,
    complaints: list[str],
) -> None:
    page = visit("", ready=False)
    page.context.route("**/graphql/stream", lambda route: route.abort("connectionrefused"))
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=ready]").wait_for()
    expect(page.locator("#fresh")).to_contain_text("Every 10 s")
    page.context.unroute("**/graphql/stream")
    expect(page.locator("#fresh")).to_have_text(re.compile("^Live"))
    before = reviews_today(ask, learner)
    tell(learner, JUDGED, judged())
    expect(page.locator('[data-figure="today.reviews"]')).to_have_text(f"{before + 1:,}")
    complaints.clear()  # the browser notes the refused connections
