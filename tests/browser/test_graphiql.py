"""GraphiQL: it asks, explains, completes and remembers, offline and under the dashboard's content policy."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

REMEMBERED = """async (text) => {
  while (!localStorage.getItem("graphiql:tabState")?.includes(text)) await new Promise(requestAnimationFrame);
}"""
BACKGROUND = "getComputedStyle(document.querySelector('.graphiql-container')).backgroundColor"
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(33, 42, 59)"

Open = Callable[..., Page]


@pytest.fixture
def open_graphiql(visit: Callable[..., Page], service_url: str) -> Open:
    """`open_graphiql(also=None, **context)`: GraphiQL, open for the first time in a fresh browser.

    `also` may answer a request in the service's place.
    """

    def go(*, also: Callable[[Route], None] | None = None, **options: Any) -> Page:
        page = visit("", ready=False, **options)
        page.locator("main[data-state=welcome]").wait_for()
        if also is not None:
            page.context.route("**/graphql", also)
        page.goto(f"{service_url.rstrip('/')}/graphql")
        run_button(page).wait_for()
        return page

    return go


def run_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Execute query")


def text_of(page: Page, editor: str) -> str:
    """The whole text of an editor, also what is scrolled out of sight."""
    return page.locator(f"{editor} .CodeMirror").evaluate("node => node.CodeMirror.getValue()")


def variables(page: Page) -> dict[str, Any]:
    return json.loads(text_of(page, "[aria-label=Variables] .graphiql-editor:not(.hidden)"))


def result(page: Page) -> dict[str, Any]:
    """The answer, once there is one."""
    expect(page.locator(".result-window")).to_contain_text('"extensions"')
    return json.loads(text_of(page, ".graphiql-response"))


def reload_remembered(page: Page, text: str = "Progress") -> None:
    """Reload once `text` is among what the browser keeps."""
    page.evaluate(REMEMBERED, text)  # not wait_for_function: the content policy forbids its eval
    page.reload()
    run_button(page).wait_for()


def test_the_example_has_something_to_show(open_graphiql: Open, ask: Callable[..., Any]) -> None:
    page = open_graphiql()
    run_button(page).click()
    shown = result(page)["data"]
    assert shown == ask(text_of(page, ".graphiql-query-editor"), **variables(page))
    assert shown["learningStreak"]["longest"] > 0
    assert shown["dailyStats"][-1]["date"] == shown["learningStreak"]["lastActiveDay"]
    assert variables(page)["userId"] in [row["userId"] for row in ask("{ learners { userId } }")["learners"]]


def test_where_learners_may_not_be_listed_the_example_names_the_samples_first(open_graphiql: Open) -> None:
    def refuse_lists(route: Route) -> None:
        if "learners {" in (route.request.post_data or ""):
            route.fulfill(json={"errors": [{"message": "not for you"}], "data": None})
        else:
            route.fallback()

    page = open_graphiql(also=refuse_lists)
    assert variables(page)["userId"] == "learner-00001"


def test_the_documentation_tells_what_a_field_means(open_graphiql: Open) -> None:
    page = open_graphiql()
    page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = page.locator(".graphiql-doc-explorer")
    docs.get_by_role("link", name="Query", exact=True).click()
    docs.get_by_role("link", name="dailyStats", exact=True).click()
    expect(docs).to_contain_text("What the learner did on a day, or on every day of a range")
    expect(docs).to_contain_text("waitForPosition")


def test_fields_are_completed_and_mistakes_underlined(open_graphiql: Open) -> None:
    page = open_graphiql()
    page.get_by_role("button", name="New tab").click()
    page.locator(".graphiql-query-editor .CodeMirror").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("{ learningS")
    hints = page.locator(".CodeMirror-hints")
    expect(hints.locator(".CodeMirror-hint").first).to_have_text("learningStreak")
    page.keyboard.press("Enter")
    assert "{ learningStreak" in text_of(page, ".graphiql-query-editor")
    expect(page.locator(".CodeMirror-lint-mark-error").first).to_be_visible()


def test_what_was_asked_is_in_the_history(open_graphiql: Open) -> None:
    page = open_graphiql()
    run_button(page).click()
    assert result(page)["data"]
    page.get_by_role("button", name="Show History").click()
    expect(page.locator(".graphiql-history-item-label")).to_have_text(["Progress"])


def test_what_was_typed_outlives_a_reload(open_graphiql: Open) -> None:
    page = open_graphiql()
    reload_remembered(page)
    expect(page.get_by_role("tab")).to_have_text(["Progress"])
    page.locator(".graphiql-query-editor .CodeMirror").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("# mine")
    reload_remembered(page, "# mine")
    assert text_of(page, ".graphiql-query-editor").endswith("# mine")
    expect(page.get_by_role("tab")).to_have_text(["Progress"])
    assert variables(page)["userId"]


def test_the_theme_follows_the_system(open_graphiql: Open) -> None:
    assert open_graphiql(color_scheme="light").evaluate(BACKGROUND) == LIGHT
    assert open_graphiql(color_scheme="dark").evaluate(BACKGROUND) == DARK


def test_the_theme_follows_the_dashboards(open_graphiql: Open) -> None:
    page = open_graphiql(color_scheme="light", script="localStorage.setItem('theme', 'dark')")
    assert page.evaluate(BACKGROUND) == DARK


def test_the_theme_can_be_chosen_and_is_remembered(open_graphiql: Open) -> None:
    page = open_graphiql(color_scheme="light")
    page.get_by_role("button", name="Open settings dialog").click()
    page.get_by_role("button", name="Dark", exact=True).click()
    page.keyboard.press("Escape")
    assert page.evaluate(BACKGROUND) == DARK
    reload_remembered(page)
    assert page.evaluate(BACKGROUND) == DARK


def test_every_dialog_keeps_the_content_policy(open_graphiql: Open, complaints: list[str]) -> None:
    page = open_graphiql()
    for name in ("Open settings dialog", "Open short keys dialog"):
        page.get_by_role("button", name=name).click()
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="hidden")
    assert complaints == []
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    expect(page.locator("body")).not_to_have_css("color", "rgb(255, 0, 0)")
    assert complaints, "a violation would have been noticed"
    complaints.clear()


def test_nothing_comes_from_elsewhere(open_graphiql: Open, service_url: str) -> None:
    page = open_graphiql()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.reload()
    run_button(page).click()
    assert result(page)["data"]
    page.get_by_role("button", name="Show Documentation Explorer").click()
    page.locator(".graphiql-doc-explorer").wait_for()
    assert f"{service_url.rstrip('/')}/graphiql/graphiql.min.js" in loaded
    assert [url for url in loaded if not url.startswith((service_url, "data:"))] == []
