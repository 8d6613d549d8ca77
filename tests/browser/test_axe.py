"""axe finds nothing wrong with any view, in either language and theme."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import ROOT

from browser.axe import RUN, axe_script

LOOKS = [("light", "en"), ("dark", "ja")]

Violations = list[list[Any]]


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_script(ROOT / "build")


@pytest.fixture
def check(axe: str) -> Callable[[Page], Violations]:
    """`check(page)`: what axe finds wrong."""

    def violations(page: Page) -> Violations:
        # Through the debugger, so the content policy of the page stays as it is.
        page.evaluate(axe)
        return page.evaluate(RUN)

    return violations


@pytest.mark.parametrize(("scheme", "lang"), LOOKS)
def test_the_learners_page(
    visit: Callable[..., Page], check: Callable[[Page], Violations], learner: str, scheme: str, lang: str
) -> None:
    page = visit(f"?learner={learner}&lang={lang}", color_scheme=scheme)
    assert check(page) == []
    if page.locator("#why").is_visible():
        page.locator("#why summary").click()
        expect(page.locator("#why-days li").first).to_be_visible()
    page.locator("#calendar .twin summary").click()
    page.locator("#learner").focus()
    page.get_by_role("option").first.wait_for()
    assert check(page) == []


@pytest.mark.parametrize(("scheme", "lang"), LOOKS)
def test_the_past(
    visit: Callable[..., Page], check: Callable[[Page], Violations], learner: str, scheme: str, lang: str
) -> None:
    page = visit(f"?learner={learner}&lang={lang}&happenedBy=2026-10-01T12:00:00Z", color_scheme=scheme)
    assert check(page) == []


@pytest.mark.parametrize(("scheme", "lang"), LOOKS)
def test_the_operators_page(
    visit: Callable[..., Page], check: Callable[[Page], Violations], scheme: str, lang: str
) -> None:
    page = visit(f"operator?lang={lang}", color_scheme=scheme)
    page.locator("#events summary").first.click()
    assert check(page) == []


@pytest.mark.parametrize(("path", "state"), [("", "welcome"), ("?learner=nobody-here", "unknown")])
def test_messages(
    visit: Callable[..., Page],
    check: Callable[[Page], Violations],
    complaints: list[str],
    path: str,
    state: str,
) -> None:
    page = visit(path, ready=False)
    page.locator(f"main[data-state={state}]").wait_for()
    assert check(page) == []
    complaints.clear()  # the browser notes a refusal in its console when its status is not 2xx


def test_axe_would_notice(
    visit: Callable[..., Page], check: Callable[[Page], Violations], learner: str
) -> None:
    page = visit(f"?learner={learner}")
    page.evaluate(
        "document.querySelector('#search').closest('label').replaceWith(document.createElement('input'))"
    )
    assert "label" in [found[0] for found in check(page)]
