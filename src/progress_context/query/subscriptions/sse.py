"""One event stream of server-sent events: of one operation, or of all those of a reservation."""

from __future__ import annotations

import asyncio
import time

import msgspec
from starlette.types import Receive, Send

from progress_context.query.cors import Headers
from progress_context.query.subscriptions.client import Client, Desk
from progress_context.query.subscriptions.outbox import Ticket

HEARTBEAT = ":\n\n"
HEARTBEAT_SECONDS = 12.0
FAREWELL_SECONDS = 3.0
ONLY = ""  # the id of the operation that has a stream of its own
HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]

encode = msgspec.json.Encoder().encode


class EventStream(Client):
    """A stream of its own for one operation, or, with a token, one for many."""

    __slots__ = ("_over", "_served", "_told_at", "opened", "reserved_at", "token")

    transport = "sse"

    def __init__(self, desk: Desk, token: str | None = None) -> None:
        super().__init__(desk)
        self.token = token
        self.opened = False
        self.reserved_at = self._told_at = time.monotonic()
        self._over = asyncio.Event()
        self._served = asyncio.Event()

    async def serve(self, receive: Receive, send: Send, headers: Headers) -> None:
        """Write events until all is said or the client leaves."""
        self.opened = True

        async def write(text: str) -> None:
            self._told_at = time.monotonic()
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
        self.outbox.put_first(HEARTBEAT)
        self.outbox.attach(write)
        gone = asyncio.create_task(_gone(receive))
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({gone, over}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await self.outbox.last(
                    lambda: send({"type": "http.response.body", "body": b""}), FAREWELL_SECONDS
                )
        finally:
            gone.cancel()
            over.cancel()
            self.leave()
            self._served.set()

    def has(self, operation: str) -> bool:
        """Whether an operation is under way."""
        return operation in self._tasks or operation in self._feeds

    def count(self) -> int:
        """How many operations are under way."""
        return len(self._tasks.keys() | self._feeds.keys())

    def next(self, operation: str, payload: str, position: int | None, ticket: Ticket | None = None) -> None:
        """A `next` event; its id, on a stream of its own, is the position to go on from."""
        if self.token is not None:
            before = f'event: next\ndata: {{"id":{encode(operation).decode()},"payload":'
            self.outbox.put(before, payload, "}\n\n", ticket=ticket)
            return
        number = f"id: {position}\n" if position is not None else ""
        self.outbox.put(f"event: next\n{number}data: ", payload, "\n\n", ticket=ticket)

    def failed(self, operation: str, errors: str) -> None:
        """A `next` event with the errors, and the end of the operation."""
        self.next(operation, f'{{"errors":{errors}}}', None)
        self.completed(operation)

    def completed(self, operation: str) -> None:
        """A `complete` event, which also ends a stream of its own."""
        if self.token is not None:
            data = encode({"id": operation}).decode()
            self.outbox.put(f"event: complete\ndata: {data}\n\n")
        else:
            self.outbox.put("event: complete\ndata:\n\n", ticket=_Last(self._over))

    def check(self, now: float) -> None:
        """Say something now and then, so that nobody in between takes the stream for dead; end slow ones,
        and those whose token ended."""
        if self.is_slow(now) or self.has_expired():
            self._over.set()
        elif self.opened and now - self._told_at > HEARTBEAT_SECONDS:
            self._told_at = now
            self.outbox.put(HEARTBEAT)

    async def go_away(self) -> None:
        """End the stream; without `complete`, so the client connects again."""
        self._over.set()
        if self.opened:
            await self._served.wait()


class _Last:
    """The ticket of the last event."""

    left = False

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    def written(self) -> None:
        """Everything is said."""
        self._over.set()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
