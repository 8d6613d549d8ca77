"""CloudEvents 1.0 over HTTP in binary mode: attributes in `ce-` headers, the body is the data."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from progress_context.errors import IntakeError
from progress_context.intake.documents import check_json
from progress_context.intake.envelope import (
    MAX_EVENT_BYTES,
    Envelope,
    InvalidEvent,
    Parsed,
    refuse,
    refuse_complaint,
)
from progress_context.intake.json_guard import find_flaw
from progress_context.intake.validation import (
    DEFAULT_MAX_SKEW,
    NO_PAYLOAD,
    Payload,
    build_event,
    is_json_type,
)

_PREFIX = "ce-"
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
_CODECS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii",
    "iso-8859-1": "latin-1", "latin1": "latin-1",
}  # fmt: skip
_IN_BODY = frozenset({"data", "data_base64", "datacontenttype"})

ReadValue = Callable[[str, str], str]

_encode = msgspec.json.Encoder().encode


def decode_binary(
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    now: datetime,
    max_skew: timedelta = DEFAULT_MAX_SKEW,
    read_value: ReadValue | None = None,
) -> Parsed:
    """The event of one message in binary mode.

    Header names may have any case. `read_value(attribute, value)` gives the text that a value stands
    for; without it, values are as an HTTP server hands them on: percent-encoded, ISO 8859-1 or UTF-8.
    Raises IntakeError when the content type says JSON, as does its absence, and the body is not.
    """
    attributes: dict[str, str] = {}
    try:
        for name, value in headers:
            _add_attribute(attributes, name.lower(), value, read_value or _decode_value)
        payload = _read_body(body, attributes.get("datacontenttype"))
        return _build(attributes, payload, now + max_skew)
    except IntakeError as error:
        if error.code != "invalid_event":
            raise
        return InvalidEvent(attributes.get("source"), attributes.get("id"), error.path, error.message)


def plain_value(attribute: str, value: str) -> str:
    """A value that stands for itself, where the protocol carries any text."""
    if "\0" in value:
        raise refuse(attribute, "Contains the character U+0000")
    return value


def _add_attribute(attributes: dict[str, str], header: str, value: str, read_value: ReadValue) -> None:
    if header == "content-type":
        attribute, text = "datacontenttype", value.strip()
    elif header.startswith(_PREFIX) and header[len(_PREFIX) :] not in _IN_BODY:
        attribute = header[len(_PREFIX) :]
        text = read_value(attribute, value)
    else:
        return
    if attribute in attributes:
        raise refuse(attribute, f"The header {header} occurs twice")
    attributes[attribute] = text


def _decode_value(attribute: str, value: str) -> str:
    """Undo quoting, then one round of percent-encoding, as the HTTP binding asks."""
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _QUOTED_PAIR.sub(r"\1", value[1:-1])
    try:
        sent = value.encode("latin-1")
    except UnicodeEncodeError:
        sent = value.encode("utf-8", "surrogatepass")
    try:
        text = unquote_to_bytes(sent).decode()
    except UnicodeDecodeError:
        raise refuse(attribute, "Not UTF-8 after percent-decoding") from None
    return plain_value(attribute, text)


def _read_body(body: bytes, content_type: str | None) -> Payload:
    if len(body) > MAX_EVENT_BYTES:
        raise refuse("", f"More than {MAX_EVENT_BYTES} bytes")
    if is_json_type(content_type):
        return _read_json(body)
    text = _read_text(body, content_type or "")
    if text is None:
        return Payload(_encode(base64.b64encode(body).decode("ascii")), is_base64=True)
    return Payload(_encode(text))


def _read_json(body: bytes) -> Payload:
    if not body or body.isspace():
        return NO_PAYLOAD
    check_json(body)
    if flaw := find_flaw(body):
        separator = "" if not flaw.path or flaw.path.startswith("[") else "."
        raise refuse(f"data{separator}{flaw.path}", flaw.reason)
    return Payload(body)


def _read_text(body: bytes, content_type: str) -> str | None:
    """The body as text, `None` when it is none, or none that a JSON string in jsonb can hold."""
    essence = content_type.partition(";")[0].strip().lower()
    if not (essence.startswith("text/") or essence.endswith(("/xml", "+xml"))):
        return None
    charset = _CHARSET.search(content_type)
    codec = _CODECS.get(charset[1].lower() if charset else "utf-8")
    if codec is None or b"\0" in body:
        return None
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return None


def _build(attributes: dict[str, str], payload: Payload, latest: datetime) -> Parsed:
    extensions: dict[str, Any] = {
        name: value for name, value in attributes.items() if name not in Envelope.__struct_fields__
    }
    try:
        envelope = msgspec.convert(attributes, Envelope)
    except msgspec.ValidationError as error:
        raise refuse_complaint(error, "") from None
    return build_event(envelope, payload, extensions, latest)
