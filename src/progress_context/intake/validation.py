"""A CloudEvent's attributes and payload become an event for the log, or a reason why not."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import Raw

from progress_context.intake.catalogue import (
    CATALOGUE,
    OWN_SOURCE,
    KnownType,
    is_about_learner,
    is_own,
    is_private,
    keep_public_fields,
)
from progress_context.intake.envelope import Envelope, refuse, refuse_complaint
from progress_context.intake.event_type import check_name
from progress_context.intake.instant import read_instant
from progress_context.intake.learning_day import zone_of
from progress_context.log.event import NewEvent, ProfileChange

DEFAULT_MAX_SKEW = timedelta(hours=24)

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_VERSION = 2_147_483_647
_VERSION = re.compile(r"/([0-9]+)\Z")

_KEPT = ("timezone", "traceparent", "tracestate", "correlationid", "causationid", "dataschema")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Payload(NamedTuple):
    """An event's data as JSON; `is_base64` when that is our wrapping of other bytes."""

    json: bytes
    is_base64: bool = False


NO_PAYLOAD = Payload(b"")


class _Meaning(NamedTuple):
    """What is to be stored of a payload, and what it says beyond that."""

    json: bytes
    learner_id: str | None
    profile: ProfileChange | None = None
    voids: tuple[str, str] | None = None


def build_event(
    envelope: Envelope, payload: Payload, extensions: dict[str, Any], latest: datetime
) -> NewEvent:
    """The event for the log. Raises IntakeError with the path of the first rule it breaks.

    The payload must be free of flaws already. `latest` is the last moment at which anything can
    have happened.
    """
    if reason := check_name(envelope.source, envelope.id):
        raise refuse("source", reason)
    if is_own(envelope.type):
        raise refuse("type", "Events of type progress.* are sent by this service itself, and by nobody else")
    if envelope.source == OWN_SOURCE:
        raise refuse("source", "The name of this service itself; nobody else sends under it")
    version = _read_version(envelope.dataschema)
    known = CATALOGUE.get((envelope.type, version))
    occurred_at, offset = _read_time(envelope.time, latest, is_required=known is not None)
    zone = _read_zone(envelope.timezone)
    meaning = _read_payload(envelope, payload, known)
    context = _build_context(envelope, payload, extensions, meaning.learner_id)
    return NewEvent(
        source=envelope.source,
        id=envelope.id,
        type=envelope.type,
        version=version,
        learner_id=meaning.learner_id,
        occurred_at=occurred_at,
        zone=zone or offset,
        data=str(meaning.json, "utf-8"),
        context=str(_encode(context), "utf-8") if context else None,
        known=known is not None,
        profile=meaning.profile,
        voids=meaning.voids,
    )


def is_known(envelope: Envelope) -> bool:
    """Whether the catalogue has this type in this version. Raises IntakeError for the version."""
    return (envelope.type, _read_version(envelope.dataschema)) in CATALOGUE


def is_json_type(content_type: str | None) -> bool:
    """Whether this media type says JSON, as does its absence."""
    if content_type is None or content_type == "application/json":
        return True
    essence = content_type.partition(";")[0].strip().lower()
    return essence in ("application/json", "text/json") or essence.endswith("+json")


def _read_version(dataschema: str | None) -> int:
    if dataschema is None:
        return 1
    match = _VERSION.search(dataschema)
    if match is None:
        return 1
    digits = match[1].lstrip("0")
    if len(digits) > 10 or int(digits or "0") > _MAX_VERSION:
        raise refuse("dataschema", f"The version at its end is beyond {_MAX_VERSION}")
    return int(digits or "0")


def _read_time(
    text: str | None, latest: datetime, *, is_required: bool
) -> tuple[datetime | None, str | None]:
    if text is None:
        if is_required:
            raise refuse("time", "Required: when it happened, in RFC 3339 with an offset")
        return None, None
    try:
        occurred_at, offset = read_instant(text)
    except ValueError as error:
        raise refuse("time", str(error)) from None
    if occurred_at < _EARLIEST:
        raise refuse("time", "Before 1970")
    if occurred_at > latest:
        raise refuse("time", f"In the future, after {latest.isoformat(timespec='seconds')}")
    return occurred_at, offset


def _read_zone(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        zone_of(text)
    except ValueError as error:
        raise refuse("timezone", str(error)) from None
    return text


def _read_payload(envelope: Envelope, payload: Payload, known: KnownType | None) -> _Meaning:
    return _read_known(envelope, payload, known) if known else _keep_unknown(envelope, payload)


def _read_known(envelope: Envelope, payload: Payload, known: KnownType) -> _Meaning:
    if not payload.json:
        raise refuse("data", "Required")
    try:
        event = known.decode(payload.json)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise refuse_complaint(error, "data") from None
    data = _encode(event) if known.private else payload.json
    if known.subject == "item":
        _check_item_subject(envelope.subject, cast("Any", event).item_id)
        return _Meaning(data, None)
    if envelope.subject is None:
        raise refuse("subject", f"Required: the learner this {known.name} is about")
    return _Meaning(data, envelope.subject, event.profile(), event.voids())


def _check_item_subject(subject: str | None, item_id: str) -> None:
    if subject is not None and subject != item_id:
        raise refuse("subject", "Another item than data.item_id")


def _keep_unknown(envelope: Envelope, payload: Payload) -> _Meaning:
    learner_id = envelope.subject if is_about_learner(envelope.type) else None
    data = payload.json or b"null"
    if is_private(envelope.type):
        sent = _decode(data)
        data = _encode(keep_public_fields(sent)) if isinstance(sent, dict) else b"null"
    return _Meaning(data, learner_id)


def _build_context(
    envelope: Envelope, payload: Payload, extensions: dict[str, Any], learner_id: str | None
) -> dict[str, Any]:
    """What the sender said around the data, less the learner's id and everything private."""
    context: dict[str, Any] = {}
    if learner_id is None and envelope.subject is not None:
        context["subject"] = envelope.subject
    if envelope.time is not None and envelope.time[-1] not in "Zz":
        context["time"] = envelope.time
    for name in _KEPT:
        if (value := getattr(envelope, name)) is not None:
            context[name] = value
    if not is_json_type(envelope.datacontenttype):
        context["datacontenttype"] = envelope.datacontenttype
    if payload.is_base64:
        context["data_base64"] = True
    if extensions and not is_private(envelope.type):
        context.update(_without_learner(extensions, learner_id))
    return context


def _without_learner(extensions: dict[str, Any], learner_id: str | None) -> dict[str, Any]:
    """The extensions that do not repeat the learner's id, as a partition key often does."""
    return {
        name: value
        for name, value in extensions.items()
        if (_decode(value) if isinstance(value, Raw) else value) != learner_id
    }
