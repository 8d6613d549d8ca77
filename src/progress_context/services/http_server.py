"""HTTP and WebSockets on one socket: uvicorn, with limits for who sends too slowly, too much or too often."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_CONNECTIONS = 10_000  # open at once, idle ones among them; whoever comes then is turned away
BACKLOG = 1_024
IDLE_SECONDS = 75  # between two requests
HEAD_SECONDS = 30.0  # for the head of a request, or the first byte of it
HEAD_BYTES = 64 * 1024
MESSAGE_BYTES = 1024 * 1024  # of a WebSocket
LOOK_SECONDS = 1.0  # between looks at the clock, for the date in answers and for who dawdles
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """A connection, whose request must begin with a short head within a limited time."""

    head_since: float | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.head_since = self.loop.time()
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.head_since, self._head_bytes = self.loop.time(), 0

    def on_headers_complete(self) -> None:
        self.head_since = None
        super().on_headers_complete()


class HttpServer:
    """Serves an application until it is told to stop."""

    def __init__(self, application: ASGIApp) -> None:
        config = uvicorn.Config(
            application,
            http=Connection,
            ws="websockets-sansio",
            ws_max_size=MESSAGE_BYTES,
            ws_ping_interval=None,  # whoever does not read is noticed by what waits for them
            ws_per_message_deflate=False,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=IDLE_SECONDS,
        )
        self._server = _Server(config)

    async def serve(self, listener: socket.socket) -> None:
        """Listen on a bound socket; after `stop`, until what was begun is answered."""
        await self._server.serve(sockets=[listener])

    def stop(self) -> None:
        """Take no more requests."""
        self._server.stopped.set()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are not its business."""
        yield

    async def main_loop(self) -> None:
        """Until it is stopped, look at the clock now and then."""
        while not self.stopped.is_set():
            await self.on_tick(0)
            self._turn_out_dawdlers()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.stopped.wait()

    def _turn_out_dawdlers(self) -> None:
        overdue = asyncio.get_running_loop().time() - HEAD_SECONDS
        for connection in list(self.server_state.connections):
            since = connection.head_since if isinstance(connection, Connection) else None
            if since is not None and since < overdue:
                connection.transport.close()
