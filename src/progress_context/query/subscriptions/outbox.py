"""What is to be written to one client, one write at a time; a task exists only while there is something."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

FULL = 256 * 1024  # characters; whoever reads from the client waits until there is less

Parts = tuple[str, ...]
Write = Callable[[str], Awaitable[None]]


class Ticket(Protocol):
    """Whose text it is: when they have `left` it is not written any more, else they hear when it is."""

    left: bool

    def written(self) -> None:
        """One text was written."""
        ...


class Outbox:
    """Texts for one client. `write` comes with `attach`; until then texts wait."""

    __slots__ = ("_room", "_task", "_texts", "_waiting", "_write", "busy_since")

    def __init__(self) -> None:
        self._texts: deque[tuple[Parts, Ticket | None]] = deque()
        self._waiting = 0
        self._room: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._write: Write | None = None
        self.busy_since: float | None = None  # monotonic; the write under way began then

    def attach(self, write: Write) -> None:
        """From now on texts are written."""
        self._write = write
        self._start()

    def put(self, *parts: str, ticket: Ticket | None = None) -> None:
        """Write a text, given in parts, after those before it."""
        self._texts.append((parts, ticket))
        self._waiting += sum(map(len, parts))
        self._start()

    def put_first(self, text: str) -> None:
        """Write a text before all others that wait."""
        self._texts.appendleft(((text,), None))
        self._waiting += len(text)
        self._start()

    async def room(self) -> None:
        """Return once less than FULL is waiting."""
        while self._waiting >= FULL:
            self._room = self._room or asyncio.Event()
            self._room.clear()
            await self._room.wait()

    async def last(self, write: Callable[[], Awaitable[None]], seconds: float) -> None:
        """Forget what waits, let the write under way end, then do the last one; give up in time."""
        self._forget()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._task is not None:
                    await asyncio.shield(self._task)
                await write()

    def close(self) -> None:
        """Write nothing more."""
        self._forget()
        self._write = None
        if self._task is not None:
            self._task.cancel()

    def _forget(self) -> None:
        self._texts.clear()
        self._waiting = 0
        if self._room is not None:
            self._room.set()

    def _start(self) -> None:
        if self._task is None and self._texts and self._write is not None:
            self._task = asyncio.create_task(self._flush(self._write))

    async def _flush(self, write: Write) -> None:
        try:
            while self._texts:
                parts, ticket = self._texts.popleft()
                if ticket is None or not ticket.left:
                    self.busy_since = time.monotonic()
                    await write("".join(parts))
                self._wrote(sum(map(len, parts)))
                if ticket is not None:
                    ticket.written()
        except OSError:
            self._forget()  # the client is gone, as whoever reads from it will notice
        finally:
            self.busy_since = None
            self._task = None

    def _wrote(self, length: int) -> None:
        self._waiting = max(0, self._waiting - length)
        if self._room is not None and self._waiting < FULL:
            self._room.set()
