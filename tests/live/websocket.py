"""A small WebSocket client with graphql-transport-ws on top; every frame is under the test's control."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

SUBPROTOCOL = "graphql-transport-ws"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
Message = dict[str, Any]


class Closed(Exception):
    """The server closed the socket; 1006: without saying so."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Refused(Exception):
    """The server answered the handshake with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class WebSocket:
    """One socket. `narrow` keeps the buffers of this side small, so that not reading is soon felt."""

    def __init__(
        self, url: str, *, protocols: Sequence[str] = (SUBPROTOCOL,), narrow: bool = False, **headers: str
    ) -> None:
        self._url = urlsplit(url)
        self._protocols = protocols
        self._headers = headers
        self._narrow = narrow
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.protocol = ""

    async def __aenter__(self) -> Self:
        address = (self._url.hostname, self._url.port)
        link = socket.socket()
        if self._narrow:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
        await asyncio.get_running_loop().sock_connect(link, address)
        limit = 4096 if self._narrow else 1 << 20
        self._reader, self._writer = await asyncio.open_connection(sock=link, limit=limit)
        try:
            await self._shake_hands()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _shake_hands(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        headers = {
            "Host": self._url.netloc, "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13", **self._headers,
        }  # fmt: skip
        if self._protocols:
            headers["Sec-WebSocket-Protocol"] = ", ".join(self._protocols)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        path = self._url.path or "/graphql"
        self._writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        if status != 101:
            raise Refused(status)
        for line in head.splitlines():
            if line.lower().startswith("sec-websocket-protocol:"):
                self.protocol = line.split(":", 1)[1].strip()

    async def send_frame(self, opcode: int, payload: bytes) -> None:
        """One masked frame."""
        mask = os.urandom(4)
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
        self._writer.write(head + mask + masked)
        await self._writer.drain()

    async def send(self, message: object) -> None:
        """A message as JSON; a string as it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self.send_frame(TEXT, text.encode())

    async def receive(self, seconds: float = 15) -> Message:
        """The next message; raises Closed."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    opcode, payload = await self._frame()
                except (asyncio.IncompleteReadError, ConnectionError):
                    raise Closed(1006) from None
                if opcode == CLOSE:
                    code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                    raise Closed(code, payload[2:].decode())
                if opcode == TEXT:
                    return json.loads(payload)

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self._reader.readexactly(2)
        length = second & 127
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first & 15, await self._reader.readexactly(length)

    async def closed(self, seconds: float = 15) -> Closed:
        """How the server closes, whatever it says before."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    await self.receive(seconds)
                except Closed as closed:
                    return closed


class GraphQLSocket(WebSocket):
    """A socket that is acknowledged when it is entered."""

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.send({"type": "connection_init"})
        assert await self.receive() == {"type": "connection_ack"}
        return self

    async def subscribe(self, query: str, operation: str = "1", **variables: Any) -> None:
        """Begin an operation."""
        payload = {"query": query, "variables": variables}
        await self.send({"type": "subscribe", "id": operation, "payload": payload})

    async def next(self, operation: str = "1", seconds: float = 15) -> Message:
        """The payload of the next message, which is a `next` of this operation; pings are answered."""
        while True:
            message = await self.receive(seconds)
            if message["type"] == "ping":
                await self.send({"type": "pong"})
                continue
            assert (message["type"], message["id"]) == ("next", operation), message
            return message["payload"]

    async def data(self, operation: str = "1", seconds: float = 15) -> Message:
        """The data of the next payload."""
        payload = await self.next(operation, seconds)
        assert "errors" not in payload, payload
        return payload["data"]
