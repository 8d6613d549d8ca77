"""Dark and light, phone and desk, a strict content policy, names on every control."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from tests.conftest import ROOT

POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
}

BRIGHTNESS = """() => {
  const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (red + green + blue) / 3 / 255;
}"""

NAMELESS = """() => [...document.querySelectorAll("a, button, input, [role=application], [role=region], [role=group]")]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length
    || node.getAttribute("aria-labelledby")))
  .map((node) => node.outerHTML)"""


PATH = """(node) => node.id ? `#${node.id}` : node.matches(".skip") ? "A.skip"
  : `${node.tagName}${[...document.querySelectorAll("*")].indexOf(node)}`"""
WHERE = f"() => ({PATH})(document.activeElement)"
TABBABLE = f"""() => [...document.querySelectorAll("a[href], button, input:not([type=radio]), summary, [tabindex='0']")]
  .filter((node) => node.checkVisibility() && (node.id || node.matches(".skip"))).map({PATH})"""


def test_the_content_policy_is_strict_and_kept(
    visit: Callable[..., Page], service_url: str, learner: str, complaints: list[str]
) -> None:
    page = visit(f"?learner={learner}")
    response = page.request.get(service_url)
    given = response.headers["content-security-policy"].split(";")
    policy = dict(part.strip().split(" ", 1) for part in given if part.strip())
    for name, value in POLICY.items():
        assert policy.get(name, policy["default-src"]) == value
    assert complaints == []
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    expect(page.locator("body")).not_to_have_css("color", "rgb(255, 0, 0)")
    assert complaints, "a violation would have been noticed"
    complaints.clear()


def test_nothing_comes_from_elsewhere(visit: Callable[..., Page], service_url: str, learner: str) -> None:
    page = visit("", ready=False)
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    page.goto(f"{page.url}?learner={learner}")
    page.locator("main[data-state=ready]").wait_for()
    assert loaded
    assert [url for url in loaded if not url.startswith(service_url)] == []


def test_the_theme_follows_the_system(visit: Callable[..., Page], learner: str) -> None:
    dark = visit(f"?learner={learner}", color_scheme="dark")
    light = visit(f"?learner={learner}", color_scheme="light")
    assert dark.evaluate(BRIGHTNESS) < 0.2
    assert light.evaluate(BRIGHTNESS) > 0.8


def test_the_theme_can_be_chosen_and_is_remembered(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}", color_scheme="light")
    toggle = page.get_by_role("button", name="Dark theme")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    assert page.evaluate(BRIGHTNESS) < 0.2
    page.reload()
    page.locator("main[data-state=ready]").wait_for()
    assert page.evaluate(BRIGHTNESS) < 0.2


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
DESK = {"viewport": {"width": 1280, "height": 900}}
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize(
    "path", ["?learner={}", "?learner={}&lang=ja&happenedBy=2026-10-01T12:00:00Z", "operator"]
)
def test_a_phone_scrolls_down_only(visit: Callable[..., Page], learner: str, path: str) -> None:
    page = visit(path.format(learner), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_touched_day_is_told(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}", **PHONE)
    last = page.locator("#calendar [data-date]").last
    last.scroll_into_view_if_needed()
    last.tap()
    page.locator("#calendar .tooltip").wait_for()


@pytest.mark.parametrize("path", ["?learner={}", "operator"])
def test_what_comes_does_not_push_what_is_there(visit: Callable[..., Page], learner: str, path: str) -> None:
    page = visit(path.format(learner), script=SHIFTS, **DESK)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shifted") < 0.1


def test_numbers_are_written_as_the_locale_does(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}", locale="en-IN")
    shown = page.evaluate("async () => (await import('./format.js')).number(1234567)")
    assert shown == "12,34,567"


def test_paper_gets_figures_and_nothing_to_press(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}", color_scheme="dark", viewport={"width": 760, "height": 1000})
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 760
    assert page.evaluate(BRIGHTNESS) > 0.9
    expect(page.locator("#calendar .heatmap")).to_be_visible()
    expect(page.locator("#items tr").first).to_be_visible()
    assert page.locator("button:visible, input:visible").count() == 0
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_both_pages_have_their_picture_taken(visit: Callable[..., Page], learner: str, look: str) -> None:
    """For people to look at, in artefacts/."""
    folder = ROOT / "artefacts"
    folder.mkdir(exist_ok=True)
    options = PHONE if look == "phone" else {**DESK, "color_scheme": look}
    for name, path, last in (
        ("learner", f"?learner={learner}", "#items tr"),
        ("operator", "operator", "#events > li"),
    ):
        page = visit(path, **options)
        page.locator(last).first.wait_for()
        picture = folder / f"dashboard-{name}-{look}.png"
        page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 50_000


@pytest.mark.parametrize("path", ["?learner={}", "operator"])
def test_every_control_has_a_name(visit: Callable[..., Page], learner: str, path: str) -> None:
    page = visit(path.format(learner))
    assert page.evaluate(NAMELESS) == []


@pytest.mark.parametrize("path", ["?learner={}", "operator"])
def test_tab_reaches_every_control_in_the_order_of_the_page(
    visit: Callable[..., Page], learner: str, path: str
) -> None:
    page = visit(path.format(learner))
    page.evaluate("document.activeElement.blur()")
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate(WHERE)
        if where in reached[:-1] or where == "BODY":
            break
        if where not in reached:  # a moment has several stops of its own
            reached.append(where)
    assert reached[0] == "A.skip"
    needed = page.evaluate(TABBABLE)
    assert [one for one in needed if one not in reached] == []
    assert [one for one in reached if one in needed] == needed


def test_the_focus_can_be_seen(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#items-next").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#items-next")).to_have_css("outline-style", "solid")
