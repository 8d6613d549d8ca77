"""A Pub/Sub message becomes events: the CloudEvents protocol binding for Pub/Sub, structured and binary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import msgspec

from progress_context.errors import IntakeError
from progress_context.intake.binary import decode_binary, plain_value
from progress_context.intake.body import too_large
from progress_context.intake.envelope import Parsed
from progress_context.intake.gunzip import gunzip_of
from progress_context.intake.modes import decode_events
from progress_context.log.event import Outcome

Channel: TypeAlias = Literal["pull", "push"]


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as it was received; `subscription` is its full name.

    `wrapped` says that `data` is the body of a push request in which no message could be found.
    """

    channel: Channel
    subscription: str
    message_id: str
    data: bytes
    attributes: Mapping[str, str]
    ordering_key: str = ""
    published_at: datetime | None = None
    wrapped: bool = False


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What a message may hold: `max_body` bytes unpacked, `max_events` events, none past now + `max_skew`."""

    max_body: int
    max_events: int
    max_skew: timedelta


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Why a message cannot be stored: a stable code, the field at fault, and the reason in words."""

    code: str
    path: str
    reason: str


def decode_message(message: Message, now: datetime, limits: Limits) -> list[Parsed]:
    """The events of a message, each judged as over HTTP: one, or those of an array or of lines.

    Raises IntakeError when the message as a whole cannot be read.
    """
    attributes = {name.lower(): value for name, value in message.attributes.items()}
    data = _unpack(message.data, attributes, limits.max_body)

    def binary() -> Parsed:
        return decode_binary(
            message.attributes.items(), data, now=now, max_skew=limits.max_skew, read_value=plain_value
        )

    events, _ = decode_events(
        attributes, data, binary, now=now, max_skew=limits.max_skew, max_events=limits.max_events
    )
    return events


def judge(outcomes: Sequence[Outcome]) -> Refusal | None:
    """What is wrong with a message whose events came to these outcomes; `None` when all are in the log.

    Names the first event that is not, and how many there are.
    """
    refused = [number for number, each in enumerate(outcomes) if each.status in ("conflict", "invalid")]
    if not refused:
        return None
    first = outcomes[refused[0]]
    code = "conflict" if first.status == "conflict" else "invalid_event"
    return Refusal(code, first.path or "", _among(refused, len(outcomes)) + (first.reason or ""))


def refusal_of(error: IntakeError) -> Refusal:
    """The same refusal, of a message as a whole."""
    return Refusal(error.code, error.path, error.message)


def _among(refused: list[int], events: int) -> str:
    if events == 1:
        return ""
    return f"Event {refused[0] + 1} of {events}, {len(refused)} refused in all: "


def _unpack(data: bytes, attributes: Mapping[str, str], max_body: int) -> bytes:
    gunzip = gunzip_of(attributes)
    if gunzip is None:
        if len(data) > max_body:
            raise too_large(max_body)
        return data
    parts: list[bytes] = []
    size = 0
    for part in gunzip.feed(data):
        size += len(part)
        if size > max_body:
            raise too_large(max_body)
        parts.append(part)
    gunzip.check_complete()
    return b"".join(parts)
