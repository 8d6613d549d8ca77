"""The scenarios of the CloudEvents project, and a round trip with its own library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from progress_context.intake.binary import decode_binary
from progress_context.intake.cloudevents import decode_structured
from progress_context.intake.envelope import Parsed
from progress_context.log.event import NewEvent

VECTORS = Path(__file__).parents[3] / "shared/data/cloudevents_vectors"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
ABSENT = pytest.mark.skipif(not VECTORS.exists(), reason="../shared/data/cloudevents_vectors is absent")
NOTHING = [pytest.param(None, id="absent", marks=ABSENT)]


class Scenario(NamedTuple):
    """An HTTP message of the conformance suite and what it must read as."""

    name: str
    headers: list[tuple[str, str]]
    body: bytes
    content_type: str

    def __str__(self) -> str:
        return f"{self.name}, {self.content_type}"


def scenarios() -> Iterator[Scenario]:
    if not VECTORS.exists():
        return
    feature = (VECTORS / "http-protocol-binding.feature").read_text(encoding="utf-8")
    for outline in feature.split("Scenario Outline: ")[1:]:
        request = outline.split('"""')[1]
        head, _, body = re.sub(r"(?m)^ {8}", "", request).strip().partition("\n\n")
        for example in outline.split("Examples:")[1].split("|")[3::2]:
            content_type = example.strip()
            if not content_type:
                continue
            lines = head.replace("<contentType>", content_type).splitlines()[1:]
            headers = [(n, v.strip()) for n, _, v in (line.partition(":") for line in lines)]
            name = outline.partition(" (")[0]
            yield Scenario(name, headers, body.encode(), content_type)


def receive(headers: list[tuple[str, str]], body: bytes) -> Parsed:
    """What the HTTP binding says: structured when the content type does, else binary."""
    content_type = {name.lower(): value for name, value in headers}.get("content-type", "")
    if content_type.startswith("application/cloudevents+json"):
        return decode_structured(body, now=NOW)
    return decode_binary(headers, body, now=NOW)


@ABSENT
def test_the_suite_has_its_scenarios() -> None:
    assert [s.name for s in scenarios()] == ["Binary content mode"] * 2 + ["Structured content mode"] * 2


@pytest.mark.parametrize("scenario", list(scenarios()) or NOTHING, ids=str)
def test_a_scenario_reads_as_it_must(scenario: Scenario) -> None:
    parsed = receive(scenario.headers, scenario.body)
    assert isinstance(parsed, NewEvent), parsed
    assert parsed.id == "1234-1234-1234"
    assert parsed.source == "/mycontext/subcontext"
    assert parsed.type == "com.example.someevent"
    assert parsed.occurred_at == datetime(2018, 4, 5, 3, 56, 24, tzinfo=UTC)
    assert json.loads(parsed.data) == {"message": "Hello World!"}
    assert parsed.context is None


def blocks(file: str) -> list[Any]:
    if not VECTORS.exists():
        return NOTHING
    return (VECTORS / file).read_text(encoding="utf-8").split("\n---\n")


def value_of(block: str, name: str) -> str:
    match = re.search(rf"(?m)^  {name}: (.*)$", block)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("block", blocks("v1_minimum.yaml"))
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_minimal_event_is_kept(block: str, mode: str) -> None:
    content_type = value_of(block, "datacontenttype")
    names = ("specversion", "type", "id", "source")
    attributes = {name: value_of(block, name) for name in names}
    text = block.split("Data: |\n")[1].strip()
    is_json = content_type.startswith("application/json")
    data = json.loads(text) if is_json else text
    if mode == "binary":
        headers = [(f"ce-{name}", value) for name, value in attributes.items()]
        body = text.encode("ascii" if "ascii" in content_type else "utf-8")
        parsed = receive([*headers, ("content-type", content_type)], body)
    else:
        whole = attributes | {"datacontenttype": content_type, "data": data}
        headers = [("content-type", "application/cloudevents+json")]
        parsed = receive(headers, json.dumps(whole).encode())
    assert isinstance(parsed, NewEvent), parsed
    assert (parsed.id, parsed.source) == (attributes["id"], attributes["source"])
    assert (parsed.known, parsed.occurred_at) == (False, None)
    assert json.loads(parsed.data) == data
    context = json.loads(parsed.context) if parsed.context else {}
    assert context == ({} if is_json else {"datacontenttype": content_type})


@pytest.mark.parametrize("block", blocks("v1.yaml"))
def test_extensions_are_kept(block: str) -> None:
    attributes = {name: value_of(block, name) for name in ("specversion", "type", "time", "id", "source")}
    extensions = {"comexampleextension1": "value", "comexampleextension2": '{"othervalue": 5}'}
    if "Mode: binary" in block:
        headers = [(f"ce-{name}", value) for name, value in (attributes | extensions).items()]
        parsed = receive([*headers, ("user-agent", "foo")], b'{"world":"hello"}')
    else:
        whole = attributes | extensions | {"data": {"world": "hello"}}
        headers = [("content-type", "application/cloudevents+json")]
        parsed = receive(headers, json.dumps(whole).encode())
    assert isinstance(parsed, NewEvent), parsed
    assert parsed.context is not None
    assert json.loads(parsed.context) == extensions
    assert json.loads(parsed.data) == {"world": "hello"}


PEER_EVENTS: list[tuple[dict[str, Any], Any]] = [
    (
        {"type": "learning.CorrectnessJudged", "subject": "ada"},
        {"item_id": "w-1", "judgment": "AutoConfirmed", "note": 'é "quoted" \\ 🌎'},
    ),
    ({"type": "com.example.thing", "datacontenttype": "text/plain"}, "Grüße, 🌎"),
    ({"type": "com.example.thing", "datacontenttype": "application/octet-stream"}, b"\x00\xff"),
    ({"type": "com.example.thing", "subject": "Euro € 😀 100%", "note": 'a "b" c'}, [1, 2.5]),
]


@pytest.mark.parametrize(("attributes", "data"), PEER_EVENTS)
@pytest.mark.parametrize("write", [to_binary, to_structured])
def test_what_the_official_library_writes_is_read(write: Any, attributes: dict[str, Any], data: Any) -> None:
    time = datetime(2026, 3, 1, 11, 0, 0, 250_000, tzinfo=UTC)
    base = {"specversion": "1.0", "id": "e 1/é", "source": "/app", "time": time}
    message: HTTPMessage = write(CloudEvent(base | attributes, data), JSONFormat())
    parsed = receive(list(message.headers.items()), message.body)
    assert isinstance(parsed, NewEvent), parsed
    assert (parsed.id, parsed.source, parsed.occurred_at) == ("e 1/é", "/app", time)
    assert parsed.type == attributes["type"]
    context = json.loads(parsed.context) if parsed.context else {}
    subject = parsed.learner_id if parsed.known else context.get("subject")
    assert subject == attributes.get("subject")
    assert context.get("note") == attributes.get("note")
    expected = "AP8=" if isinstance(data, bytes) else data
    assert json.loads(parsed.data) == expected
