"""Run an ASGI application and background tasks until told to stop, then drain."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol

import structlog
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from progress_context import telemetry, tracing
from progress_context.errors import ProgressError, SettingsError
from progress_context.services.front import Front
from progress_context.services.http_server import BACKLOG, MAX_CONNECTIONS, AtHand, HttpServer

Ready = Callable[[], Awaitable[str | None]]
Task = Callable[[], Coroutine[Any, Any, None]]

DRAIN_SECONDS = 8.0
READY_SECONDS = 4.0

log = structlog.get_logger(__name__)


class Lasting(Protocol):
    """An ASGI application for connections that stay open: it ends them itself when the service does."""

    def takes(self, scope: Scope) -> bool:
        """Whether a connection is one of these."""
        ...

    async def close(self) -> None:
        """Take none any more, and end those there are."""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Direct:
    """Hands a POST to a hot path straight to its endpoint, and everything else to the router.

    The endpoints measure and trace themselves; requests to the `observed` paths of the router are done here.
    """

    def __init__(
        self,
        endpoints: Mapping[str, ASGIApp],
        router: ASGIApp,
        observed: Collection[str] = (),
        lasting: Lasting | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._lasting = lasting
        self._router = router
        self._observed = frozenset(observed)
        for path in (*endpoints, *observed):
            telemetry.expect_requests(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._lasting is not None and self._lasting.takes(scope):
            return await self._lasting(scope, receive, send)
        if scope["type"] == "http":
            endpoint = self._endpoints.get(scope["path"]) if scope["method"] == "POST" else None
            if endpoint is not None:
                return await endpoint(scope, receive, send)
            if scope["path"] in self._observed:
                return await self._observe(scope, receive, send)
        return await self._router(scope, receive, send)

    async def _observe(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, code = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        name = f"{scope['method']} {scope['path']}"
        with tracing.span(name, kind="server", parent=tracing.headers(scope)) as span:
            try:
                await self._router(scope, receive, noting)
            finally:
                span.set(status=code)
                telemetry.observe_request(scope["path"], code, time.perf_counter() - started)


class Service:
    """One service: its routes, its background tasks, what `ready` says, what to do before the end.

    `ready` returns `None` or the reason why not. `drain` runs after the last request was taken.
    `direct` are the POST endpoints, by path, that every microsecond counts for. `measure` runs before each
    scrape of /metrics. `lasting` takes sockets and streams. `behind` puts everything behind its front.
    `at_hand` are answers to POSTs, by path, for which nobody need wait.
    """

    def __init__(
        self,
        name: str,
        routes: Sequence[BaseRoute],
        *,
        tasks: Sequence[Task] = (),
        ready: Ready,
        drain: Callable[[], Awaitable[None]] | None = None,
        direct: Mapping[str, ASGIApp] | None = None,
        measure: Callable[[], Awaitable[None]] | None = None,
        lasting: Lasting | None = None,
        behind: Callable[[ASGIApp], Front] = Front,
        at_hand: Mapping[str, AtHand] | None = None,
    ) -> None:
        self.name = name
        self._lasting = lasting
        self._measure = measure
        self._tasks = tasks
        self._ready = ready
        self._drain = drain
        self._failed: asyncio.Future[None] | None = None
        self._check: asyncio.Future[str | None] | None = None
        standard = [
            Route("/healthz", _healthy),
            Route("/readyz", self._readiness),
            Route("/metrics", self._metrics),
        ]
        observed = {route.path for route in routes if isinstance(route, Route)}
        router = Starlette(routes=[*standard, *routes])
        self.application = behind(Direct(direct or {}, router, observed, lasting))
        self._at_hand = {path: self.application.at_hand(look) for path, look in (at_hand or {}).items()}

    async def serve(self, host: str, port: int, stop: asyncio.Event) -> None:
        """Listen until `stop` is set, then finish what was begun; a dead background task ends it too."""
        with bound(host, port, self.name) as listener:
            async with self._background():
                await self._serve(HttpServer(self.application, self._at_hand), listener, stop)

    async def _serve(self, server: HttpServer, listener: socket.socket, stop: asyncio.Event) -> None:
        listener.listen(BACKLOG)
        serving = asyncio.create_task(server.serve(listener))
        stopping = asyncio.create_task(stop.wait())
        failed = self._failed or asyncio.get_running_loop().create_future()
        host, port = listener.getsockname()[:2]
        log.info("listening", address=f"http://{host}:{port}")
        await asyncio.wait({serving, stopping, failed}, return_when=asyncio.FIRST_COMPLETED)
        log.info("stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._finish(server, serving)
        stopping.cancel()
        if failed.done():
            failed.result()
        if serving.done() and not stop.is_set():
            raise ProgressError(f"{self.name} listens no more on {host}:{port}")

    async def _finish(self, server: HttpServer, serving: asyncio.Task[None]) -> None:
        if self._lasting is not None:
            await self._lasting.close()
        server.stop()
        await serving
        if self._drain is not None:
            await self._drain()

    @asynccontextmanager
    async def _background(self) -> AsyncGenerator[None]:
        self._failed = asyncio.get_running_loop().create_future()
        running = [asyncio.create_task(task()) for task in self._tasks]
        for task in running:
            task.add_done_callback(self._task_ended)
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and self._failed is not None and not self._failed.done():
            error = task.exception() or ProgressError(f"a background task of {self.name} ended")
            self._failed.set_exception(error)

    async def _readiness(self, _request: Request) -> Response:
        reason = await self._why_not_ready()
        body = {"service": self.name, "ready": reason is None} | ({"reason": reason} if reason else {})
        return JSONResponse(body, status_code=200 if reason is None else 503)

    async def _metrics(self, _request: Request) -> Response:
        if self._measure is not None:
            await self._measure()
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _why_not_ready(self) -> str | None:
        """One check at a time, however many ask, and an answer in time even if the check hangs."""
        check = self._check
        if check is None or check.done():
            check = self._check = asyncio.ensure_future(self._ready())
        done, _ = await asyncio.wait({check}, timeout=READY_SECONDS)
        return check.result() if done else f"what it depends on does not answer within {READY_SECONDS:g} s"


@contextmanager
def bound(host: str, port: int, name: str) -> Generator[socket.socket]:
    """A socket at this address, not listening yet; raises SettingsError when somebody else listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise SettingsError(f"{name} cannot listen on {host}:{port}: {error.strerror}") from None
        yield listener


def name_of(host: str, port: int) -> str | None:
    """Who listens on this machine's loopback has a name of its own, for as long as it listens."""
    if host.startswith("127.") or host in ("localhost", "::1"):
        return f"{socket.gethostname()}:{port}"
    return None


async def _healthy(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def run(main: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run `main(stop)` on a fast loop; SIGINT and SIGTERM set `stop`."""

    _allow_files(2 * MAX_CONNECTIONS)

    gc.freeze()  # what was loaded stays; look for garbage seldom, for requests leave no cycles behind
    gc.set_threshold(50_000, 20, 50)

    async def with_signals() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    try:
        uvloop.run(with_signals())
    finally:
        tracing.shutdown()


def _allow_files(wanted: int) -> None:
    """Raise the soft limit of open files, which is often 1,024, to what all connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
