"""xAPI statements become events of the catalogue, without the persons in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from progress_context.errors import IntakeError
from progress_context.intake.envelope import MAX_EVENT_BYTES, InvalidEvent
from progress_context.intake.xapi import map_statement, map_statements
from progress_context.log.event import NewEvent

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ADL = "http://adlnet.gov/expapi/verbs/"
SESSION = {"extensions": {"https://w3id.org/xapi/video/extensions/session-id": "s-1"}}
ACCOUNT = {"account": {"homePage": "https://school.example", "name": "ada"}}


def statement(name: str = "answered", /, **changes: Any) -> dict[str, Any]:
    """A valid statement with some members changed; `...` takes one away."""
    whole: dict[str, Any] = {
        "id": "7f3c1f0e-0000-4000-8000-000000000001",
        "actor": ACCOUNT,
        "verb": {"id": name if ":" in name else ADL + name},
        "object": {"id": "https://school.example/quiz/1"},
        "timestamp": "2026-03-01T12:00:00+01:00",
    } | changes
    return {name: value for name, value in whole.items() if value is not ...}


def stored(sent: dict[str, Any]) -> tuple[NewEvent, dict[str, Any]]:
    """The event, and its data without the statement."""
    parsed = map_statement(sent, now=NOW)
    assert isinstance(parsed, NewEvent), parsed
    data = json.loads(parsed.data)
    assert data.pop("statement")["id"] == sent["id"]
    return parsed, data


def kept(sent: dict[str, Any]) -> dict[str, Any]:
    return json.loads(stored(sent)[0].data)["statement"]


ACTIVITY = {"activity_id": "https://school.example/quiz/1"}
JUDGED = {"item_id": "https://school.example/quiz/1"}


@pytest.mark.parametrize(
    ("sent", "type_", "data"),
    [
        (
            statement("initialized", context=SESSION),
            "learning.SessionStarted",
            {"session_id": "s-1"},
        ),
        (
            statement("initialized", context={"registration": "r-1"}),
            "learning.SessionStarted",
            {"session_id": "r-1"},
        ),
        (statement("initialized"), "learning.ActivityRecorded", ACTIVITY | {"verb": "initialized"}),
        (
            statement("terminated", context=SESSION, result={"duration": "PT1M30.5S"}),
            "learning.SessionCompleted",
            {"session_id": "s-1", "duration_seconds": 90.5},
        ),
        (
            statement("completed", context=SESSION | {"registration": "r-1"}),
            "learning.SessionCompleted",
            {"session_id": "s-1"},
        ),
        (statement("completed"), "learning.ActivityRecorded", ACTIVITY | {"verb": "completed"}),
        (
            statement("answered", result={"success": True, "duration": "PT1.2346S"}),
            "learning.CorrectnessJudged",
            JUDGED | {"judgment": "UserConfirmedCorrect", "response_time_ms": 1235},
        ),
        (
            statement("answered", result={"success": False}, context=SESSION),
            "learning.CorrectnessJudged",
            JUDGED | {"judgment": "UserConfirmedIncorrect", "session_id": "s-1"},
        ),
        (
            statement("passed", result={"score": {"scaled": 0.9}}),
            "learning.CorrectnessJudged",
            JUDGED | {"judgment": "UserConfirmedCorrect"},
        ),
        (
            statement("failed", result={}),
            "learning.CorrectnessJudged",
            JUDGED | {"judgment": "UserConfirmedIncorrect"},
        ),
        (
            statement("answered", result={"response": "b"}),
            "learning.ActivityRecorded",
            ACTIVITY | {"verb": "answered"},
        ),
        (statement("passed"), "learning.ActivityRecorded", ACTIVITY | {"verb": "passed"}),
        (
            statement("https://w3id.org/xapi/video/verbs/played", context=SESSION),
            "learning.ActivityRecorded",
            ACTIVITY | {"verb": "played", "session_id": "s-1"},
        ),
        (
            statement("http://id.tincanapi.com/verb#viewed", result={"duration": "PT4M"}),
            "learning.ActivityRecorded",
            ACTIVITY | {"verb": "viewed", "duration_seconds": 240},
        ),
        (
            statement("urn:verbs:read/"),
            "learning.ActivityRecorded",
            ACTIVITY | {"verb": "urn:verbs:read/"},
        ),
        (
            statement("http://school.example/voided"),
            "learning.ActivityRecorded",
            ACTIVITY | {"verb": "voided"},
        ),
    ],
)
def test_a_verb_becomes_its_event(sent: dict[str, Any], type_: str, data: dict[str, Any]) -> None:
    parsed, said = stored(sent)
    assert (parsed.type, said) == (type_, data)
    assert parsed.known


def test_name_time_and_zone_come_from_the_statement() -> None:
    parsed, _ = stored(statement())
    assert parsed.source == "https://school.example"
    assert parsed.id == "7f3c1f0e-0000-4000-8000-000000000001"
    assert parsed.learner_id == "https://school.example|ada"
    assert parsed.occurred_at == datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
    assert parsed.zone == "+01:00"


@pytest.mark.parametrize(
    ("time", "zone"),
    [
        ("2026-03-01T12:00:00Z", None),
        ("2026-03-01T12:00:00+00:00", None),
        ("2026-03-01T12:00:00-00:00", None),
        ("2026-03-01T12:00:00+0000", None),
        ("2026-03-01T12:00:00.123+00", None),
        ("2026-03-01T12:00:00+0530", "+05:30"),
        ("2026-03-01T12:00:00-09", "-09:00"),
    ],
)
def test_an_offset_of_zero_says_nothing_about_the_zone(time: str, zone: str | None) -> None:
    assert stored(statement(timestamp=time))[0].zone == zone


def test_without_a_timestamp_the_time_is_when_it_was_stored() -> None:
    parsed, _ = stored(statement(timestamp=..., stored="2026-03-02T12:00:00Z"))
    assert parsed.occurred_at == datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("actor", "learner_id"),
    [
        ({"mbox": "mailto:ada@school.example"}, "mailto:ada@school.example"),
        ({"mbox_sha1sum": "AB" * 20}, "mbox_sha1sum:" + "ab" * 20),
        ({"openid": "https://id.example/ada"}, "https://id.example/ada"),
        ({"objectType": "Group", **ACCOUNT, "member": [ACCOUNT]}, "https://school.example|ada"),
    ],
)
def test_every_identifier_makes_a_learner_and_stays_out_of_the_data(
    actor: dict[str, Any], learner_id: str
) -> None:
    sent = statement(actor=actor | {"name": "Ada Lovelace"})
    parsed, _ = stored(sent)
    assert parsed.learner_id == learner_id
    assert "ada" not in f"{parsed.data}{parsed.context}".lower()
    assert kept(sent)["actor"] == {"objectType": actor.get("objectType", "Agent")}


def test_the_source_without_an_account_is_the_authority_else_xapi() -> None:
    actor = {"mbox": "mailto:ada@school.example"}
    assert stored(statement(actor=actor))[0].source == "xapi"
    authority = {"account": {"homePage": "https://lrs.example", "name": "key-1"}}
    assert stored(statement(actor=actor, authority=authority))[0].source == "https://lrs.example"


def test_other_persons_are_taken_out_wherever_they_stand() -> None:
    eve = {"name": "Eve", "mbox": "mailto:eve@x.example", "objectType": "Agent"}
    sent = statement(
        authority=ACCOUNT | {"name": "Eve"},
        context={
            "instructor": eve,
            "team": {"objectType": "Group", "name": "Eve's", "member": [eve]},
            "contextAgents": [{"objectType": "contextAgent", "agent": eve}],
            "extensions": {"x:peer": {"openid": "https://eve.example"}, "x:n": 1.50},
        },
        object={"id": "urn:quiz", "definition": {"name": {"en": "Evening quiz"}}},
    )
    text = json.dumps(kept(sent))
    assert "eve@" not in text
    assert "Eve'" not in text
    assert '"Eve"' not in text
    assert "eve.example" not in text
    assert "ada" not in text
    assert kept(sent)["authority"] == {"account": {"homePage": "https://school.example"}}
    assert kept(sent)["object"] == sent["object"]


def test_numbers_are_kept_as_sent_even_around_persons() -> None:
    body = json.dumps(statement(context={"instructor": ACCOUNT, "extensions": {"x:n": 7}}))
    exact = body.replace(": 7}", ": 0.10000000000000000000001}")
    parsed = map_statement(exact.encode(), now=NOW)
    assert isinstance(parsed, NewEvent)
    assert "0.10000000000000000000001" in parsed.data


def test_an_escaped_key_hides_nobody() -> None:
    body = json.dumps(statement(context={"instructor": {"mbox": "mailto:eve@x.example"}}))
    hidden = body.replace('"mbox"', '"\\u006dbox"').encode()
    parsed = map_statement(hidden, now=NOW)
    assert isinstance(parsed, NewEvent)
    assert "eve@" not in parsed.data


def test_a_voiding_statement_voids_one_of_its_source() -> None:
    sent = statement("voided", object={"objectType": "StatementRef", "id": "7f3c"})
    parsed, data = stored(sent)
    assert parsed.type == "learning.EventVoided"
    assert parsed.voids == ("https://school.example", "7f3c")
    assert data == {"source": "https://school.example", "id": "7f3c"}


SEVERAL = ACCOUNT | {"mbox": "mailto:ada@school.example"}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"id": ...}, "id"),
        ({"id": 7}, "id"),
        ({"actor": ...}, "actor"),
        ({"actor": {}}, "actor"),
        ({"actor": {"objectType": "Group", "member": [ACCOUNT]}}, "actor"),
        ({"actor": SEVERAL}, "actor"),
        ({"actor": {"objectType": "Robot"}}, "actor.objectType"),
        ({"actor": {"account": {"name": "ada"}}}, "actor.account.homePage"),
        ({"actor": {"account": {"name": "", "homePage": "x"}}}, "actor.account.name"),
        ({"actor": {"account": {"name": "a" * 500, "homePage": "x" * 20}}}, "actor"),
        ({"actor": {"mbox": "ada@school.example"}}, "actor.mbox"),
        ({"actor": {"mbox_sha1sum": "abc"}}, "actor.mbox_sha1sum"),
        ({"actor": {"openid": "ada"}}, "actor.openid"),
        ({"verb": ...}, "verb"),
        ({"verb": {}}, "verb.id"),
        ({"verb": {"id": ""}}, "verb.id"),
        ({"verb": "answered"}, "verb"),
        ({"object": ...}, "object"),
        ({"object": {}}, "object.id"),
        ({"object": {"id": "x", "objectType": "SubStatement"}}, "object.objectType"),
        ({"object": {"id": "x", "objectType": "Agent"}}, "object.objectType"),
        ({"object": {"id": "x" * 201}, "result": {"success": True}}, "object.id"),
        ({"result": {"success": "yes"}}, "result.success"),
        ({"result": {"duration": "4 minutes"}}, "result.duration"),
        ({"result": {"duration": "P9999999W"}}, "result.duration"),
        ({"context": {"registration": 7}}, "context.registration"),
        ({"timestamp": ...}, "timestamp"),
        ({"timestamp": "2026-03-01"}, "timestamp"),
        ({"timestamp": "2026-03-01T12:00:00"}, "timestamp"),
        ({"timestamp": "2099-03-01T12:00:00Z"}, "timestamp"),
        ({"timestamp": ..., "stored": "yesterday"}, "stored"),
        ({"verb": {"id": ADL + "voided"}}, "object.objectType"),
        ({"extra": "\0"}, "extra"),
        ({"extra": "\ud800"}, "extra"),
        ({"extra": float("nan")}, ""),
        ({"extra": "x" * MAX_EVENT_BYTES}, ""),
    ],
)
def test_a_broken_statement_is_refused_at_its_path(changes: dict[str, Any], path: str) -> None:
    sent = statement(**changes)
    parsed = map_statement(sent, now=NOW)
    assert isinstance(parsed, InvalidEvent), parsed
    assert parsed.path == path
    assert parsed.id == (sent.get("id") if isinstance(sent.get("id"), str) else None)


def test_one_statement_and_an_array_of_them_are_read_alike() -> None:
    one, bad = statement(), statement(id="x", verb={})
    parsed = map_statements(json.dumps([one, bad, 7]).encode(), now=NOW)
    assert [type(p) for p in parsed] == [NewEvent, InvalidEvent, InvalidEvent]
    assert map_statements(b" " + json.dumps(one).encode(), now=NOW) == parsed[:1]
    with pytest.raises(IntakeError):
        map_statements(b"[", now=NOW)
    with pytest.raises(IntakeError):
        map_statement(b"{", now=NOW)
