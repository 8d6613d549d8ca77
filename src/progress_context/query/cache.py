"""The response cache: an answer is found only under the version of the learners that it was computed from.

Nothing is ever invalidated. What an answer depends on is part of its key, so an update makes the old answer
unreachable in the same commit; see cache_versions.sql. What was computed while a version changed is not kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import asyncpg
import structlog

from progress_context import telemetry
from progress_context.delivery.changes import Changes
from progress_context.errors import LogUnavailable
from progress_context.principal import Principal
from progress_context.query.cache_bounds import UNKNOWN, Keepable
from progress_context.query.cache_entries import Entry, entry, key_of
from progress_context.query.cache_memory import Memory
from progress_context.query.cache_redis import RedisAnswers
from progress_context.query.cache_versions import Seen, Versions, askable
from progress_context.query.responses import Reply, ending
from progress_context.query.snapshot import ServedAnew

IN_MEMORY, NOT_IN_MEMORY, IN_REDIS, NOT_IN_REDIS = (
    telemetry.CACHE_REQUESTS.labels(layer, result)
    for layer in ("memory", "redis")
    for result in ("hit", "miss")
)

Compute = Callable[[], Awaitable[Reply]]

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Asked:
    """One request: `served` stands for the definitions in force, `versions` are the active ones.

    `reader` is the one who asks. `again` asks the same once more. `latest` is what its key was, by what was
    seen: as long as that is trusted, the key is the same. `noted` is when it was remembered, `missed` a key
    that Redis has just not had.
    """

    served: bytes
    versions: str
    text: str
    operation: str | None
    variables: Mapping[str, Any]
    reader: Principal
    about: Keepable
    wait_for: int
    cost: int
    again: Compute
    latest: tuple[Seen, bytes] | None = None
    noted: float | None = None
    missed: bytes | None = None


class Noting(Protocol):
    """Remembers what is asked."""

    def note(self, asked: Asked, seen: Seen) -> None:
        """A request came."""
        ...

    def hear(self, changes: Changes) -> None:
        """Rows changed."""
        ...


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer, and the position it was read at; 0: whatever position its version holds at."""

    value: Entry
    position: int


class Cache:
    """Answers requests from memory, then Redis if there is one, then by computing, once for all who ask."""

    def __init__(
        self,
        versions: Versions,
        memory: Memory,
        redis: RedisAnswers | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._versions = versions
        self._memory = memory
        self._redis = redis
        self._clock = clock
        self._under_way: dict[bytes, asyncio.Future[_Found | Reply]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.noting: Noting | None = None

    def hear(self, changes: Changes) -> None:
        """Rows of learners changed."""
        self._versions.hear(changes)
        if self.noting is not None:
            self.noting.hear(changes)

    async def answer(self, asked: Asked, compute: Compute) -> Reply:
        """The answer to a request, as of now; `compute` asks the database, and what it raises is raised.

        Raises ServedAnew when other versions are active than the request was prepared for, LogUnavailable.
        """
        seen = await self._seen(asked)
        if seen is not None and seen.versions != asked.versions:  # perhaps it is trusted from before a swap
            seen = await self._seen(asked, anew=True)
        if seen is None or not seen.settled or seen.position < asked.wait_for:
            return await compute()
        if seen.versions != asked.versions:
            raise ServedAnew
        key = self._latest_key(asked, seen)
        if key is None:
            return await compute()
        if self.noting is not None:
            self.noting.note(asked, seen)
        value = self._memory.get(key, self._clock())
        (IN_MEMORY if value is not None else NOT_IN_MEMORY).inc()
        if value is not None:
            return _reply(_Found(value, 0), asked, seen)
        missed, asked.missed = asked.missed, None
        value = await self._from_redis(key, seen) if key != missed else None
        if value is not None:
            self._memory.put(key, value)
            return _reply(_Found(value, 0), asked, seen)
        found = await self._found(key, asked, seen, compute)
        return found if isinstance(found, Reply) else _reply(found, asked, seen)

    def at_hand(self, asked: Asked) -> Reply | Coroutine[Any, Any, Reply | None] | None:
        """The answer to a request, if it is kept, in memory or perhaps in Redis, under a trusted version."""
        seen = self._versions.trusted(asked.about.users, asked.reader.sight, asked.wait_for)
        if seen is None or not seen.settled or seen.versions != asked.versions:
            return None
        key = self._latest_key(asked, seen)
        if key is None:
            return None
        value = self._memory.get(key, self._clock())
        if value is None:
            return self._soon_at_hand(key, asked, seen) if self._asks_redis(key, seen) else None
        if self.noting is not None:
            self.noting.note(asked, seen)
        IN_MEMORY.inc()
        return _reply(_Found(value, 0), asked, seen)

    async def _soon_at_hand(self, key: bytes, asked: Asked, seen: Seen) -> Reply | None:
        value = await self._from_redis(key, seen)
        if value is None:
            asked.missed = key
            return None
        if self.noting is not None:
            self.noting.note(asked, seen)
        self._memory.put(key, value)
        return _reply(_Found(value, 0), asked, seen)

    async def close(self) -> None:
        """Let go of Redis."""
        for task in self._tasks:
            task.cancel()
        if self._redis is not None:
            await self._redis.close()

    async def _seen(self, asked: Asked, *, anew: bool = False) -> Seen | None:
        """None when the database cannot say, as while read models are exchanged."""
        trusted = (
            None if anew else self._versions.trusted(asked.about.users, asked.reader.sight, asked.wait_for)
        )
        if trusted is not None:
            return trusted
        if not all(askable(user) for user in asked.about.users):
            return None
        try:
            return await self._versions.seen(
                asked.about.users, asked.reader.sight, at_least=asked.wait_for, anew=anew
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            return None

    def _latest_key(self, asked: Asked, seen: Seen) -> bytes | None:
        """Its key; None for variables that are no JSON."""
        if asked.latest is None or asked.latest[0] is not seen:
            try:
                asked.latest = seen, self._key(asked, seen)
            except (TypeError, ValueError):
                return None
        return asked.latest[1]

    def _key(self, asked: Asked, seen: Seen) -> bytes:
        if asked.about.fixed and None not in seen.keys:
            seen = replace(seen, learners=tuple(f"fixed {key}" for key in seen.keys))
        whose = (asked.reader.role, asked.reader.sight)
        return key_of(asked.served, asked.text, asked.operation, asked.variables, whose, seen)

    async def _found(self, key: bytes, asked: Asked, seen: Seen, compute: Compute) -> _Found | Reply:
        """Wait for whoever is at it, or begin; who goes away meanwhile takes nothing from the others."""
        future = self._under_way.get(key)
        if future is None:
            future = self._under_way[key] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._find(key, asked, seen, compute, future))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            telemetry.CACHE_SHARED.inc()
        return await asyncio.shield(future)

    async def _find(
        self, key: bytes, asked: Asked, seen: Seen, compute: Compute, future: asyncio.Future[_Found | Reply]
    ) -> None:
        try:
            reply = await compute()
            if reply.position is None or not reply.keep:
                future.set_result(reply)
                return
            data = reply.body.removesuffix(ending(reply.position, asked.cost))
            value = entry(data, self._clock() + self._seconds(asked, seen))
            future.set_result(_Found(value, reply.position))
            await self._keep(key, value, asked, seen)
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - those who wait get it
            if future.done():
                log.warning("answer_not_cached", error=repr(error))
            else:
                future.set_exception(error)
                future.exception()  # whoever asked may be gone
        finally:
            del self._under_way[key]

    def _asks_redis(self, key: bytes, seen: Seen) -> bool:
        return self._redis is not None and None not in seen.keys and key not in self._under_way

    async def _from_redis(self, key: bytes, seen: Seen) -> Entry | None:
        if self._redis is None or not self._asks_redis(key, seen):
            return None
        value = await self._redis.get(key)
        (IN_REDIS if value is not None else NOT_IN_REDIS).inc()
        return value

    async def _keep(self, key: bytes, value: Entry, asked: Asked, seen: Seen) -> None:
        """Keep an answer if nothing that it depends on changed while it was computed."""
        try:
            now = await self._seen(asked, anew=True)
        except LogUnavailable:
            return
        if now is None or not now.settled or self._key(asked, now) != key:
            return
        self._memory.put(key, value)
        if self._redis is not None and None not in seen.keys:
            self._redis.put(key, value)

    def _seconds(self, asked: Asked, seen: Seen) -> int:
        seconds = asked.about.seconds(min(seen.todays))
        return min(seconds, UNKNOWN) if None in seen.keys else seconds


def _reply(found: _Found, asked: Asked, seen: Seen) -> Reply:
    """An answer with the newest position it is known to reflect."""
    position = max(found.position, seen.position)
    if None in seen.keys and not found.position:
        telemetry.GRAPHQL_ERRORS.labels("LEARNER_UNKNOWN").inc()
    body = found.value.data + ending(position, asked.cost)
    return Reply(body, position=position, keep=True, tag=found.value.tag)
