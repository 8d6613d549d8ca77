"""The body of a push request, in the format in which Pub/Sub wraps a message."""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from progress_context.errors import IntakeError
from progress_context.intake.pubsub_message import Message

NOWHERE = "push"  # the subscription of a body that names none


class _Wrapped(msgspec.Struct, rename="camel", gc=False):
    data: str = ""
    attributes: dict[str, str] | None = None
    message_id: str = ""
    publish_time: str = ""
    ordering_key: str = ""


class _Push(msgspec.Struct, gc=False):
    message: _Wrapped
    subscription: str = NOWHERE


_decode = msgspec.json.Decoder(_Push).decode


def read_push(body: bytes) -> Message:
    """The message in the body of a push; where there is none, the body itself as a `wrapped` message."""
    try:
        return unwrap(body)
    except IntakeError:
        subscription, message_id = _names(body)
        return Message(
            channel="push",
            subscription=subscription,
            message_id=message_id,
            data=body,
            attributes={},
            wrapped=True,
        )


def unwrap(body: bytes) -> Message:
    """The message in the body of a push. Raises IntakeError, with the path, where there is none."""
    try:
        push = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise IntakeError(400, "malformed_push", f"The body of the push: {error}") from None
    wrapped = push.message
    if not wrapped.message_id:
        raise IntakeError(400, "malformed_push", "Required", "message.messageId")
    try:
        data = base64.b64decode(wrapped.data, validate=True)
    except (binascii.Error, ValueError):
        raise IntakeError(400, "malformed_base64", "Not base64", "message.data") from None
    return Message(
        channel="push",
        subscription=push.subscription,
        message_id=wrapped.message_id,
        data=data,
        attributes=wrapped.attributes or {},
        ordering_key=wrapped.ordering_key,
        published_at=_moment(wrapped.publish_time),
    )


def _names(body: bytes) -> tuple[str, str]:
    """Subscription and message id as far as a body says them, so that it is known when it comes again."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        push = _decode(body)
        if push.message.message_id:
            return push.subscription, push.message.message_id
    return NOWHERE, f"sha256:{hashlib.sha256(body).hexdigest()}"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
