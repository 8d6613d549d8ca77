"""A small client for server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Event:
    """One event; comments have the name ":"."""

    name: str
    data: Any = None
    id: str = ""


class EventStream:
    """The events of an open response."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self._named = self._events()

    async def next(self, seconds: float = 15) -> Event | None:
        """The next event that is no comment; None at the end of the stream."""
        async with asyncio.timeout(seconds):
            async for event in self._named:
                if event.name != ":":
                    return event
        return None

    async def first_line(self) -> str:
        """The first line there is."""
        return await anext(self._lines)

    async def _events(self) -> AsyncIterator[Event]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                yield Event(":")
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                data = json.loads(fields["data"]) if fields.get("data") else None
                yield Event(fields.pop("event"), data, fields.get("id", ""))
                fields = {}


@asynccontextmanager
async def event_stream(method: str, url: str, **arguments: Any) -> AsyncGenerator[EventStream]:
    """Open a stream; the answer must be 200."""
    headers = {"accept": EVENTS, **arguments.pop("headers", {})}
    async with (
        httpx.AsyncClient(timeout=30) as http,
        http.stream(method, url, headers=headers, **arguments) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith(EVENTS)
        yield EventStream(response)
