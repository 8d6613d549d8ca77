"""Copies of the query service for tests: with a cache, or without one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from prometheus_client import REGISTRY
from redis.asyncio import Redis

from progress_context.engine.catalog import Catalog
from progress_context.log.database import Pool
from progress_context.log.profiles import Calendar
from progress_context.principal import EVERYBODY
from progress_context.query.cache import Cache
from progress_context.query.cache_memory import Memory
from progress_context.query.cache_redis import SECONDS, RedisAnswers
from progress_context.query.cache_versions import Versions
from progress_context.query.execute import Executor
from progress_context.query.positions import Positions
from progress_context.query.responses import Reply

CALENDAR = Calendar("UTC", 0)


class Copy:
    """One copy of the query service; `clock` is what time it is for everyone."""

    def __init__(
        self,
        pool: Pool,
        files: Catalog,
        clock: Callable[[], datetime],
        *,
        cached: bool = True,
        redis_url: str = "",
        redis_seconds: float = SECONDS,
        trust: float = 0.0,
        most_bytes: int = 1 << 24,
    ) -> None:
        def seconds() -> float:
            return clock().timestamp()

        self.at_hand = 0  # answers that were
        self.memory = Memory(most_bytes)
        self.redis = (
            RedisAnswers(redis_url, seconds=redis_seconds, pause=0.02, clock=seconds) if redis_url else None
        )
        versions = Versions(pool, CALENDAR, clock, trust=trust)
        self.cache = Cache(versions, self.memory, self.redis, seconds) if cached else None
        self.positions = Positions(pool, timeout=1.0, poll=0.05)
        self.executor = Executor(pool, files, CALENDAR, self.positions, clock, cache=self.cache)

    async def reply(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Reply:
        """What the executor says: as over HTTP, what is at hand comes first."""
        whole = repr((query, variables, more)).encode()
        if not more.get("fresh"):
            found = self.executor.at_hand(whole, more.get("reader", EVERYBODY))
            reply = found and found[0]
            if reply is not None and not isinstance(reply, Reply):
                reply = await reply
            if reply is not None:
                self.at_hand += 1
                return reply
        return await self.executor.respond(query, dict(variables or {}), **more, whole=whole)

    async def respond(self, query: str, variables: Mapping[str, Any] | None = None, **more: Any) -> bytes:
        """The bytes of an answer."""
        return (await self.reply(query, variables, **more)).body

    async def close(self) -> None:
        """Let go of Redis."""
        if self.cache is not None:
            await self.cache.close()


@asynccontextmanager
async def redis_link(url: str) -> AsyncGenerator[Redis]:
    """A client of one's own."""
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


def counted(name: str, **labels: str) -> float:
    """A counter of this process."""
    return REGISTRY.get_sample_value(f"progress_cache_{name}_total", labels) or 0.0
