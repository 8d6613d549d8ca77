"""The front of live updates: takes sockets and streams, looks after them, and ends them with the service."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection

from starlette.types import Receive, Scope, Send

from progress_context import telemetry
from progress_context.query.cors import Origins
from progress_context.query.subscriptions.client import Client, Desk
from progress_context.query.subscriptions.event_streams import EventStreams
from progress_context.query.subscriptions.websocket import open_socket

GRAPHQL, STREAM = "/graphql", "/graphql/stream"
CHECK_SECONDS = 1.0
FAREWELL_SECONDS = 5.0


class Live:
    """An ASGI application for what `takes` says; pages of `origins` may connect from elsewhere."""

    def __init__(self, desk: Desk, origins: Collection[str] = ()) -> None:
        self._desk = desk
        self._origins = origins
        self.clients: set[Client] = set()
        self._closed = False
        self._streams = EventStreams(desk, self.clients, Origins(origins))
        for transport in ("websocket", "sse"):
            telemetry.LIVE_CLIENTS.labels(transport).set_function(lambda name=transport: self._count(name))

    def takes(self, scope: Scope) -> bool:
        """Whether a request is for a socket, or for an event stream and nothing else."""
        if scope["type"] == "websocket" or scope["path"] == STREAM:
            return True
        return scope["path"] == GRAPHQL and any(
            name == b"accept" and b"text/event-stream" in value and b"json" not in value
            for name, value in scope["headers"]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._streams(scope, receive, send)
        elif self._closed or scope["path"] != GRAPHQL:
            await receive()
            await send({"type": "websocket.close", "code": 1001 if self._closed else 1008})
        else:
            await self._serve_socket(scope, receive, send)

    async def check(self) -> None:
        """Look after all clients until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = time.monotonic()
            for client in list(self.clients):
                client.check(now)
            self._streams.check(now)

    async def close(self) -> None:
        """Tell every client that the service goes away; returns within FAREWELL_SECONDS."""
        self._closed = self._streams.closed = True
        leaving = [asyncio.create_task(client.go_away()) for client in list(self.clients)]
        if leaving:
            await asyncio.wait(leaving, timeout=FAREWELL_SECONDS)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = await open_socket(self._desk, self._origins, scope, receive, send)
        if socket is None:
            return
        self.clients.add(socket)
        try:
            await socket.serve(receive)
        finally:
            self.clients.discard(socket)

    def _count(self, transport: str) -> float:
        return Counter(client.transport for client in self.clients)[transport]
