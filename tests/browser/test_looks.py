"""Dark and light, phone and desk, a strict content policy, names on every control."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

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

NAMELESS = """() => [...document.querySelectorAll("a, button, input, [role=application], [role=region]")]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length
    || node.getAttribute("aria-labelledby")))
  .map((node) => node.outerHTML)"""


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


def test_a_phone_scrolls_down_only(visit: Callable[..., Page], learner: str) -> None:
    phone = {"width": 390, "height": 844}
    page = visit(f"?learner={learner}", viewport=phone, is_mobile=True, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    last = page.locator("#calendar [data-date]").last
    last.scroll_into_view_if_needed()
    last.tap()
    page.locator("#calendar .tooltip").wait_for()


def test_every_control_has_a_name(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}")
    assert page.evaluate(NAMELESS) == []


def test_the_focus_can_be_seen(visit: Callable[..., Page], learner: str) -> None:
    page = visit(f"?learner={learner}")
    page.locator("#items-next").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#items-next")).to_have_css("outline-style", "solid")
