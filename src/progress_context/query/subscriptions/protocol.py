"""The protocol graphql-transport-ws as a state machine: messages in, effects out; no socket, no clock.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

SUBPROTOCOL = "graphql-transport-ws"
LONGEST_ID = 256
LONGEST_REASON = 120  # bytes; a close frame has room for 123
TOO_MANY_OPERATIONS = "TOO_MANY_OPERATIONS"

encode = msgspec.json.Encoder().encode


class Params(msgspec.Struct):
    """What a client asks for."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the name of the protocol
    extensions: dict[str, Any] | None = None


class ConnectionInit(msgspec.Struct, tag_field="type", tag="connection_init"):
    """The first message of a client; `payload` may hold credentials."""

    payload: dict[str, Any] | None = None


class Ping(msgspec.Struct, tag_field="type", tag="ping"):
    """Asks for a pong."""

    payload: dict[str, Any] | None = None


class Pong(msgspec.Struct, tag_field="type", tag="pong"):
    """Answers a ping, or is a sign of life."""

    payload: dict[str, Any] | None = None


class Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    """Begins an operation."""

    id: str
    payload: Params


class Complete(msgspec.Struct, tag_field="type", tag="complete"):
    """Ends an operation."""

    id: str


Message = ConnectionInit | Ping | Pong | Subscribe | Complete
_read = msgspec.json.Decoder(Message).decode


@dataclass(frozen=True, slots=True)
class Say:
    """Send this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Authorize:
    """Decide whether this client may connect, then call `accepted`, or close with FORBIDDEN."""

    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """Begin an operation; `finished` when it ends by itself."""

    id: str
    params: Params


@dataclass(frozen=True, slots=True)
class Stop:
    """End an operation at once; nothing more of it may be sent."""

    id: str


Effect = Say | Close | Authorize | Start | Stop

UNAUTHORIZED = Close(4401, "Unauthorized")
FORBIDDEN = Close(4403, "Forbidden")
EXPIRED = Close(4403, "The token has expired; connect again with a new one")
SUBPROTOCOL_UNKNOWN = Close(4406, "Subprotocol not acceptable")
INIT_TIMEOUT = Close(4408, "Connection initialisation timeout")
TOO_MANY_INITS = Close(4429, "Too many initialisation requests")
INTERNAL_ERROR = Close(4500, "Internal server error")
GOING_AWAY = Close(1001, "The service is going away; connect again, and give the last position as after")
TOO_BIG = Close(1009, "The message is too big")
TOO_SLOW = Close(1013, "Nothing was read for too long; connect again, and give the last position as after")
SILENT = Close(1013, "No sign of life; connect again, and give the last position as after")


class Protocol:
    """One client. `operations` are the ids of those under way, at most `most_operations`."""

    def __init__(self, most_operations: int) -> None:
        self._most = most_operations
        self.asked = False
        self.acknowledged = False
        self.operations: set[str] = set()

    def receive(self, text: str | bytes) -> list[Effect]:
        """What follows from a message; after a Close nothing more may be received."""
        try:
            message = _read(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return [bad_request(f"Invalid message: {error}")]
        if isinstance(message, ConnectionInit):
            return self._init(message)
        if isinstance(message, Ping):
            return [Say(_written("pong", message.payload))]
        if isinstance(message, Pong):
            return []
        if isinstance(message, Subscribe):
            return self._subscribe(message)
        return self._complete(message)

    def accepted(self) -> Say:
        """The client may connect."""
        self.acknowledged = True
        return Say('{"type":"connection_ack"}')

    def finished(self, operation: str) -> bool:
        """An operation ended by itself; False when the client had ended it before."""
        known = operation in self.operations
        self.operations.discard(operation)
        return known

    def _init(self, message: ConnectionInit) -> list[Effect]:
        if self.asked:
            return [TOO_MANY_INITS]
        self.asked = True
        return [Authorize(message.payload or {})]

    def _subscribe(self, message: Subscribe) -> list[Effect]:
        if not self.acknowledged:
            return [UNAUTHORIZED]
        if not 0 < len(message.id) <= LONGEST_ID:
            return [bad_request(f"Invalid message: an id has 1 to {LONGEST_ID} characters")]
        if message.id in self.operations:
            return [Close(4409, shortened(f"Subscriber for {message.id} already exists"))]
        if len(self.operations) >= self._most:
            text = f"at most {self._most:,} operations at a time on one connection"
            return [Say(error(message.id, refused(TOO_MANY_OPERATIONS, text)))]
        self.operations.add(message.id)
        return [Start(message.id, message.payload)]

    def _complete(self, message: Complete) -> list[Effect]:
        return [Stop(message.id)] if self.finished(message.id) else []


def bad_request(reason: str) -> Close:
    """A message that cannot be understood."""
    return Close(4400, shortened(reason))


def shortened(reason: str) -> str:
    """As much of a reason as a close frame takes."""
    return reason.encode()[:LONGEST_REASON].decode(errors="ignore")


def ping() -> str:
    """A message that asks for a sign of life."""
    return '{"type":"ping"}'


def before_payload(operation: str) -> str:
    """What stands before the payload of a `next` message; `}` ends it."""
    return f'{{"id":{_text(operation)},"type":"next","payload":'


def complete(operation: str) -> str:
    """An operation is over."""
    return f'{{"id":{_text(operation)},"type":"complete"}}'


def error(operation: str, errors: str) -> str:
    """An operation could not begin, or not go on; `errors` is a JSON list."""
    return f'{{"id":{_text(operation)},"type":"error","payload":{errors}}}'


def refused(code: str, message: str) -> str:
    """A JSON list of one error."""
    return encode([{"message": message, "extensions": {"code": code}}]).decode()


def _text(value: str) -> str:
    return encode(value).decode()


def _written(type_: str, payload: dict[str, Any] | None) -> str:
    message: dict[str, Any] = {"type": type_}
    return encode(message if payload is None else message | {"payload": payload}).decode()
