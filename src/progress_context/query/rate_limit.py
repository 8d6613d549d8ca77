"""How often somebody may ask: so many requests in any minute, counted together by all copies of the service.

A window of slots slides over time. A token bucket would let almost twice as many through in some minutes; a
log of all requests would need an entry for each of them, where this needs thirteen counters.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from progress_context import telemetry
from progress_context.log.database import resource

WINDOW_SECONDS, SLOT_SECONDS = 60, 5
SLOTS = WINDOW_SECONDS // SLOT_SECONDS + 1
KEYS_KEPT = 100_000
REDIS_SECONDS = 0.05  # for an answer; then this process counts alone
CONNECTIONS = 16
ALONE_SECONDS = 5.0  # until Redis is asked again

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may be answered, how many more may follow at once, seconds until there are more."""

    allowed: bool
    left: int
    seconds: int


class Counter(Protocol):
    """Counts requests in a window of a minute."""

    async def take(self, key: str, limit: int, wanted: int = 1) -> Verdict:
        """Count `wanted` requests of `key`, or none of them when they would exceed `limit`."""
        ...


class MemoryCounter:
    """Counts in this process, for the latest KEYS_KEPT keys; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, dict[int, int]] = OrderedDict()

    async def take(self, key: str, limit: int, wanted: int = 1) -> Verdict:
        """Count, or refuse."""
        return self.take_now(key, limit, wanted)

    def take_now(self, key: str, limit: int, wanted: int = 1) -> Verdict:
        """The same, for whoever cannot wait."""
        now = int(self._clock())
        slot = now // SLOT_SECONDS
        counts = {at: n for at, n in self._counts.get(key, {}).items() if at > slot - SLOTS}
        allowed = sum(counts.values()) + wanted <= limit
        if allowed:
            counts[slot] = counts.get(slot, 0) + wanted
        self._keep(key, counts)
        left = limit - sum(counts.values())
        return Verdict(allowed, left, _free_at(counts, left, wanted, slot) * SLOT_SECONDS - now)

    def _keep(self, key: str, counts: dict[int, int]) -> None:
        self._counts[key] = counts
        self._counts.move_to_end(key)
        if len(self._counts) > KEYS_KEPT:
            self._counts.popitem(last=False)


def _free_at(counts: dict[int, int], left: int, wanted: int, slot: int) -> int:
    """The slot in which there is room for `wanted`, and in which the oldest one has left the window."""
    free_at = slot + SLOTS
    for at in sorted(counts):
        left, free_at = left + counts[at], at + SLOTS
        if left >= wanted:
            break
    return free_at


class RedisCounter:
    """Counts in Redis, together with all others; alone while it does not answer within REDIS_SECONDS."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
        )
        self._redis = Redis.from_pool(pool)
        self._script = self._redis.register_script(resource(__package__, "rate_limit.lua"))
        self._alone = MemoryCounter()
        self._clock = clock
        self._alone_until = float("-inf")

    async def take(self, key: str, limit: int, wanted: int = 1) -> Verdict:
        """Count, or refuse."""
        if self._clock() >= self._alone_until:
            try:
                taken, left, seconds = await self._script(keys=[f"progress:rate:{key}"], args=[limit, wanted])
                return Verdict(bool(taken), int(left), int(seconds))
            except Exception as error:  # noqa: BLE001 - nonsense for an answer makes the client itself fail
                self._alone_until = self._clock() + ALONE_SECONDS
                telemetry.RATE_LIMITER_ALONE.inc()
                log.warning("rate_limits_counted_alone", error=str(error) or type(error).__name__)
        return await self._alone.take(key, limit, wanted)

    async def close(self) -> None:
        """Leave no connection behind."""
        await self._redis.aclose()
