"""Google's message classes, and the bounds that the API sets on what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sized
from typing import Any

from google.pubsub_v1 import types

from pubsub_emulator.refusal import invalid

MEGABYTE = 1_000_000
LARGEST_REQUEST = 10 * MEGABYTE
MOST_MESSAGES = 1_000
MOST_ATTRIBUTES = 100
LONGEST_NAME, LONGEST_VALUE, LONGEST_KEY = 256, 1024, 1024
# Google refuses acknowledgements above 512 KiB, and its ack ids are about 200 bytes; ours are shorter.
MOST_ACK_IDS = 2_500

NAME = re.compile(r"projects/[^/]+/(schemas|topics|subscriptions)/(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")


def message_class(name: str) -> Any:
    """The protobuf class behind a type of google-cloud-pubsub."""
    return getattr(types, name).pb()


def done_with(subscription: str, numbers: Iterable[int]) -> Any:
    """A request that names messages by their own numbers, since ack ids do not outlive a process."""
    return message_class("AcknowledgeRequest")(subscription=subscription, ack_ids=map(str, numbers))


def check_name(name: str, kind: str) -> None:
    """Raise INVALID_ARGUMENT unless `name` is a name of that `kind`: schemas, topics or subscriptions."""
    found = NAME.fullmatch(name)
    if not found or found[1] != kind:
        raise invalid(f"Invalid resource name given (name={name}).")


def check_publish(request: Any) -> list[int]:
    """Raise INVALID_ARGUMENT for a publish request that Google would refuse; gives the sizes of its messages."""
    if not request.messages:
        raise invalid(
            "The value for message_count is too small. You passed 0 in the request, but the minimum is 1."
        )
    if len(request.messages) > MOST_MESSAGES:
        raise invalid(f"The value for message_count is too large. The maximum is {MOST_MESSAGES}.")
    if request.ByteSize() > LARGEST_REQUEST:
        raise invalid(f"The value for request_size is too large. The maximum is {LARGEST_REQUEST} bytes.")
    return [_check_message(message) for message in request.messages]


def _check_message(message: Any) -> int:
    size = message.ByteSize()
    attributes = message.attributes
    if attributes:
        _check_attributes(attributes, size)
    elif not message.data:
        raise invalid(
            "One or more messages in the publish request is empty. Each message must contain either non-empty"
            " data, or at least one attribute."
        )
    if len(message.ordering_key) > LONGEST_KEY:
        raise invalid(f"An ordering key is longer than {LONGEST_KEY} bytes.")
    return size


def _check_attributes(attributes: Any, size: int) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        raise invalid(f"A message has more than {MOST_ATTRIBUTES} attributes.")
    for name in attributes:
        if not name or name[:4] == "goog" or len(name) > LONGEST_NAME:
            raise invalid(f"The attribute key {name[:20]!r} is reserved, empty or too long.")
    if size > LONGEST_VALUE and any(len(value) > LONGEST_VALUE for value in attributes.values()):
        raise invalid(f"An attribute value is longer than {LONGEST_VALUE} bytes.")


def check_ack_ids(ack_ids: Sized) -> None:
    """Raise INVALID_ARGUMENT for none or too many ack ids in a call."""
    if not len(ack_ids):
        raise invalid("No ack ids specified.")
    if len(ack_ids) > MOST_ACK_IDS:
        raise invalid("Request payload size exceeds the limit: 524288 bytes.")
