"""A running system as Prometheus sees it, with the rules of `deploy/monitoring`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from tests.conftest import running_system

from plain_yaml import load
from promql import evaluate, metrics_of
from scrapes import Scrapes

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = load((MONITORING / "alerts.yaml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def scrape(scrapes: Scrapes, up: running_system, at: float) -> None:
    """Scrape the three services; one that does not answer is down."""
    addresses = {"command": up.command_url, "projection": up.projection_url, "query": up.query_url}
    for name, url in addresses.items():
        scrapes.add(at, f"progress-{name}", url.removeprefix("http://"), exposition(url))


def exposition(url: str) -> str | None:
    """What /metrics says; `None` without an answer."""
    try:
        return httpx.get(f"{url}/metrics", timeout=3).raise_for_status().text
    except httpx.HTTPError:
        return None


def active(scrapes: Scrapes) -> set[str]:
    """The alerts whose expression holds: they fire once it has held for as long as the rule says."""
    return {rule["alert"] for rule in rules() if evaluate(rule["expr"], scrapes)}


def names_in_rules() -> set[str]:
    """Every metric that a rule asks for."""
    return {name for rule in rules() for name in metrics_of(rule["expr"])}


def panels(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, expression) of everything a Grafana dashboard shows."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
