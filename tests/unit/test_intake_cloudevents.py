"""One CloudEvent in JSON: what is kept of it, and what is refused."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from progress_context.intake.cloudevents import decode_structured
from progress_context.intake.envelope import MAX_EVENT_BYTES, InvalidEvent, Parsed
from progress_context.log.event import NewEvent, ProfileChange

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DATA = {"item_id": "w-1", "judgment": "AutoConfirmed"}


def event(**changes: Any) -> dict[str, Any]:
    """A valid event with some attributes changed; `...` takes one away."""
    whole: dict[str, Any] = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/app",
        "type": "learning.CorrectnessJudged",
        "subject": "ada",
        "time": "2026-03-01T11:00:00Z",
        "data": DATA,
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def unknown(**changes: Any) -> dict[str, Any]:
    return event(**({"type": "com.example.thing", "data": {"n": 1}} | changes))


def parse(sent: dict[str, Any]) -> Parsed:
    return decode_structured(json.dumps(sent, ensure_ascii=False).encode(), now=NOW)


def stored(sent: dict[str, Any]) -> NewEvent:
    parsed = parse(sent)
    assert isinstance(parsed, NewEvent), parsed
    return parsed


def refused(sent: dict[str, Any]) -> InvalidEvent:
    parsed = parse(sent)
    assert isinstance(parsed, InvalidEvent), parsed
    return parsed


def context(sent: dict[str, Any]) -> dict[str, Any]:
    text = stored(sent).context
    return json.loads(text) if text else {}


def test_a_plain_event_has_no_context_and_its_data_as_sent() -> None:
    body = (
        b'{"specversion":"1.0","id":"e","source":"s","type":"learning.CorrectnessJudged",'
        b'"subject":"ada","time":"2026-03-01T11:00:00Z",'
        b'"data": {"judgment" : "AutoConfirmed","item_id":"w","confidence":0.10}}'
    )
    parsed = decode_structured(body, now=NOW)
    assert parsed == NewEvent(
        source="s", id="e", type="learning.CorrectnessJudged", version=1, learner_id="ada",
        occurred_at=datetime(2026, 3, 1, 11, 0, tzinfo=UTC), zone=None,
        data='{"judgment" : "AutoConfirmed","item_id":"w","confidence":0.10}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": ...}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": ...}, "id"),
        ({"id": 7}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"source": ""}, "source"),
        ({"source": "x" * 2_049}, "source"),
        ({"source": "é" * 2_000}, "source"),
        ({"type": ""}, "type"),
        ({"type": "x" * 201}, "type"),
        ({"subject": ""}, "subject"),
        ({"subject": "x" * 513}, "subject"),
        ({"subject": ...}, "subject"),
        ({"time": ...}, "time"),
        ({"time": None}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-03-01T11:00:00"}, "time"),
        ({"time": "1969-12-31T23:59:59Z"}, "time"),
        ({"time": "0001-01-01T00:00:00+15:59"}, "time"),
        ({"time": "9999-12-31T23:59:59-15:59"}, "time"),
        ({"time": "2026-03-02T12:00:01Z"}, "time"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": 1}, "timezone"),
        ({"dataschema": "https://x/99999999999"}, "dataschema"),
        ({"dataschema": "https://x/2147483648"}, "dataschema"),
        ({"data": ...}, "data"),
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": {"item_id": "w", "judgment": "AutoConfirmed", "n": "\0"}}, "data.n"),
        ({"data_base64": "e30="}, "data_base64"),
        ({"ext": "\0"}, "ext"),
    ],
)
def test_a_broken_rule_is_refused_at_its_path(changes: dict[str, Any], path: str) -> None:
    sent = event(**changes)
    verdict = refused(sent)
    assert verdict.path == path
    assert verdict.reason
    assert verdict.id == (sent.get("id") if isinstance(sent.get("id"), str) else None)
    assert verdict.source == sent.get("source")


def test_a_clock_may_run_ahead_by_the_skew_that_is_allowed() -> None:
    ahead = json.dumps(event(time="2026-03-01T13:00:00Z")).encode()
    strict, lenient = timedelta(minutes=59), timedelta(hours=1)
    assert isinstance(decode_structured(ahead, now=NOW, max_skew=lenient), NewEvent)
    assert isinstance(decode_structured(ahead, now=NOW, max_skew=strict), InvalidEvent)


@pytest.mark.parametrize(
    ("time", "timezone", "zone"),
    [
        ("2026-03-01T11:00:00Z", None, None),
        ("2026-03-01T11:00:00-00:00", None, None),
        ("2026-03-01T11:00:00+00:00", None, "+00:00"),
        ("2026-03-01T11:00:00-09:30", None, "-09:30"),
        ("2026-03-01T11:00:00+02:00", "Europe/Paris", "Europe/Paris"),
        ("2026-03-01T11:00:00Z", "+05:30", "+05:30"),
    ],
)
def test_the_zone_is_the_stated_one_else_the_offset(
    time: str, timezone: str | None, zone: str | None
) -> None:
    sent = event(time=time, timezone=timezone or ...)
    assert stored(sent).zone == zone
    assert context(sent).get("timezone") == timezone
    assert context(sent).get("time") == (None if time.endswith("Z") else time)


def test_context_keeps_what_came_around_the_data_but_not_the_learner() -> None:
    sent = event(
        traceparent="00-1-2-03", tracestate="a=1", correlationid="c", causationid="d",
        dataschema="https://x/y/1", datacontenttype="application/json; charset=utf-8",
        sequence=10, ratio=1.50, partitionkey="ada", empty=None,
    )  # fmt: skip
    assert context(sent) == {
        "traceparent": "00-1-2-03", "tracestate": "a=1", "correlationid": "c", "causationid": "d",
        "dataschema": "https://x/y/1", "sequence": 10, "ratio": 1.5,
    }  # fmt: skip
    assert "ada" not in stored(sent).data


@pytest.mark.parametrize(
    ("dataschema", "version", "known"),
    [
        (None, 1, True),
        ("https://x/judged", 1, True),
        ("https://x/judged/1", 1, True),
        ("https://x/judged/01", 1, True),
        ("https://x/judged/2", 2, False),
        ("https://x/judged/0", 0, False),
        ("https://x/judged/2147483647", 2_147_483_647, False),
        ("https://x/judged/1.2", 1, True),
    ],
)
def test_the_version_ends_the_dataschema(dataschema: str | None, version: int, known: bool) -> None:
    parsed = stored(event(dataschema=dataschema or ...))
    assert (parsed.version, parsed.known, parsed.learner_id) == (version, known, "ada")


@pytest.mark.parametrize("data", [{"n": 1}, [1, "é"], "text", 1.50, True, None])
def test_an_unknown_type_is_kept_whatever_its_data(data: Any) -> None:
    parsed = stored(unknown(data=data))
    assert not parsed.known
    assert json.loads(parsed.data) == data


def test_an_unknown_type_needs_neither_time_nor_data() -> None:
    parsed = stored(unknown(time=..., data=...))
    assert (parsed.occurred_at, parsed.data) == (None, "null")


@pytest.mark.parametrize("prefix", ["learning", "algorithm", "user", "ai"])
def test_the_subject_of_an_unknown_learner_type_is_a_learner(prefix: str) -> None:
    sent = unknown(type=f"{prefix}.NeverHeard")
    assert stored(sent).learner_id == "ada"
    assert "subject" not in context(sent)


@pytest.mark.parametrize("type_", ["com.example.thing", "vocabulary.NeverHeard", "learningX.Y"])
def test_the_subject_of_any_other_unknown_type_stays_in_the_context(type_: str) -> None:
    sent = unknown(type=type_)
    assert stored(sent).learner_id is None
    assert context(sent) == {"subject": "ada"}


def test_base64_of_an_unknown_type_stays_base64_and_says_so() -> None:
    sent = unknown(data=..., data_base64="AAEC", datacontenttype="image/png", subject=...)
    assert stored(sent).data == '"AAEC"'
    assert context(sent) == {"datacontenttype": "image/png", "data_base64": True}


def test_base64_of_a_known_type_is_read_as_its_json() -> None:
    wrapped = base64.b64encode(json.dumps(DATA).encode()).decode()
    parsed = stored(event(data=..., data_base64=wrapped))
    assert json.loads(parsed.data) == DATA
    assert parsed.context is None
    twice = base64.b64encode(b'{"item_id":"a","item_id":"b"}').decode()
    assert refused(event(data=..., data_base64=twice)).path == "data.item_id"
    assert refused(event(data=..., data_base64="!")).path == "data_base64"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["UserCreated", "PreferencesUpdated", "UserRenamed"])
def test_no_email_and_no_name_reaches_the_log(name: str, version: int) -> None:
    private = {"email": "ada@example.org", "name": "Ada", "nested": {"email": "ada@example.org"}}
    public = {"time_zone": "Europe/Paris", "day_rollover_hour": 4}
    parsed = stored(event(
        type=f"user.{name}", data=private | public, dataschema=f"x/{version}", useremail="ada@x",
    ))  # fmt: skip
    assert json.loads(parsed.data) == public
    assert "ada" not in f"{parsed.data}{parsed.context}".lower()
    changes = ProfileChange("Europe/Paris", 4) if parsed.known else None
    assert parsed.profile == changes


def test_preferences_that_say_nothing_about_the_calendar_change_no_profile() -> None:
    assert stored(event(type="user.PreferencesUpdated", data={"locale": "fr"})).profile is None


def test_unknown_user_data_that_is_no_object_is_dropped() -> None:
    assert stored(event(type="user.Renamed", data="Ada")).data == "null"


def test_a_duplicate_key_is_named() -> None:
    body = json.dumps(event()).encode()
    for before, after, path in (
        (b'"id": "e-1"', b'"id": "e-1", "id": "e-2"', "id"),
        (b'"item_id": "w-1"', b'"item_id": "w-1", "item_id": "w-1"', "data.item_id"),
        (b'"id": "e-1"', b'"id": "e-1", "x": {"y": 1, "y": 2}', "x.y"),
    ):
        parsed = decode_structured(body.replace(before, after), now=NOW)
        assert isinstance(parsed, InvalidEvent)
        assert parsed.path == path


def test_an_event_is_too_large_beyond_its_limit_only() -> None:
    room = MAX_EVENT_BYTES - len(json.dumps(unknown(data="")))
    assert stored(unknown(data="x" * room))
    verdict = refused(unknown(data="x" * (room + 1)))
    assert str(MAX_EVENT_BYTES) in verdict.reason


def test_a_voiding_event_names_its_target() -> None:
    parsed = stored(event(type="learning.EventVoided", data={"source": "/app", "id": "e-0"}))
    assert parsed.voids == ("/app", "e-0")
