"""HTTP and WebSockets on one socket: uvicorn, with limits for who sends too slowly, too much or too often."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

import structlog
import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_CONNECTIONS = 10_000  # open at once, idle ones among them; whoever comes then is turned away
BACKLOG = 1_024
IDLE_SECONDS = 75  # between two requests
HEAD_SECONDS = 30.0  # for the head of a request, or the first byte of it
HEAD_BYTES = 64 * 1024
MESSAGE_BYTES = 1024 * 1024  # of a WebSocket
LOOK_SECONDS = 1.0  # between looks at the clock, for the date in answers and for who dawdles
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]  # status, headers with the length, body
Soon = Coroutine[Any, Any, Answer | None]
AtHand = Callable[[Scope, bytes], Answer | Soon | None]

log = structlog.get_logger(__name__)


class Connection(HttpToolsProtocol):
    """A connection, whose request must begin with a short head within a limited time.

    A POST to a path in `at_hand` that arrives whole is answered from there, without the application, when
    that has an answer, or has one soon.
    """

    at_hand: ClassVar[Mapping[str, AtHand]] = {}
    due: float | None = None  # when a whole head must have come; None while a request is seen to
    _head_bytes: int | None = None  # of a head that has begun
    _in_head = False
    _held: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.due = self.loop.time() + HEAD_SECONDS
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None:  # the rest of it is to come
            self._release()
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.due, self._head_bytes = self.loop.time() + HEAD_SECONDS, 0

    def on_headers_complete(self) -> None:
        self.due = self._head_bytes = None
        self._in_head = True
        super().on_headers_complete()
        self._in_head = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._held is None:
            return
        cycle = self._held
        answer = self._look(cycle)
        if answer is None:
            self._release()
            return
        self._held = None
        if isinstance(answer, tuple):
            self._answer(cycle, *answer)
        else:
            task = self.loop.create_task(self._answer_soon(cycle, answer))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:  # without a timer for each request
            self.flow.resume_reading()
            self.due = self.loop.time() + IDLE_SECONDS

    async def _answer_soon(self, cycle: RequestResponseCycle, soon: Soon) -> None:
        try:
            answer = await soon
        except Exception:
            log.exception("not_at_hand")
            answer = None
        if answer is None:
            self._held = cycle
            self._release()
        elif not self.transport.is_closing():
            self._answer(cycle, *answer)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if self._in_head and cycle.scope["path"] in self.at_hand and cycle.scope["method"] == "POST":
            self._held = cycle
        else:
            super()._start_asgi_task(cycle, app)

    def _release(self) -> None:
        """Let the application see to the request that was held."""
        cycle, self._held = self._held, None
        if cycle is not None and not self.transport.is_closing():
            application: Any = self.app
            super()._start_asgi_task(cycle, application)

    def _look(self, cycle: RequestResponseCycle) -> Answer | Soon | None:
        if cycle.waiting_for_100_continue or self.flow.write_paused:
            return None
        scope: Any = cycle.scope
        try:
            return self.at_hand[scope["path"]](scope, bytes(cycle.body))
        except Exception:
            log.exception("not_at_hand")
            return None

    def _answer(self, cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(lines))
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


class HttpServer:
    """Serves an application until it is told to stop; for `at_hand` see Connection."""

    def __init__(self, application: ASGIApp, at_hand: Mapping[str, AtHand] | None = None) -> None:
        config = uvicorn.Config(
            application,
            http=type("Connection", (Connection,), {"at_hand": at_hand or {}}),
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
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            due = connection.due if isinstance(connection, Connection) else None
            if due is not None and due < now:
                connection.transport.close()
