"""Request bodies become JSON documents: one, an array of them, or one a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import msgspec
from msgspec import Raw

from progress_context.errors import IntakeError
from progress_context.intake.json_guard import why_not_json

_skip_document = msgspec.json.Decoder(Raw).decode
_skip_elements = msgspec.json.Decoder(list[Raw]).decode
_read_document = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode  # of any length
_BETWEEN = re.compile(r"[ \t\r\n,]*")


def check_json(body: bytes) -> None:
    """Raise IntakeError, with the place, unless the body is one JSON document in UTF-8."""
    try:
        str(body, "utf-8")
        _skip_document(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if reason := why_not_json(body):
            raise IntakeError(400, "malformed_json", f"The body is {reason}") from None


def split_array(body: bytes) -> list[bytes]:
    """The elements of a JSON array, each as sent. Raises IntakeError when it is no such thing."""
    try:
        str(body, "utf-8")
        return [bytes(element) for element in _skip_elements(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _split_carefully(body)


def split_lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers, counted from 1."""
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line and not line.isspace():
            yield number, line


def _split_carefully(body: bytes) -> list[bytes]:
    """The same for arrays in which one element is JSON but more than msgspec can read.

    Half of a surrogate pair is such a case: it must not refuse the other elements.
    """
    check_json(body)
    text = body.decode().strip()
    if not text.startswith("["):
        raise IntakeError(400, "not_an_array", "The body must be a JSON array of events")
    elements: list[bytes] = []
    start = _start_of_next(text, 1)
    while text[start] != "]":
        _, end = _read_document(text, start)
        elements.append(text[start:end].encode())
        start = _start_of_next(text, end)
    return elements


def _start_of_next(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position
