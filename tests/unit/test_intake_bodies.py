"""Bodies that hold one event, an array of events, or one event a line."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from progress_context.errors import IntakeError
from progress_context.intake.cloudevents import decode_batch, decode_lines, decode_structured
from progress_context.intake.envelope import InvalidEvent
from progress_context.log.event import NewEvent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def element(**changes: str | None) -> bytes:
    """A valid event as JSON, with some attributes changed."""
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/app",
        "type": "learning.CorrectnessJudged",
        "subject": "ada",
        "time": "2026-03-01T11:00:00Z",
        "data": {"item_id": "w-1", "judgment": "AutoConfirmed"},
    }
    return json.dumps(whole | changes).encode()


@pytest.mark.parametrize("body", [b"null", b"[]", b'"x"', b"7"])
def test_a_body_that_is_no_object_is_one_invalid_event(body: bytes) -> None:
    parsed = decode_structured(body, now=NOW)
    assert isinstance(parsed, InvalidEvent)
    assert (parsed.source, parsed.id, parsed.path) == (None, None, "")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "malformed_json", "line 1 column 1"),
        (b'{"id":"e"', "malformed_json", "line 1 column 10"),
        (b'{"a":1,\n "b":x}', "malformed_json", "line 2 column 6"),
        (b'{"a":1} x', "malformed_json", "line 1 column 9"),
        (b'{"a":"\xff"}', "malformed_json", "byte 6"),
        (b"[" * 100_000 + b"]" * 100_000, "malformed_json", "nested"),
    ],
)
def test_a_body_that_is_not_json_is_an_error_with_its_place(body: bytes, code: str, message: str) -> None:
    for decode in (decode_structured, decode_batch):
        with pytest.raises(IntakeError) as caught:
            decode(body, now=NOW)
        assert (caught.value.status, caught.value.code) == (400, code)
        assert message in str(caught.value)


def test_a_batch_must_be_an_array() -> None:
    with pytest.raises(IntakeError) as caught:
        decode_batch(b"{}", now=NOW)
    assert caught.value.code == "not_an_array"
    assert decode_batch(b" [] ", now=NOW) == []


def test_one_bad_event_does_not_refuse_its_batch() -> None:
    elements = [element(), b"7", element(id="e-2", subject=None), element(id="e-3")]
    parsed = decode_batch(b"[" + b",".join(elements) + b"]", now=NOW)
    assert [type(p) for p in parsed] == [NewEvent, InvalidEvent, InvalidEvent, NewEvent]
    assert parsed[0] == decode_structured(element(), now=NOW)
    assert parsed[2] == decode_structured(element(id="e-2", subject=None), now=NOW)


def test_lines_are_judged_one_by_one() -> None:
    lines = [
        element(), b"", b"  \r", b'{"id": "e-2", "source"', b'{"id":"\xff"}',
        element(id="e-3") + b"\r", b"",
    ]  # fmt: skip
    parsed = decode_lines(b"\n".join(lines), now=NOW)
    assert [type(p) for p in parsed] == [NewEvent, InvalidEvent, InvalidEvent, NewEvent]
    assert isinstance(parsed[1], InvalidEvent)
    assert parsed[1].reason.startswith("Line 4: not JSON")
    assert decode_lines(b"", now=NOW) == []


def test_half_a_surrogate_pair_refuses_its_own_event_only() -> None:
    broken = element(id="e-2", note="x").replace(b'"x"', rb'"\ud83c"')
    parsed = decode_batch(b" [ " + b" , ".join([element(), broken, b"[]"]) + b" ] ", now=NOW)
    assert [type(p) for p in parsed] == [NewEvent, InvalidEvent, InvalidEvent]
    assert parsed[0] == decode_structured(element(), now=NOW)
    assert parsed[1] == decode_structured(broken, now=NOW)
    assert isinstance(parsed[1], InvalidEvent)
    assert parsed[1].path == "note"
