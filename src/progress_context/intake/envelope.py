"""The CloudEvents envelope, and the words in which an event is refused."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from progress_context.errors import IntakeError
from progress_context.intake.event_type import Id, Iri
from progress_context.log.event import NewEvent, Outcome

MAX_EVENT_BYTES = 256 * 1024
MAX_SUBJECT = 512
MAX_REASON = 500

Attribute = Annotated[str, Meta(max_length=4_096)]

_COMPLAINT = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")


class Envelope(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The attributes of a CloudEvent that mean something here; `data` stays as sent."""

    specversion: Literal["1.0"]
    id: Id
    source: Iri
    type: Id
    data: Raw | UnsetType = UNSET
    data_base64: str | None = None
    time: Attribute | None = None
    subject: Annotated[str, Meta(min_length=1, max_length=MAX_SUBJECT)] | None = None
    timezone: Attribute | None = None
    dataschema: Attribute | None = None
    datacontenttype: Attribute | None = None
    traceparent: Attribute | None = None
    tracestate: Attribute | None = None
    correlationid: Attribute | None = None
    causationid: Attribute | None = None


class BareEnvelope(Envelope, forbid_unknown_fields=True, gc=False):
    """An envelope without extension attributes that mean nothing here."""


class InvalidEvent(msgspec.Struct, frozen=True, gc=False):
    """An event that cannot be stored: the field at `path` is wrong for `reason`.

    `source` and `id` are set as far as they could be read.
    """

    source: str | None
    id: str | None
    path: str
    reason: str

    @property
    def outcome(self) -> Outcome:
        """The answer to the sender."""
        return Outcome("invalid", path=self.path, reason=self.reason)


Parsed: TypeAlias = NewEvent | InvalidEvent


def refuse(path: str, reason: str) -> IntakeError:
    """The field at `path` makes its event invalid."""
    return IntakeError(400, "invalid_event", reason[:MAX_REASON], path)


def refuse_complaint(error: msgspec.ValidationError | UnicodeDecodeError, at: str) -> IntakeError:
    """What msgspec says about the value at `at`, as a path and a reason."""
    if isinstance(error, UnicodeDecodeError):
        return refuse(at, f"Not UTF-8: {error.reason}")
    match = _COMPLAINT.fullmatch(str(error))
    reason, below = match.groups() if match else (str(error), None)
    if missing := _MISSING.fullmatch(reason):
        below = f"{below}.{missing[1]}" if below else missing[1]
        reason = "Required"
    separator = "." if at and below and not below.startswith("[") else ""
    return refuse(f"{at}{separator}{below or ''}", reason)


def invalid_event(raw: bytes, error: IntakeError) -> InvalidEvent:
    """The refusal of the JSON object `raw`, under its name where that can be read."""
    members: dict[str, Any] = {}
    with suppress(ValueError, RecursionError):
        sent = json.loads(raw)
        members = sent if isinstance(sent, dict) else {}
    source, event_id = (_text_or_none(members.get(name)) for name in ("source", "id"))
    return InvalidEvent(source, event_id, error.path, error.message)


def _text_or_none(value: object) -> str | None:
    """A string that an answer can carry: not another type, no half of a surrogate pair."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()


def invalid_line(parsed: Parsed, number: int) -> Parsed:
    """The same verdict; a refusal also says which line it is about."""
    if isinstance(parsed, NewEvent):
        return parsed
    reason = f"Line {number}: {parsed.reason}"
    return InvalidEvent(parsed.source, parsed.id, parsed.path, reason)
