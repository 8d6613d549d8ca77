"""HTTP/1.1 over one kept-alive connection, at the price of a few microseconds a request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import cast

END_OF_HEADERS = b"\r\n\r\n"
LENGTH = b"content-length:"

OnResponse = Callable[["Connection", int, bytes], None]


def post(
    path: str, host: str, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of a POST request."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """Sends ready-made requests one after the other; every response goes to `on_response`."""

    def __init__(self, on_response: OnResponse, on_lost: Callable[[Exception], None]) -> None:
        self.on_response = on_response
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            self._on_lost(exc or ConnectionError("the service closed a connection"))

    def send(self, request: bytes) -> None:
        """Send one request; the next may follow its response."""
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        """Say good-bye."""
        self.closing = True
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        end = buffer.find(END_OF_HEADERS)
        if end < 0:
            return
        start = end + len(END_OF_HEADERS)
        total = start + _content_length(bytes(buffer[:end]))
        if len(buffer) < total:
            return
        status, body = int(buffer[9:12]), bytes(buffer[start:total])
        del buffer[:total]
        self.on_response(self, status, body)


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(LENGTH)
    if at < 0:
        raise ValueError(f"a response without content-length: {head!r}")
    return int(lower[at + len(LENGTH) :].split(b"\r\n", 1)[0])


class Asker:
    """A connection to await answers on, one question at a time."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._connection = Connection(self._answered, self._lost)

    async def open(self, host: str, port: int) -> Asker:
        """Connect."""
        await asyncio.get_running_loop().create_connection(lambda: self._connection, host, port)
        return self

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the response."""
        self._answer = asyncio.get_running_loop().create_future()
        self._connection.send(request)
        return await self._answer

    def close(self) -> None:
        """Say good-bye."""
        self._connection.close()

    def _answered(self, _connection: Connection, status: int, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))

    def _lost(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
