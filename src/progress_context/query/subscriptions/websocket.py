"""GraphQL over WebSocket: graphql-transport-ws between ASGI messages and the operations of a client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from urllib.parse import urlsplit

import structlog
from starlette.types import Message, Receive, Scope, Send

from progress_context import telemetry
from progress_context.errors import ProgressError
from progress_context.query.subscriptions import protocol
from progress_context.query.subscriptions.admission import Credentials
from progress_context.query.subscriptions.client import Client, Desk
from progress_context.query.subscriptions.outbox import Ticket
from progress_context.query.subscriptions.protocol import Authorize, Close, Protocol, Say, Start, Stop
from progress_context.query.wire import address_of

LONGEST_MESSAGE = 256 * 1024
PING_SECONDS = 15.0
SILENT_SECONDS = 45.0  # three pings without an answer
FAREWELL_SECONDS = 3.0
GRACE_SECONDS = 10.0  # for a client that was too slow, to read why

log = structlog.get_logger(__name__)


class Socket(Client):
    """One WebSocket."""

    __slots__ = ("_address", "_asked_at", "_ending", "_headers", "_main", "_opened_at", "_protocol", "_send")

    transport = "websocket"

    def __init__(self, desk: Desk, scope: Scope, send: Send) -> None:
        super().__init__(desk)
        self._protocol = Protocol(desk.most_operations)
        self._headers = headers_of(scope)
        self._address = address_of(scope)
        self._send = send
        self._opened_at = self._asked_at = time.monotonic()
        self._main: asyncio.Task[None] | None = None
        self._ending: Close | None = None

    async def serve(self, receive: Receive) -> None:
        """Serve an accepted socket until it is closed."""
        self._main = asyncio.current_task()
        self.outbox.attach(self._write)
        try:
            close = await self._listen(receive)
            if close is not None:
                await self._say(close)
        finally:
            self.leave()

    async def _listen(self, receive: Receive) -> Close | None:
        """Take messages until the socket is to be closed; None when the client did that."""
        try:
            while (message := await receive())["type"] == "websocket.receive":
                self.heard_at = time.monotonic()
                if (close := await self._take(message)) is not None:
                    return close
                await self.outbox.room()
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            return self._ending
        except Exception as error:  # a bug closes this socket with the code for it
            log.error("live_socket_failed", error=repr(error), exc_info=error)
            return protocol.INTERNAL_ERROR
        return None

    def next(self, operation: str, payload: str, position: int | None, ticket: Ticket | None = None) -> None:
        """A `next` message."""
        self.outbox.put(protocol.before_payload(operation), payload, "}", ticket=ticket)

    def failed(self, operation: str, errors: str) -> None:
        """An `error` message, which is the last of its operation."""
        if self._protocol.finished(operation):
            self.outbox.put(protocol.error(operation, errors))

    def completed(self, operation: str) -> None:
        """A `complete` message."""
        if self._protocol.finished(operation):
            self.outbox.put(protocol.complete(operation))

    def check(self, now: float) -> None:
        """Close who does not initialise, read, or answer, and whose token ended; ping who was silent."""
        if not self._protocol.acknowledged and now - self._opened_at > self.desk.init_seconds:
            self._end(protocol.INIT_TIMEOUT)
        elif self.is_slow(now):
            self._end(protocol.TOO_SLOW)
        elif self.has_expired():
            self._end(protocol.EXPIRED)
        elif now - self.heard_at > SILENT_SECONDS:
            self._end(protocol.SILENT)
        elif now - max(self.heard_at, self._asked_at) > PING_SECONDS:
            self._asked_at = now
            self.outbox.put(protocol.ping())

    async def go_away(self) -> None:
        """Close because the service ends."""
        self._end(protocol.GOING_AWAY)
        if self._main is not None:
            await asyncio.wait({self._main})

    async def _take(self, message: Message) -> Close | None:
        text = message.get("text") or message.get("bytes") or ""
        if len(text) > LONGEST_MESSAGE:
            return protocol.TOO_BIG
        for effect in self._protocol.receive(text):
            if isinstance(effect, Close):
                return effect
            if isinstance(effect, Authorize):
                return await self._authorize(effect)
            self._carry_out(effect)
        return None

    def _carry_out(self, effect: Start | Stop | Say) -> None:
        if isinstance(effect, Start):
            self.start(effect.id, effect.params)
        elif isinstance(effect, Stop):
            self.stop(effect.id)
        else:
            self.outbox.put(effect.text)

    async def _authorize(self, effect: Authorize) -> Close | None:
        """Messages that come meanwhile wait: they are read afterwards."""
        try:
            self.who = await self.desk.admission.connect(
                Credentials(self._headers, effect.payload, self._address)
            )
        except ProgressError as error:
            log.info("live_client_refused", error=str(error))
            return protocol.FORBIDDEN
        self._headers = {}
        self.outbox.put(self._protocol.accepted().text)
        return None

    def _end(self, close: Close) -> None:
        """Have the socket closed by whoever listens: a server may not close while it receives."""
        if self._ending is None and self._main is not None:
            self._ending = close
            self._main.cancel()

    async def _say(self, close: Close) -> None:
        """Close the socket; one that takes no farewell in time is dropped."""
        self.closing = True
        telemetry.LIVE_CLOSED.labels(str(close.code)).inc()
        farewell: Message = {"type": "websocket.close", "code": close.code, "reason": close.reason}
        seconds = GRACE_SECONDS if close is protocol.TOO_SLOW else FAREWELL_SECONDS
        await self.outbox.last(lambda: self._send(farewell), seconds)

    async def _write(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})


async def open_socket(
    desk: Desk, origins: Collection[str], scope: Scope, receive: Receive, send: Send
) -> Socket | None:
    """Accept a socket of ours; None when it was refused."""
    await receive()
    if not may_come_from(headers_of(scope), origins):
        await send({"type": "websocket.close", "code": 4403, "reason": "origin"})
        return None
    if protocol.SUBPROTOCOL not in scope["subprotocols"]:
        await send({"type": "websocket.accept"})
        unknown = protocol.SUBPROTOCOL_UNKNOWN
        await send({"type": "websocket.close", "code": unknown.code, "reason": unknown.reason})
        return None
    await send({"type": "websocket.accept", "subprotocol": protocol.SUBPROTOCOL})
    return Socket(desk, scope, send)


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, by lower-case name."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def may_come_from(headers: dict[str, str], origins: Collection[str]) -> bool:
    """Whether a page may open a socket: browsers let any page do so, and say which one it is."""
    origin = headers.get("origin")
    if origin is None or "*" in origins or origin in origins:
        return True
    return urlsplit(origin).netloc == headers.get("host")
