"""A real browser on the dashboard of the running system.

`service_url` comes from the tests' top conftest: the base URL of a system with simulated learners.
The browser lives for one module, not longer: while playwright's sync API runs, its own event loop
does, and no asynchronous test could run beside it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.conftest import running_system

from waiting import eventually

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE = 30_000  # ms; less than the minute after which a page looks although it hears of changes
expect.set_options(timeout=PATIENCE)

TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));
"""

LEARNERS = "{ learners(first: 20) { userId lastActiveDay } }"
WEEKS = "query ($userId: ID!) { weeklyTrend(userId: $userId) { weeks { reviews } } }"
ITEMS_SEEN = "query ($userId: ID!) { userSummary(userId: $userId) { itemsSeen } }"


def find_chromium(own: str) -> str | None:
    """The first Chromium there is: the CHROMIUM variable, the system's, or playwright's `own`."""
    named = (os.environ.get("CHROMIUM"), "/usr/bin/chromium", shutil.which("google-chrome"), own)
    return next((path for path in named if path and Path(path).exists()), None)


@pytest.fixture(scope="module")
def browser(service_url: str) -> Iterator[Browser]:
    """A Chromium; `service_url` is asked for first, so the system starts before the browser."""
    assert service_url
    with sync_playwright() as playwright:
        chromium = find_chromium(playwright.chromium.executable_path)
        if chromium is None:
            pytest.skip("no Chromium: install one, or name it in the variable CHROMIUM")
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def ask(service_url: str) -> Callable[..., Any]:
    """`ask(document, **variables)`: the data of a GraphQL answer, fetched beside the page."""

    def data_of(document: str, **variables: object) -> Any:
        url = f"{service_url.rstrip('/')}/graphql"
        response = httpx.post(url, json={"query": document, "variables": variables}, timeout=30)
        answer = response.json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    return data_of


@pytest.fixture(scope="module")
def learner(ask: Callable[..., Any]) -> str:
    """Of the first learners who studied lately, the one who has seen the most items."""
    rows = [row for row in ask(LEARNERS)["learners"] if row["lastActiveDay"]]
    lately = sorted(rows, key=lambda row: row["lastActiveDay"])[-5:]
    assert lately, "the system has no learners"
    ids = [row["userId"] for row in lately]
    learner = max(ids, key=lambda one: ask(ITEMS_SEEN, userId=one)["userSummary"]["itemsSeen"])
    eventually(
        lambda: sum(week["reviews"] for week in ask(WEEKS, userId=learner)["weeklyTrend"]["weeks"]),
        timeout=60,
    )
    return learner


@pytest.fixture(scope="module")
def tell(sample_system: running_system) -> Callable[..., int]:
    """`tell(learner, type, data)`: append an event that happens now, wherever they are; its position."""

    def append(learner: str, kind: str, data: dict[str, Any]) -> int:
        event = {
            "specversion": "1.0", "id": uuid.uuid4().hex, "source": "urn:browser", "type": kind, "subject": learner,
            "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "data": data,
        }  # fmt: skip
        headers = {"content-type": "application/cloudevents+json"}
        response = httpx.post(f"{sample_system.command_url}/events", json=event, headers=headers, timeout=30)
        return response.raise_for_status().json()["position"]

    return append


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: console errors, uncaught errors, policy violations."""
    return []


@pytest.fixture
def visit(browser: Browser, service_url: str, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """`visit(path, ready=True, **context)`: a page of a fresh browser context.

    With `ready` it is returned when its figures are shown. A test during which the browser
    complained fails, unless it clears `complaints` itself.
    """
    contexts: list[Any] = []

    def go(path: str, *, ready: bool = True, script: str = "", **options: Any) -> Page:
        settings: dict[str, Any] = {"locale": "en-GB", **options}
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.add_init_script(TELL_VIOLATIONS + script)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(f"{service_url.rstrip('/')}/{path}")
        if ready:
            page.locator("main[data-state=ready]").wait_for()
        return page

    yield go
    for context in contexts:
        context.unroute_all(behavior="ignoreErrors")  # pages go on asking until they are closed
        context.close()
    assert complaints == []
