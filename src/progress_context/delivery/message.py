"""An event as a Pub/Sub message: the CloudEvents binding for Pub/Sub, in binary mode where it fits."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import msgspec
from google.pubsub_v1 import PubsubMessage

from progress_context.delivery.port import OutgoingEvent

POSITION = "position"  # the attribute in which followers find the place in the log
JSON = "application/json"
STRUCTURED = "application/cloudevents+json"
MOST_BYTES = 1_024  # of an attribute's value
MOST_ATTRIBUTES = 100

Message = PubsubMessage.pb()  # the protobuf class itself: wrapping each message costs more than encoding it

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def to_message(event: OutgoingEvent) -> Any:
    """The message of an event, to be read in the order of its learner's log.

    Binary mode: attributes `ce-…`, data as the sender gave it. An event whose attributes Google would
    not take goes whole, as structured JSON. The ordering key is the learner's key in the log: short,
    stable, and no name.
    """
    attributes = _attributes(event)
    content_type, data = _content(event, attributes)
    if len(attributes) > MOST_ATTRIBUTES - 2 or _is_too_long(attributes):
        content_type, data = STRUCTURED, _structured(attributes, content_type, data)
        attributes = {}
    attributes["content-type"] = content_type
    attributes[POSITION] = str(event.position)
    key = "" if event.learner_key is None else str(event.learner_key)
    return Message(data=data, attributes=attributes, ordering_key=key)


def _attributes(event: OutgoingEvent) -> dict[str, str]:
    attributes = {
        "ce-specversion": "1.0",
        "ce-id": event.id,
        "ce-source": event.source,
        "ce-type": event.type,
        "ce-time": _instant(event.occurred_at),
        "ce-recordedtime": _instant(event.recorded_at),
    }
    if event.subject is not None:
        attributes["ce-subject"] = event.subject
    if event.context is not None:
        attributes |= {f"ce-{name}": _text(value) for name, value in _decode(event.context).items()}
    return attributes


def _content(event: OutgoingEvent, attributes: dict[str, str]) -> tuple[str, bytes]:
    """Media type and bytes of the payload, unwrapped where the log had to wrap it."""
    content_type = attributes.pop("ce-datacontenttype", JSON)
    if attributes.pop("ce-data_base64", None) is None:
        return content_type, event.data.encode()
    return content_type, base64.b64decode(msgspec.json.decode(event.data))


def _is_too_long(attributes: dict[str, str]) -> bool:
    return any(
        len(value) * 4 > MOST_BYTES and len(value.encode()) > MOST_BYTES for value in attributes.values()
    )


def _structured(attributes: dict[str, str], content_type: str, data: bytes) -> bytes:
    event: dict[str, Any] = {name.removeprefix("ce-"): value for name, value in attributes.items()}
    event["datacontenttype"] = content_type
    if content_type == JSON:
        event["data"] = msgspec.Raw(data)
    else:
        event["data_base64"] = base64.b64encode(data).decode()
    return _encode(event)


def _instant(moment: datetime) -> str:
    return moment.isoformat()


def _text(value: object) -> str:
    """An attribute's value as CloudEvents writes it."""
    return value if isinstance(value, str) else str(_encode(value), "utf-8")
