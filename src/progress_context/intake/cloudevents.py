"""CloudEvents 1.0 as JSON: one event, an array of events, or one event a line."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from progress_context.errors import IntakeError
from progress_context.intake.documents import check_json, split_array, split_lines
from progress_context.intake.envelope import (
    MAX_EVENT_BYTES,
    BareEnvelope,
    Envelope,
    Parsed,
    invalid_event,
    invalid_line,
    refuse,
    refuse_complaint,
)
from progress_context.intake.json_guard import find_flaw, is_plain, is_shallow
from progress_context.intake.validation import (
    DEFAULT_MAX_SKEW,
    NO_PAYLOAD,
    Payload,
    build_event,
    is_known,
)

_ATTRIBUTES = frozenset(Envelope.__struct_fields__)

_encode = msgspec.json.Encoder().encode
_decode_bare_envelope = msgspec.json.Decoder(BareEnvelope).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode


def decode_structured(body: bytes, *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW) -> Parsed:
    """The one event of a body in structured mode (`application/cloudevents+json`).

    Raises IntakeError when the body is not JSON; an event that breaks a rule is an InvalidEvent.
    """
    check_json(body)
    return read_event(body, now + max_skew)


def decode_batch(body: bytes, *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW) -> list[Parsed]:
    """The events of a JSON array (`application/cloudevents-batch+json`), each judged on its own.

    Raises IntakeError when the body is not a JSON array.
    """
    return read_array(body, split_array(body), now + max_skew)


def decode_lines(body: bytes, *, now: datetime, max_skew: timedelta = DEFAULT_MAX_SKEW) -> list[Parsed]:
    """One event a line (`application/x-ndjson`), blank lines left out, each judged on its own.

    A line that is not JSON is invalid alone; its reason gives the number of the line.
    """
    latest = now + max_skew
    return [invalid_line(read_event(raw, latest), number) for number, raw in split_lines(body)]


def read_array(body: bytes, elements: list[bytes], latest: datetime) -> list[Parsed]:
    """The events in the elements of the array `body`; a plain body is proved so once, not by element."""
    plain = len(body) <= MAX_EVENT_BYTES and is_plain(body)
    return [read_event(raw, latest, plain=plain) for raw in elements]


def read_event(raw: bytes, latest: datetime, *, plain: bool = False) -> Parsed:
    """The event in one JSON object, which must have happened by `latest`.

    `plain` says that the JSON guard found the object plain already.
    """
    try:
        return _read_event(raw, latest, plain)
    except IntakeError as error:
        return invalid_event(raw, error)


def _read_event(raw: bytes, latest: datetime, plain: bool) -> Parsed:
    if len(raw) > MAX_EVENT_BYTES:
        raise refuse("", f"More than {MAX_EVENT_BYTES} bytes")
    if not (plain and is_shallow(raw)) and (flaw := find_flaw(raw)):
        raise refuse(flaw.path, flaw.reason)
    envelope, extensions = _read_envelope(raw)
    return build_event(envelope, _payload(envelope), extensions, latest)


def _read_envelope(raw: bytes) -> tuple[Envelope, dict[str, Any]]:
    """The attributes that mean something here, and the others; most events have no others."""
    try:
        return _decode_bare_envelope(raw), {}
    except msgspec.ValidationError:
        pass
    try:
        return _decode_envelope(raw), _extensions(raw)
    except msgspec.ValidationError as error:
        raise refuse_complaint(error, "") from None


def _payload(envelope: Envelope) -> Payload:
    if envelope.data_base64 is not None:
        return _unwrap(envelope, envelope.data_base64)
    return NO_PAYLOAD if envelope.data is UNSET else Payload(bytes(envelope.data))


def _unwrap(envelope: Envelope, text: str) -> Payload:
    """Bytes in base64: kept so for a type nobody knows, read as JSON for one that has fields."""
    if envelope.data is not UNSET:
        raise refuse("data_base64", "An event has data or data_base64, not both")
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refuse("data_base64", "Not base64") from None
    if not is_known(envelope):
        return Payload(_encode(text), is_base64=True)
    if flaw := find_flaw(content):
        raise refuse(f"data.{flaw.path}" if flaw.path else "data_base64", flaw.reason)
    return Payload(content)


def _extensions(raw: bytes) -> dict[str, Any]:
    """The attributes that mean nothing here, as sent; null is the same as absent."""
    return {
        name: value
        for name, value in _decode_members(raw).items()
        if name not in _ATTRIBUTES and bytes(value) != b"null"
    }
