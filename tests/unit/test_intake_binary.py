"""CloudEvents in binary mode: headers carry the attributes, the body the data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from progress_context.errors import IntakeError
from progress_context.intake.binary import decode_binary
from progress_context.intake.envelope import MAX_EVENT_BYTES, InvalidEvent
from progress_context.log.event import NewEvent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HEADERS = {
    "Host": "example.com",
    "CE-SpecVersion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/app",
    "ce-type": "com.example.thing",
    "ce-time": "2026-03-01T11:00:00Z",
}


def decode(body: bytes = b"", **headers: str) -> NewEvent | InvalidEvent:
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    return decode_binary(sent.items(), body, now=NOW)


def stored(body: bytes = b"", **headers: str) -> tuple[NewEvent, dict[str, Any]]:
    parsed = decode(body, **headers)
    assert isinstance(parsed, NewEvent), parsed
    return parsed, json.loads(parsed.context) if parsed.context else {}


def test_a_known_type_is_checked_like_any_other() -> None:
    body = b'{"item_id": "w-1", "judgment": "AutoConfirmed"}'
    judged = {"ce_type": "learning.CorrectnessJudged", "ce_subject": "ada"}
    parsed, context = stored(body, content_type="application/json", **judged)
    assert (parsed.known, parsed.learner_id, parsed.data) == (True, "ada", body.decode())
    assert context == {}
    wrong = decode(b'{"item_id": 7}', **judged)
    assert isinstance(wrong, InvalidEvent)
    assert (wrong.source, wrong.id, wrong.path) == ("/app", "e-1", "data.item_id")


@pytest.mark.parametrize(
    ("content_type", "body", "data", "is_base64"),
    [
        ("text/plain; charset=us-ascii", b"Hello", "Hello", False),
        ("text/plain", "Hello, 🌎!".encode(), "Hello, 🌎!", False),
        ("text/plain; charset=ISO-8859-1", "é".encode("latin-1"), "é", False),
        ("application/xml; charset=utf-8", b"<a/>", "<a/>", False),
        ("image/svg+xml", b"<svg/>", "<svg/>", False),
        ("text/plain", b"a\0b", "YQBi", True),
        ("text/plain", b"\xff", "/w==", True),
        ("text/plain; charset=utf-16", b"\xff\xfe", "//4=", True),
        ("application/octet-stream", b"\x00\x01", "AAE=", True),
    ],
)
def test_data_that_is_not_json_becomes_a_string_and_says_what_it_was(
    content_type: str, body: bytes, data: str, is_base64: bool
) -> None:
    parsed, context = stored(body, content_type=content_type)
    assert json.loads(parsed.data) == data
    assert context["datacontenttype"] == content_type
    assert context.get("data_base64", False) is is_base64


@pytest.mark.parametrize("content_type", ["application/json", "application/vnd.x+json; a=b", None])
def test_json_is_kept_as_sent(content_type: str | None) -> None:
    headers = {} if content_type is None else {"content_type": content_type}
    parsed, context = stored(b'[ 1.50, "x" ]', **headers)
    assert parsed.data == '[ 1.50, "x" ]'
    assert context == {}


def test_no_body_is_no_data() -> None:
    assert stored(b"")[0].data == "null"
    missing = decode(b"", ce_type="learning.CorrectnessJudged", ce_subject="ada")
    assert isinstance(missing, InvalidEvent)
    assert missing.path == "data"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ("a%2525b", "a%25b"),
        ("%c3%A9", "é"),
        ("100%", "100%"),
        ('"quoted \\"value\\""', 'quoted "value"'),
        ("é".encode().decode("latin-1"), "é"),
        ("€", "€"),
    ],
)
def test_header_values_are_decoded_once(sent: str, read: str) -> None:
    assert stored(ce_note=sent)[1] == {"note": read}


@pytest.mark.parametrize("value", ["%C0%A0", "%FF", "a%00b", "\udc80"])
def test_a_header_that_is_no_text_is_refused(value: str) -> None:
    parsed = decode(ce_note=value)
    assert isinstance(parsed, InvalidEvent)
    assert parsed.path == "note"


def test_a_header_that_occurs_twice_is_refused() -> None:
    parsed = decode_binary([*HEADERS.items(), ("ce-ID", "e-2")], b"", now=NOW)
    assert isinstance(parsed, InvalidEvent)
    assert parsed.path == "id"


@pytest.mark.parametrize("missing", ["CE-SpecVersion", "ce-id", "ce-source", "ce-type"])
def test_a_required_attribute_is_missed(missing: str) -> None:
    sent = {name: value for name, value in HEADERS.items() if name != missing}
    parsed = decode_binary(sent.items(), b"", now=NOW)
    assert isinstance(parsed, InvalidEvent)
    assert parsed.path == missing.lower().removeprefix("ce-")


def test_a_duplicate_key_in_the_body_is_named() -> None:
    parsed = decode(b'{"a": {"b": 1, "b": 2}}')
    assert isinstance(parsed, InvalidEvent)
    assert parsed.path == "data.a.b"
    item = decode(b'[{"b": 1, "b": 2}]')
    assert isinstance(item, InvalidEvent)
    assert item.path == "data[0].b"


def test_a_body_that_is_not_json_is_an_error() -> None:
    with pytest.raises(IntakeError) as caught:
        decode(b"{", content_type="application/json")
    assert (caught.value.status, caught.value.code) == (400, "malformed_json")


def test_a_body_beyond_the_limit_is_refused() -> None:
    parsed = decode(b"x" * (MAX_EVENT_BYTES + 1), content_type="text/plain")
    assert isinstance(parsed, InvalidEvent)
    assert str(MAX_EVENT_BYTES) in parsed.reason


def test_data_in_headers_is_no_attribute() -> None:
    body_attributes = ("ce-data", "ce-data_base64", "ce-datacontenttype")
    sent = HEADERS | dict.fromkeys(body_attributes, "x")
    parsed = decode_binary(sent.items(), b"{}", now=NOW)
    assert isinstance(parsed, NewEvent)
    assert (parsed.data, parsed.context) == ("{}", None)
