"""The alert rules and the dashboard, on the metrics of a real system: silent in health, loud in trouble."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
from tests.conftest import running_system

from acceptance.monitored import MONITORING, active, exposition, names_in_rules, panels, rules, scrape
from acceptance.system import LINES, children, database_of, judged, post, text
from plain_yaml import load
from progress_context.engine.health import MAX_LAG_EVENTS, MAX_LAG_SECONDS
from promql import evaluate, metrics_of
from scrapes import Scrapes
from waiting import eventually, until

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
MADE_BY_PROMETHEUS = {"up"}
FOLDER = "alerts"


@pytest.fixture(scope="module")
def up(scratch: Path) -> Iterator[running_system]:
    with running_system(scratch / FOLDER) as running:
        post(running.command_url, b"\n".join(text(judged()) for _ in range(50)), LINES)
        httpx.post(f"{running.query_url}/graphql", json={"query": "{ __typename }"}).raise_for_status()
        yield running


def held_up(up: running_system) -> psutil.Process:
    (projection,) = children(up.process.pid, "serve", "projection")
    return projection


def watched(up: running_system) -> Callable[[], set[str]]:
    """Scrapes whenever asked, five seconds apart by its own clock; says which alerts are active."""
    scrapes = Scrapes()

    def look() -> set[str]:
        scrape(scrapes, up, scrapes.now + 5)
        return active(scrapes)

    return look


def families(up: running_system) -> dict[str, str]:
    """The kind of every family that some service offers, with or without figures."""
    texts = [exposition(url) or "" for url in (up.command_url, up.projection_url, up.query_url)]
    return {name: kind for t in texts for name, kind in re.findall(r"^# TYPE (\w+) (\w+)", t, re.MULTILINE)}


def series(up: running_system) -> set[str]:
    """The names of all series that some service offers."""
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + part for name, kind in families(up).items() for part in parts.get(kind, ("",))}


def test_a_healthy_system_fires_nothing(up: running_system) -> None:
    look = watched(up)
    eventually(lambda: not look(), timeout=20)
    for _ in range(3):
        post(up.command_url, text(judged()))
        assert look() <= {
            "ProgressCheckpointStuck"
        }  # which must hold for a while; here it is the first event
    eventually(lambda: not look(), timeout=20)


def test_a_projection_service_that_hangs_is_noticed_by_the_others(up: running_system) -> None:
    look = watched(up)
    eventually(lambda: not look(), timeout=20)
    projection = held_up(up)
    projection.suspend()
    try:
        post(up.command_url, b"\n".join(text(judged()) for _ in range(MAX_LAG_EVENTS + 1)), LINES)
        expected = {"ProgressLagSeconds", "ProgressLagEvents", "ProgressServiceDown", "ProgressNoWorker"}
        eventually(lambda: expected <= look(), timeout=60)
    finally:
        projection.resume()
    eventually(lambda: not look(), timeout=60)


async def test_a_checkpoint_that_stands_still_is_told_from_a_service_that_is_gone(
    up: running_system, scratch: Path
) -> None:
    look = watched(up)
    await until(lambda: asyncio.to_thread(lambda: not look()), seconds=20)
    connection = await asyncpg.connect(database_of(scratch / FOLDER))
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM engine.checkpoints FOR UPDATE")
            await asyncio.to_thread(post, up.command_url, text(judged()))
            expected = {"ProgressCheckpointStuck", "ProgressLagSeconds"}
            await until(lambda: asyncio.to_thread(lambda: look() == expected), seconds=40)
    finally:
        await connection.close()
    await until(lambda: asyncio.to_thread(lambda: not look()), seconds=20)


def test_refused_senders_and_unknown_types_are_told(up: running_system) -> None:
    look = watched(up)
    look()
    event = judged()
    post(up.command_url, text(event))
    conflicting = event | {"data": event["data"] | {"item_id": "another"}}
    assert post(up.command_url, text(conflicting)).status_code == 409
    post(up.command_url, text(judged(type="app.NobodyDescribedThis", data={})))
    assert {"ProgressConflicts", "ProgressUnknownTypes"} <= look()


def test_a_service_that_is_gone_is_told(up: running_system) -> None:
    scrapes = Scrapes()
    scrape(scrapes, up, 5)
    scrapes.add(10, "progress-query", up.query_url.removeprefix("http://"), None)
    assert "ProgressServiceDown" in active(scrapes)
    alone = Scrapes()
    alone.add(5, "progress-query", "here", exposition(up.query_url))
    assert "ProgressServiceMissing" in active(alone)


def test_every_metric_that_is_asked_for_is_offered(up: running_system) -> None:
    offered = series(up) | MADE_BY_PROMETHEUS
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    assert names_in_rules() - offered == set()
    assert {name for _, expression in panels(dashboard) for name in metrics_of(expression)} - offered == set()


def test_every_metric_that_is_offered_is_documented_and_the_other_way_round(up: running_system) -> None:
    table = OPERATIONS.read_text("utf-8").split("<!-- begin metrics -->")[1].split("<!-- end metrics -->")[0]
    documented = set(re.findall(r"^\| `(progress_\w+)`", table, re.MULTILINE))
    offered = {name for name in families(up) if re.fullmatch(r"progress_\w+(?<!_created)", name)}
    assert documented == offered


def test_rules_are_complete_and_their_runbooks_exist() -> None:
    anchors = {
        title.lower() for title in re.findall(r"^### ([\w-]+)$", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    }
    linked: set[str] = set()
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["summary"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == "docs/operations.md"
        linked.add(anchor)
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    assert linked <= anchors
    assert anchors - linked == set()


def test_limits_are_those_of_the_status_command() -> None:
    limits = {rule["alert"]: rule["expr"].rpartition(">")[2] for rule in rules()}
    assert float(limits["ProgressLagSeconds"]) == MAX_LAG_SECONDS
    assert float(limits["ProgressLagEvents"]) == MAX_LAG_EVENTS


def test_the_scrape_configuration_names_the_jobs_that_rules_expect() -> None:
    jobs = [
        c["job_name"] for c in load((MONITORING / "prometheus.yaml").read_text("utf-8"))["scrape_configs"]
    ]
    assert jobs == ["progress-command", "progress-projection", "progress-query"]


def test_the_dashboard_is_sound(up: running_system) -> None:
    dashboard = json.loads((MONITORING / "grafana.json").read_text("utf-8"))
    scrapes = Scrapes()
    for at in (5, 10):
        scrape(scrapes, up, at)
    for title, expression in panels(dashboard):
        evaluate(expression, scrapes)
        assert title
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
