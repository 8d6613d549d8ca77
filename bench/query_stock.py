"""Our query service with every answer by graphql-core's own executor: what planning a request brings.

As a program: `python -m bench.query_stock DATABASE_URL PORT`, until SIGINT.
"""

from __future__ import annotations

import asyncio
import sys

from bench.query_raw import POOL
from progress_context.engine.catalog import load
from progress_context.log.database import open_pool
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from progress_context.query.http import GraphQLHttp, HttpOptions
from progress_context.query.positions import Positions
from progress_context.services.query import SESSION, STATEMENT_BYTES
from progress_context.services.server import Service, run


async def serve(url: str, port: int, stop: asyncio.Event) -> None:
    """Listen on `port` until `stop` is set."""
    pool = await open_pool(url, "progress_query", size=POOL, session=SESSION, kept_bytes=STATEMENT_BYTES)
    executor = Executor(pool, load(), Calendar("UTC", 0), Positions(pool), planned=False)
    graphql = GraphQLHttp(executor, HttpOptions())
    service = Service("stock", graphql.routes(), ready=_ready, direct=graphql.endpoints())
    try:
        await service.serve("127.0.0.1", port, stop)
    finally:
        pool.terminate()


async def _ready() -> None:
    """Whoever can connect may ask."""


if __name__ == "__main__":
    run(lambda stop: serve(sys.argv[1], int(sys.argv[2]), stop))
