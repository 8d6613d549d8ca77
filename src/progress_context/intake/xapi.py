"""xAPI 1.0.3 and 2.0 statements become events of the catalogue.

Whatever is mapped passes the same checks as a CloudEvent. An offset of `+00:00` is read as `Z`:
learning record stores convert to UTC, so it says nothing about where the learner was, and the
learner's profile or the default decides about the learning day.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Any

import msgspec

from progress_context.errors import IntakeError
from progress_context.intake.documents import check_json, split_array, split_lines
from progress_context.intake.envelope import (
    MAX_EVENT_BYTES,
    MAX_SUBJECT,
    Envelope,
    Parsed,
    invalid_event,
    invalid_line,
    refuse,
    refuse_complaint,
)
from progress_context.intake.instant import read_duration
from progress_context.intake.json_guard import find_flaw
from progress_context.intake.validation import DEFAULT_MAX_SKEW, Payload, build_event
from progress_context.intake.xapi_statement import (
    Statement,
    identifier_of,
    session_of,
    without_identifiers,
)
from progress_context.log.event import NewEvent

VOIDED = "http://adlnet.gov/expapi/verbs/voided"
DEFAULT_SOURCE = "xapi"

_JUDGED = frozenset({"answered", "passed", "failed"})
_ENDED = frozenset({"completed", "terminated"})
_SUCCESS_BY_VERB = {"passed": True, "failed": False}
_UTC = re.compile(r"[+-]00(?::?00)?\Z")
_BARE_OFFSET = re.compile(r"([+-][0-9]{2}):?([0-9]{2})?\Z")

# Where the field of a mapped event comes from, to name the path the sender knows.
_ORIGINS = {
    "subject": "actor",
    "data.item_id": "object.id",
    "data.activity_id": "object.id",
    "data.id": "object.id",
    "data.source": "object.id",
    "data.verb": "verb.id",
    "data.session_id": "context",
    "data.duration_seconds": "result.duration",
    "data.response_time_ms": "result.duration",
}

_encode = msgspec.json.Encoder().encode
_read_statement = msgspec.json.Decoder(Statement).decode


def map_statement(
    statement: bytes | dict[str, Any], *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW
) -> Parsed:
    """The event a statement stands for. Raises IntakeError when the bytes are not JSON."""
    if isinstance(statement, dict):
        statement = json.dumps(statement).encode()
    else:
        check_json(statement)
    return read_statement(statement, now + max_skew)


def map_statements(body: bytes, *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW) -> list[Parsed]:
    """The events of a body that is one statement or an array of them, each judged on its own.

    Raises IntakeError when the body is not JSON.
    """
    if not body.lstrip().startswith(b"["):
        return [map_statement(body, now=now, max_skew=max_skew)]
    return [read_statement(raw, now + max_skew) for raw in split_array(body)]


def map_statement_lines(
    body: bytes, *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW
) -> list[Parsed]:
    """One statement a line, blank lines left out, each judged on its own."""
    latest = now + max_skew
    return [invalid_line(read_statement(raw, latest), number) for number, raw in split_lines(body)]


def read_statement(raw: bytes, latest: datetime) -> Parsed:
    """The event of the statement in one JSON object, which must have happened by `latest`."""
    try:
        return _map(raw, latest)
    except IntakeError as error:
        return invalid_event(raw, error)


def _map(raw: bytes, latest: datetime) -> NewEvent:
    if len(raw) > MAX_EVENT_BYTES:
        raise refuse("", f"More than {MAX_EVENT_BYTES} bytes")
    if flaw := find_flaw(raw):
        raise refuse(flaw.path, flaw.reason)
    try:
        statement = _read_statement(raw)
    except msgspec.ValidationError as error:
        raise refuse_complaint(error, "") from None
    type_, data = _meaning(statement)
    data["statement"] = without_identifiers(raw)
    time_path, time = _time_of(statement)
    envelope = Envelope(
        specversion="1.0",
        id=statement.id,
        source=_source_of(statement),
        type=type_,
        subject=_learner_of(statement),
        time=time,
    )
    try:
        return build_event(envelope, Payload(_encode(data)), {}, latest)
    except IntakeError as error:
        origin = time_path if error.path == "time" else _ORIGINS.get(error.path, error.path)
        raise refuse(origin, error.message) from None


def _learner_of(statement: Statement) -> str:
    learner_id = identifier_of(statement.actor)
    if len(learner_id) > MAX_SUBJECT:
        raise refuse("actor", f"An identifier of more than {MAX_SUBJECT} characters")
    return learner_id


def _source_of(statement: Statement) -> str:
    """The home page of the actor's account, else of the authority's, else `xapi`."""
    if statement.actor.account is not None:
        return statement.actor.account.home_page
    authority = statement.authority
    if authority is None or authority.account is None:
        return DEFAULT_SOURCE
    return authority.account.home_page


def _time_of(statement: Statement) -> tuple[str, str]:
    """The member that says when it happened, and the time in it, as RFC 3339."""
    path, text = "timestamp", statement.timestamp
    if text is None:
        path, text = "stored", statement.stored
    if text is None:
        raise refuse("timestamp", "Required, unless there is `stored`")
    if text[-1:] in ("Z", "z"):
        return path, text
    if _UTC.search(text):
        return path, _UTC.sub("Z", text)
    return path, _with_colon(text)


def _with_colon(text: str) -> str:
    """ISO 8601 also knows offsets as +0100 and +01."""
    if "T" not in text.upper():
        return text
    return _BARE_OFFSET.sub(lambda match: f"{match[1]}:{match[2] or '00'}", text)


def _meaning(statement: Statement) -> tuple[str, dict[str, Any]]:
    """The event type of a statement and its data."""
    if statement.verb.id == VOIDED:
        return _voided(statement)
    verb = _verb_of(statement.verb.id)
    session_id = session_of(statement)
    session = {} if session_id is None else {"session_id": session_id}
    seconds = _seconds_of(statement)
    is_correct = _success_of(statement, verb)
    if is_correct is not None:
        return "learning.CorrectnessJudged", session | _judged(statement, is_correct, seconds)
    spent = {} if seconds is None else {"duration_seconds": seconds}
    if session and verb == "initialized":
        return "learning.SessionStarted", session
    if session and verb in _ENDED:
        return "learning.SessionCompleted", session | spent
    activity = {"activity_id": statement.object.id, "verb": verb}
    return "learning.ActivityRecorded", session | activity | spent


def _voided(statement: Statement) -> tuple[str, dict[str, Any]]:
    if statement.object.object_type != "StatementRef":
        raise refuse("object.objectType", "Expected StatementRef: the statement to void")
    named = {"source": _source_of(statement), "id": statement.object.id}
    return "learning.EventVoided", named


def _verb_of(iri: str) -> str:
    """The last segment of the verb's IRI, by which all vocabularies name the same acts alike."""
    return re.split(r"[/#]", iri)[-1] or iri


def _seconds_of(statement: Statement) -> float | None:
    if statement.result is None or statement.result.duration is None:
        return None
    try:
        seconds = read_duration(statement.result.duration)
    except ValueError as error:
        raise refuse("result.duration", str(error)) from None
    return int(seconds) if seconds.is_integer() else seconds


def _success_of(statement: Statement, verb: str) -> bool | None:
    """Whether an answer was right, `None` for acts and results that do not say."""
    if verb not in _JUDGED or statement.result is None:
        return None
    if statement.result.success is not None:
        return statement.result.success
    return _SUCCESS_BY_VERB.get(verb)


def _judged(statement: Statement, is_correct: bool, seconds: float | None) -> dict[str, Any]:
    judgment = "UserConfirmedCorrect" if is_correct else "UserConfirmedIncorrect"
    data: dict[str, Any] = {"item_id": statement.object.id, "judgment": judgment}
    if seconds is not None:
        data["response_time_ms"] = round(seconds * 1000)
    return data
