"""Which of the CloudEvents modes a body is in: binary, batch, lines or structured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from progress_context.errors import IntakeError
from progress_context.intake.cloudevents import decode_structured, read_array, read_event
from progress_context.intake.documents import split_array, split_lines
from progress_context.intake.envelope import Parsed, invalid_line

LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"}
)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

T = TypeVar("T")


def decode_events(
    attributes: Mapping[str, str],
    body: bytes,
    binary: Callable[[], Parsed],
    *,
    now: datetime,
    max_skew: timedelta,
    max_events: int,
) -> tuple[list[Parsed], bool]:
    """The events of a body, and whether it can hold one only; `binary` reads it in binary mode.

    `attributes` are HTTP headers or the attributes of a message, by lower-case name. Raises IntakeError
    when the body as a whole cannot be read.
    """
    if "ce-specversion" in attributes or "ce-type" in attributes or "ce-id" in attributes:
        return [binary()], True
    kind = media_type(attributes)
    if kind == BATCH or (kind == "application/json" and body.lstrip()[:1] == b"["):
        return read_array(body, limited(split_array(body), max_events), now + max_skew), False
    if kind in LINES:
        lines = limited(split_lines(body), max_events)
        return [invalid_line(read_event(raw, now + max_skew), number) for number, raw in lines], False
    if kind in (STRUCTURED, "application/json"):
        return [decode_structured(body, now=now, max_skew=max_skew)], True
    raise unsupported(kind, f"{STRUCTURED}, {BATCH}, application/x-ndjson or ce-* headers")


def media_type(attributes: Mapping[str, str]) -> str:
    """The content type without its parameters; JSON where none is named."""
    return attributes.get("content-type", "application/json").split(";")[0].strip().lower()


def limited(items: Iterable[T], most: int) -> list[T]:
    """The items, counted before any is read: millions of tiny ones fit into a body."""
    found = list(islice(items, most + 1))
    if len(found) > most:
        raise IntakeError(413, "too_many_events", f"more than {most:,} events in one request")
    return found


def unsupported(kind: str, wanted: str) -> IntakeError:
    """The refusal of a content type."""
    return IntakeError(415, "unsupported_media_type", f"{kind!r}: send {wanted}", "content-type")
