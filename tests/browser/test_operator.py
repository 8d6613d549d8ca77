"""The operator's page: how the system stands, look by look, what waits for somebody, and the log's events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route, expect

from waiting import eventually

SYSTEM = """{ system {
  healthy head workers readModels { name version lagEvents } leases { name held holder } snapshots { count position }
} }"""
EVENTS = """query ($userId: ID, $type: String, $before: Position, $first: Int) {
  events(userId: $userId, type: $type, before: $before, first: $first) { position type userId id data }
}"""
COMPLETED = "learning.SessionCompleted"

Ask = Callable[..., Any]
Visit = Callable[..., Page]


def ill(data: dict[str, Any]) -> None:
    """What a system says in which everything is wrong."""
    system = data.get("system")
    if system is None:
        return
    at = system["at"]
    system |= {
        "healthy": False,
        "problems": [{"code": "dead-letters", "message": "2 dead letters wait: `dead-letters list`"}],
        "parkedCount": 1,
        "parked": [
            {"position": 77, "userId": "ada", "type": COMPLETED, "reason": "integer out of range", "attempts": 2,
             "parkedAt": at},
        ],
        "deadLetterCount": 2,
        "deadLetters": [
            {"letter": letter, "subscription": "projects/p/subscriptions/progress-command-learning-events",
             "code": "invalid_event", "path": "data.item_id", "attempts": 3, "size": 1234, "lastSeenAt": at}
            for letter in (9, 8)
        ],
        "builds": [
            {"build": 3, "kind": "rebuild", "readModels": ["daily_stats"], "alive": True, "catchingUp": False,
             "startedAt": at, "done": 25, "total": 100},
        ],
    }  # fmt: skip


def changed(change: Callable[[dict[str, Any]], None]) -> Callable[[Route], None]:
    def handle(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        change(answer["data"])
        route.fulfill(response=response, body=json.dumps(answer))

    return handle


def tile(page: Page, name: str) -> Any:
    return expect(page.locator(f"[data-tile={name}] dd").first)


def positions(page: Page) -> list[int]:
    shown = page.locator("#events > li").evaluate_all("all => all.map(one => Number(one.dataset.position))")
    return [int(one) for one in shown]


def expect_events(page: Page, events: list[dict[str, Any]]) -> None:
    wanted = [event["position"] for event in events]
    expect(page.locator("#events > li")).to_have_count(len(wanted))
    eventually(lambda: positions(page) == wanted)


def test_the_page_shows_how_the_system_stands(visit: Visit, ask: Ask) -> None:
    page = visit("operator")
    system = ask(SYSTEM)["system"]
    assert system["healthy"]
    expect(page.locator("#verdict-title")).to_have_text("All is well")
    tile(page, "headPosition").to_have_text(f"{system['head']:,}")
    tile(page, "workersAlive").to_have_text(str(system["workers"]))
    rows = page.locator("#read-models tr")
    assert rows.evaluate_all("all => all.map(one => one.dataset.model)") == [
        m["name"] for m in system["readModels"]
    ]
    assert rows.locator("code").all_inner_texts() == [model["version"] for model in system["readModels"]]
    for lease in system["leases"]:
        expect(page.locator("#work .well", has_text=lease["name"]).first).to_contain_text(lease["holder"])
    expect(page).to_have_title("Operations · Progress")


def test_looks_add_up_to_a_history(visit: Visit, tell: Callable[..., int], learner: str) -> None:
    page = visit("operator")
    position = tell(learner, "learning.CorrectnessJudged", {"item_id": "i", "judgment": "AutoConfirmed"})
    expect(page.locator("#lag .look")).to_have_count(3)
    tile(page, "headPosition").to_have_text(f"{position:,}")
    page.locator("#lag [data-surface]").focus()
    page.keyboard.press("End")
    expect(page.locator("#lag .tooltip")).to_contain_text("Realtime lag, events: 0")
    page.get_by_text("Looks as a table").click()
    expect(page.locator("#lag tbody tr").first).to_contain_text(f"{position:,}")


def test_what_waits_comes_with_the_command_that_mends_it(visit: Visit) -> None:
    page = visit("", ready=False, permissions=["clipboard-read", "clipboard-write"])
    page.locator("main[data-state=welcome]").wait_for()
    page.context.route("**/graphql", changed(ill))
    page.goto(f"{page.url}operator")
    page.locator("main[data-state=ready]").wait_for()
    expect(page.locator("#verdict-title")).to_have_text("1 problem")
    expect(page.locator("#problems")).to_contain_text("dead-letters")
    expect(page.locator("#parked")).to_contain_text("integer out of range")
    expect(page.locator("#letters tr")).to_have_count(2)
    expect(page.locator("#letters")).to_contain_text("invalid_event data.item_id")
    expect(page.locator("#builds")).to_contain_text("rebuild 25%")
    page.get_by_role("button", name="Copy: progress-context parked retry 77").click()
    expect(page.locator("#parked .copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "progress-context parked retry 77"


def test_events_are_the_logs_the_latest_first(visit: Visit, ask: Ask) -> None:
    page = visit("operator")
    first = ask(EVENTS, first=25)["events"]
    expect_events(page, first)
    page.get_by_role("button", name="Older").click()
    expect(page.locator("#events > li").first).to_have_attribute(
        "data-position", str(first[-1]["position"] - 1)
    )
    expect_events(page, ask(EVENTS, first=25, before=first[-1]["position"])["events"])


def test_events_are_found_by_learner_type_and_position(visit: Visit, ask: Ask, learner: str) -> None:
    page = visit("operator")
    wanted = ask(EVENTS, userId=learner, type=COMPLETED, first=25)["events"]
    assert len(wanted) == 25
    page.get_by_label("Learner").fill(learner)
    page.get_by_label("Type").fill(COMPLETED)
    page.keyboard.press("Enter")
    expect_events(page, wanted)
    page.get_by_label("Before position").fill(str(wanted[4]["position"]))
    page.get_by_role("button", name="Find").click()
    expect_events(
        page, ask(EVENTS, userId=learner, type=COMPLETED, first=25, before=wanted[4]["position"])["events"]
    )
    page.get_by_label("Type").fill("no.SuchType")
    page.keyboard.press("Enter")
    expect(page.locator("#events-none")).to_have_text("No such events.")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#events > li")).to_have_count(25)


def test_events_are_found_by_when_they_were_recorded(visit: Visit) -> None:
    page = visit("operator")
    expect(page.locator("#events > li")).to_have_count(25)
    page.get_by_label("Recorded by (UTC)").fill("2020-02-29T12:00")
    page.get_by_role("button", name="Find").click()
    expect(page.locator("#events-none")).to_have_text("No such events.")


def test_an_event_tells_all_of_itself(visit: Visit, ask: Ask, service_url: str) -> None:
    page = visit("operator")
    found = ask(EVENTS, type=COMPLETED, first=25)["events"]
    page.get_by_label("Type").fill(COMPLETED)
    page.keyboard.press("Enter")
    expect_events(page, found)
    event = found[0]
    row = page.locator(f'#events > li[data-position="{event["position"]}"]')
    row.locator("summary").click()
    assert json.loads(row.locator("pre").first.inner_text()) == event["data"]
    expect(row.locator(".facts")).to_contain_text(event["id"])
    row.get_by_role("link", name=event["userId"]).click()
    page.locator("#main[data-state=ready]").wait_for()
    expect(page.locator("#name")).to_have_text(event["userId"])


def test_a_service_that_is_down_is_said_over_the_last_look(visit: Visit, complaints: list[str]) -> None:
    page = visit("operator")
    page.context.route("**/graphql", lambda route: route.abort("connectionrefused"))
    expect(page.get_by_role("alert")).to_contain_text("does not answer")
    expect(page.locator("#read-models tr").first).to_be_visible()
    page.context.unroute("**/graphql")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    complaints.clear()  # the browser notes the refused connections


def test_who_may_not_see_it_is_asked_for_a_token(visit: Visit, complaints: list[str]) -> None:
    heard: list[str | None] = []

    def guard(route: Route) -> None:
        heard.append(route.request.headers.get("authorization"))
        if heard[-1] == "Bearer a.b.c":
            return route.continue_()
        body = {"errors": [{"message": "a valid token is needed", "extensions": {"code": "UNAUTHENTICATED"}}]}
        return route.fulfill(status=401, json=body)

    page = visit("", ready=False)
    page.locator("main[data-state=welcome]").wait_for()
    page.context.route("**/graphql", guard)
    page.goto(f"{page.url}operator")
    page.locator("main[data-state=closed]").wait_for()
    page.get_by_label("Access token").fill("a.b.c")
    page.keyboard.press("Enter")
    page.locator("main[data-state=ready]").wait_for()
    assert heard[0] is None
    complaints.clear()  # the browser notes the refusal
