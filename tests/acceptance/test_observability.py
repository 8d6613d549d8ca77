"""One event's way through a real system, as an OpenTelemetry collector sees it; and what never leaves it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.conftest import running_system

from acceptance.system import LINES, database_of, fetch, judged, post, text
from collector import Collector, ReceivedSpan
from pubsub_emulator import EmulatorProcess
from waiting import eventually

PARENT = "b7ad6b7169203331"
LEARNER = "ada-lovelace-1815"
QUESTION = "query Days($id: ID!) { dailyStats(userId: $id) { date reviews } }"


@dataclass(frozen=True)
class Traced:
    """A system with Pub/Sub between its services, and the collector that it reports to."""

    up: running_system
    collector: Collector
    database: str


@pytest.fixture(scope="module")
def traced(scratch: Path) -> Iterator[Traced]:
    folder = scratch / "traced"
    with EmulatorProcess() as emulator, Collector() as collector:
        environment = {
            "PROGRESS_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "PROGRESS_LOG_LEVEL": "debug",
            "PROGRESS_PUBSUB_PROJECT": "traced",
            "PUBSUB_EMULATOR_HOST": emulator.address,
        }
        apply = [sys.executable, "-m", "progress_context", "pubsub", "apply", "--yes"]
        subprocess.run(apply, env={**os.environ, **environment}, check=True, capture_output=True)
        with running_system(folder, environment=environment) as up:
            yield Traced(up, collector, database_of(folder))


def trace(number: int) -> str:
    return f"{number:032x}"


def traceparent(number: int) -> str:
    return f"00-{trace(number)}-{PARENT}-01"


def linked(traced: Traced, name: str, number: int) -> ReceivedSpan:
    """The first span of a name that is linked to a trace."""

    def find() -> list[ReceivedSpan]:
        return [span for span in traced.collector.named(name) if trace(number) in span.links]

    return eventually(find, timeout=30)[0]


def within(traced: Traced, name: str, number: int) -> ReceivedSpan:
    """The first span of a name that is part of a trace."""

    def find() -> list[ReceivedSpan]:
        return [span for span in traced.collector.named(name) if span.trace == trace(number)]

    return eventually(find, timeout=30)[0]


def test_an_event_is_followed_from_its_request_to_the_read_models_and_the_world(traced: Traced) -> None:
    answer = post(traced.up.command_url, text(judged(subject=LEARNER)), traceparent=traceparent(0xA))
    assert answer.status_code == 201
    position = answer.json()["position"]

    request = within(traced, "POST /events", 0xA)
    assert (request.service, request.parent) == ("progress-command-service", PARENT)
    assert request.attributes == {"progress.status": 201}

    append = linked(traced, "append", 0xA)
    assert append.attributes == {"progress.events": 1, "progress.position": position}

    fold = linked(traced, "fold", 0xA)
    assert fold.service == "progress-projection-service"
    assert fold.attributes["progress.after"] < position <= fold.attributes["progress.position"]
    keys = fetch(traced.database, "SELECT learner_key FROM log.learners WHERE learner_id = $1", LEARNER)
    assert fold.attributes["progress.learner_key"] == keys[0][0]

    relay = linked(traced, "relay", 0xA)
    assert relay.attributes["progress.after"] < position <= relay.attributes["progress.position"]


def test_a_question_is_followed(traced: Traced) -> None:
    post(traced.up.command_url, text(judged(subject=LEARNER)))
    answer = httpx.post(
        f"{traced.up.query_url}/graphql",
        json={"query": QUESTION, "operationName": "Days", "variables": {"id": LEARNER}},
        headers={"traceparent": traceparent(0xB)},
    )
    assert answer.status_code == 200
    request = within(traced, "POST /graphql", 0xB)
    assert (request.service, request.parent) == ("progress-query-service", PARENT)
    operation = within(traced, "graphql", 0xB)
    assert operation.parent == request.span
    assert operation.attributes["progress.operation"] == "Days"


def test_a_request_that_is_refused_is_followed_and_counted(traced: Traced) -> None:
    url = f"{traced.up.command_url}/events"
    assert httpx.get(url, headers={"traceparent": traceparent(0x10)}).status_code == 405
    assert httpx.get(f"{url}/nothing/here").status_code == 404
    request = within(traced, "GET /events", 0x10)
    assert (request.parent, request.attributes["progress.status"]) == (PARENT, 405)
    metrics = httpx.get(f"{traced.up.command_url}/metrics").text
    assert 'progress_request_seconds_count{code="405",path="/events"} 1.0' in metrics
    assert "nothing" not in metrics


def test_an_event_with_a_trace_of_its_own_keeps_it(traced: Traced) -> None:
    events = [judged(traceparent=traceparent(0xC)), judged()]
    body = b"\n".join(text(event) for event in events)
    assert post(traced.up.command_url, body, LINES, traceparent=traceparent(0xD)).status_code == 201
    append = linked(traced, "append", 0xC)
    assert trace(0xD) in append.links
    query = "SELECT context->>'traceparent' AS traceparent FROM log.events WHERE id = $1"
    own, sent = (fetch(traced.database, query, event["id"])[0]["traceparent"] for event in events)
    assert own == traceparent(0xC)
    assert sent == f"00-{trace(0xD)}-{within(traced, 'POST /events', 0xD).span}-01"


def test_a_large_group_is_one_span_not_one_for_each_event(traced: Traced) -> None:
    body = b"\n".join(text(judged(traceparent=traceparent(1_000 + n))) for n in range(200))
    assert post(traced.up.command_url, body, LINES, traceparent=traceparent(0xE)).status_code == 201
    append = linked(traced, "append", 1_000)
    assert append.attributes["progress.events"] >= 200
    assert len(append.links) == 32
    fold = linked(traced, "fold", 1_000)
    assert len(fold.links) <= 32
    assert len(traced.collector.named("append")) < 50


def test_neither_traces_nor_logs_name_learners_or_hold_passwords(traced: Traced) -> None:
    answer = post(
        traced.up.command_url, text(judged(subject=LEARNER, time="never")), traceparent=traceparent(0xF)
    )
    assert answer.status_code == 422
    within(traced, "POST /events", 0xF)
    password = urlsplit(traced.database).password
    assert password
    told = b"".join(traced.collector.bodies) + traced.up.log.read_bytes()
    assert LEARNER.encode() not in told
    assert password.encode() not in told


def test_every_line_of_a_service_is_json(traced: Traced) -> None:
    lines = re.findall(r"^(?:command|projection|query) \| (.*)$", traced.up.log.read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        assert {"event", "level", "service", "timestamp"} <= json.loads(line).keys()
