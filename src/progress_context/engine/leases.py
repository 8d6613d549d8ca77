"""Who does what: leases with fencing tokens, divided evenly among the processes that are alive."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog

from progress_context import telemetry
from progress_context.errors import LogUnavailable
from progress_context.log.database import Pool, acquire, statement

SECONDS = 5.0  # after which a worker that gave no sign of life is replaced
TURNS = 4  # signs of life in that time

Work = Callable[[int], Coroutine[Any, Any, None]]

ADD = "INSERT INTO engine.leases (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
RELEASE = """
    UPDATE engine.leases SET holder = NULL, expires_at = '-infinity'
     WHERE holder = $1 AND name = ANY ($2::text[])
"""
RETURN = "UPDATE engine.leases SET holder = NULL, expires_at = '-infinity' WHERE holder = $1"
LEAVE = "DELETE FROM engine.workers WHERE worker = $1"

log = structlog.get_logger(__name__)


def shard_lease(shard: int) -> str:
    """The name of the lease on a shard of learners."""
    return f"shard {shard}"


class Leases:
    """Runs the work whose leases this process holds, `work[name](token)`, until it is lost or surplus.

    `shared` names are divided evenly among all live workers; each of `single` is held by one of them.
    A process that comes back under its former name `worker` need not wait until its own leases end.
    Losing a lease is noticed by the database first: commits that check the token fail from then on.
    Work that fails is begun anew at the next turn.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        shared: dict[str, Work],
        single: dict[str, Work],
        seconds: float = SECONDS,
        worker: str | None = None,
    ) -> None:
        self.worker = worker or uuid.uuid4().hex
        self.seconds = seconds
        self._pool = pool
        self._shared = list(shared)
        self._single = list(single)
        self._work = shared | single
        self._tasks: dict[str, tuple[int, asyncio.Task[None]]] = {}

    @property
    def held(self) -> dict[str, int]:
        """Tokens by name of what this process works on."""
        return {name: token for name, (token, _) in self._tasks.items()}

    async def run(self) -> None:
        """Take part until cancelled; then hand everything over."""
        try:
            async with acquire(self._pool) as connection:
                await connection.execute(ADD, [*self._shared, *self._single])
                await connection.execute(RETURN, self.worker)  # what one of this name held when it died
            while True:
                with suppress(LogUnavailable):  # what is held goes on, as long as the database lets it
                    await self._turn()
                await asyncio.sleep(self.seconds / TURNS)
        finally:
            await self._leave()

    async def _turn(self) -> None:
        async with acquire(self._pool) as connection:
            rows = await connection.fetch(
                statement(__package__, "take_leases"), self.worker, self.seconds, self._shared, self._single
            )
        tokens = {row["name"]: row["token"] for row in rows}
        lost = [name for name, (token, _) in self._tasks.items() if tokens.get(name) != token]
        await self._stop(lost)
        self._forget_failed()
        for name, token in tokens.items():
            if name not in self._tasks:
                log.info("lease_taken", lease=name, token=token)
                telemetry.LEASE_CHANGES.labels("taken").inc()
                self._tasks[name] = (token, asyncio.create_task(self._work[name](token), name=name))
        surplus = [row["name"] for row in rows if row["surplus"]]
        if surplus:
            await self._stop(surplus)
            await self._release(surplus)

    def _forget_failed(self) -> None:
        """Work that ended in an error nobody foresaw is begun anew; work that came to its end is done."""
        for name, (_, task) in list(self._tasks.items()):
            if task.done() and (error := task.exception()) is not None:
                log.error("work_failed", lease=name, error=f"{type(error).__name__}: {error}", exc_info=error)
                telemetry.LEASE_CHANGES.labels("failed").inc()
                del self._tasks[name]

    async def _stop(self, names: Sequence[str]) -> None:
        tasks = [self._tasks.pop(name)[1] for name in names]
        for name, task in zip(names, tasks, strict=True):
            log.info("lease_given_up", lease=name)
            telemetry.LEASE_CHANGES.labels("given_up").inc()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _release(self, names: Sequence[str]) -> None:
        async with acquire(self._pool) as connection:
            await connection.execute(RELEASE, self.worker, names)

    async def _leave(self) -> None:
        names = list(self._tasks)
        await self._stop(names)
        with suppress(LogUnavailable):
            await self._release(names)
            async with acquire(self._pool) as connection:
                await connection.execute(LEAVE, self.worker)
