"""The raw limit: a bare ASGI application over one query that returns the answer as text.

As a program: `python -m bench.query_raw DATABASE_URL PORT`, until SIGINT.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date

import msgspec
from starlette.types import Receive, Scope, Send

from bench.database import STATEMENTS
from progress_context.log.database import Pool, open_pool
from progress_context.services.http_server import HttpServer
from progress_context.services.query import SESSION
from progress_context.services.server import bound, run

POOL = 8  # connections, as many as the query service has
DAYS = (STATEMENTS / "days_as_json.sql").read_text()


class Variables(msgspec.Struct):
    """Who is asked about, and the days."""

    user: str
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")


class Question(msgspec.Struct):
    """The part of a request that matters."""

    variables: Variables


_read = msgspec.json.Decoder(Question).decode


class Raw:
    """Answers every request with the days that its variables name."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _read((await receive())["body"]).variables
        days = await self._pool.fetchval(DAYS, asked.user, asked.first, asked.last)
        body = b'{"data":{"dailyStats":' + days.encode() + b"}}"
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def serve(url: str, port: int, stop: asyncio.Event) -> None:
    """Listen on `port` with the settings of our services until `stop` is set."""
    pool = await open_pool(url, "progress_query", size=POOL, session=SESSION)
    server = HttpServer(Raw(pool))
    with bound("127.0.0.1", port, "raw") as listener:
        serving = asyncio.create_task(server.serve(listener))
        await stop.wait()
        server.stop()
        await serving
    await pool.close()


if __name__ == "__main__":
    run(lambda stop: serve(sys.argv[1], int(sys.argv[2]), stop))
