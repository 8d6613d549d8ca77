"""A server's front door that goes wrong when told to: a TCP proxy for tests."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Literal, Self

from ports import free_port

Fault = Literal["none", "refusing", "frozen", "garbage"]
RUBBISH = b"$5\r\n\x00\xff\x13ab\r\n:7\r\n*1\r\n_\r\n"


class FaultyProxy:
    """Passes bytes to `host:port` and back. Use as a context manager; `fault` may change at any time.

    refusing: connections end, new ones at once · frozen: answers are held back, and come
    late · garbage: answers are rubbish.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._target = (host, port)
        self.port = free_port()
        self.fault: Fault = "none"
        self.chunks = 0  # how often somebody sent something
        self._links: set[asyncio.StreamWriter] = set()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections."""
        for link in list(self._links):
            link.transport.abort()

    def go(self, fault: Fault) -> None:
        """From now on go wrong in this way."""
        self.fault = fault
        if fault == "frozen":
            self._thawed.clear()
        else:
            self._thawed.set()
        if fault == "refusing":
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.fault == "refusing":
            writer.transport.abort()
            return
        behind, ahead = await asyncio.open_connection(*self._target)
        self._links |= {writer, ahead}
        for source, sink, answers in ((reader, ahead, False), (behind, writer, True)):
            task = asyncio.create_task(self._pass(source, sink, answers=answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                self.chunks += not answers
                if answers:
                    await self._thawed.wait()
                sink.write(RUBBISH if answers and self.fault == "garbage" else data)
                await sink.drain()
        sink.transport.abort()
        self._links.discard(sink)
