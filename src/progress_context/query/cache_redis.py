"""Answers shared by all copies of the service, in Valkey or Redis: a help when it is there, never a need.

Whoever waits shares the next round trip. Everything has a time limit, and while Redis is away nobody asks it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from progress_context import telemetry
from progress_context.patience import Patience
from progress_context.query.cache_entries import Entry, packed, unpacked

PREFIX = b"progress:answer:"
SECONDS = 0.05  # for an answer
PAUSE, LONGEST_PAUSE = 1.0, 30.0  # until Redis is asked again
LARGEST = 1 << 20  # bytes of a value
MOST_WAITING = 500  # writes; further ones are left out
AT_ONCE = 200

log = structlog.get_logger(__name__)


class RedisAnswers:
    """Entries by key. No method fails; `get` returns within `seconds`."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._redis = Redis.from_url(
            url, protocol=3, max_connections=2, retry=Retry(NoBackoff(), 0),
            socket_timeout=seconds, socket_connect_timeout=seconds,
        )  # fmt: skip
        self._breaker = Breaker(pause)
        self._patience = Patience(seconds)
        self._gets: dict[bytes, list[asyncio.Future[bytes | None]]] = {}
        self._puts: dict[bytes, tuple[bytes, int]] = {}
        self._talking: asyncio.Task[None] | None = None

    async def get(self, key: bytes) -> Entry | None:
        """The entry of a key, if Redis has it and says so in time."""
        if not self._breaker.lets_through():
            return None
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._gets.setdefault(key, []).append(future)
        self._talk()
        try:
            with self._patience.limit():
                raw = await future
        except TimeoutError:
            return None
        return None if raw is None else self._checked(key, raw)

    def put(self, key: bytes, value: Entry) -> None:
        """Have an entry written soon, or not at all."""
        seconds = math.ceil(value.until - self._clock())
        if seconds < 1 or len(value.data) > LARGEST or len(self._puts) >= MOST_WAITING:
            return
        if self._breaker.closed:
            self._puts[key] = (packed(key, value), seconds)
            self._talk()

    async def close(self) -> None:
        """Let go of the connection."""
        if self._talking is not None:
            self._talking.cancel()
            with suppress(asyncio.CancelledError):
                await self._talking
        await self._hang_up()

    def _checked(self, key: bytes, raw: bytes) -> Entry | None:
        found = unpacked(key, raw)
        if found is None:
            telemetry.CACHE_REDIS_ERRORS.labels("damaged").inc()
            log.warning("cached_answer_damaged", bytes=len(raw))
        elif found.until <= self._clock():
            return None
        return found

    def _talk(self) -> None:
        if self._talking is None or self._talking.done():
            self._talking = asyncio.create_task(self._converse())

    async def _converse(self) -> None:
        while self._gets or self._puts:
            gets, self._gets = self._gets, {}
            puts = {key: self._puts.pop(key) for key in list(self._puts)[:AT_ONCE]}
            found: Sequence[Any] = ()
            try:
                async with asyncio.timeout(self._seconds):
                    found = await self._round_trip(list(gets), puts)
            except Exception as error:  # noqa: BLE001 - nonsense for an answer makes the client itself fail
                await self._failed(error)
            finally:
                answers = found if len(found) == len(gets) else [None] * len(gets)
                for futures, answer in zip(gets.values(), answers, strict=True):
                    for future in futures:
                        if not future.done():
                            future.set_result(answer if isinstance(answer, bytes) else None)

    async def _round_trip(self, gets: list[bytes], puts: dict[bytes, tuple[bytes, int]]) -> Sequence[Any]:
        found: Any = []
        if gets:
            found = await self._redis.mget([PREFIX + key for key in gets])
            if not isinstance(found, list):
                raise RedisError(f"MGET answered {type(found).__name__}")
        if puts:
            await self._write(puts)
        self._breaker.succeeded()
        return found

    async def _write(self, puts: dict[bytes, tuple[bytes, int]]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key, (value, seconds) in puts.items():
                pipeline.set(PREFIX + key, value, ex=seconds)
            for error in await pipeline.execute(raise_on_error=False):
                if isinstance(error, Exception):  # it may be full; what it has can still be read
                    telemetry.CACHE_REDIS_ERRORS.labels("refused").inc()

    async def _failed(self, error: Exception) -> None:
        kind = "slow" if isinstance(error, TimeoutError) else "failed"
        telemetry.CACHE_REDIS_ERRORS.labels(kind).inc()
        if self._breaker.closed:
            log.warning("cache_without_redis", error=f"{type(error).__name__}: {error}")
        self._breaker.failed()
        self._puts.clear()
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Forget the connection: an answer that comes late would be taken for that of the next question."""
        with suppress(Exception):
            async with asyncio.timeout(self._seconds):
                await self._redis.connection_pool.disconnect(inuse_connections=True)


class Breaker:
    """Keeps away from a server that failed, for longer each time; then lets one through to see."""

    def __init__(self, pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = self._pause = pause
        self._clock = clock
        self._until = 0.0
        self.closed = True

    def lets_through(self) -> bool:
        """Whether to ask now."""
        if self.closed:
            return True
        now = self._clock()
        if now < self._until:
            return False
        self._until = now + self._least
        return True

    def succeeded(self) -> None:
        """It answered."""
        self.closed = True
        self._pause = self._least

    def failed(self) -> None:
        """It did not."""
        self.closed = False
        self._until = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
