"""All the projection work of one process: the shards it holds, batches, and what else is done once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from progress_context import telemetry, tracing
from progress_context.engine.batch import run_batch
from progress_context.engine.leases import SECONDS, Leases, Work, shard_lease
from progress_context.engine.maintain import Advance
from progress_context.engine.worker import Worker
from progress_context.errors import EngineError, LogUnavailable
from progress_context.log.database import Pool, acquire

STALE_SECONDS = 10.0

log = structlog.get_logger(__name__)


class Projector:
    """Shares the work with the other processes of its kind; `run` it until cancelled.

    `worker` names this process, and must be its own; `singles` is further work that one process at a time
    does, by the name of its lease.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        shards: int,
        page_events: int,
        poll_seconds: float,
        batch_seconds: float,
        lease_seconds: float = SECONDS,
        worker: str | None = None,
        singles: Mapping[str, Work] | None = None,
        on_advance: Callable[[Advance], None] = lambda advance: None,
    ) -> None:
        self._pool = pool
        self._batch_seconds = batch_seconds
        self._stale = max(STALE_SECONDS, 3 * poll_seconds)
        self._on_advance = on_advance
        self._workers = {
            shard_lease(shard): Worker(
                pool,
                page_events=page_events, poll_seconds=poll_seconds,
                shard=shard, shards=shards, on_advance=on_advance,
            )
            for shard in range(shards)
        }  # fmt: skip
        self._leases = Leases(
            pool,
            shared={name: worker.run for name, worker in self._workers.items()},
            single={"batch": self._batches, **(singles or {})},
            seconds=lease_seconds,
            worker=worker,
        )

    async def run(self) -> None:
        """Work until cancelled; then hand over."""
        await self._leases.run()

    def held_shards(self) -> list[str]:
        """The leases on shards that this process has now."""
        return [name for name in self._leases.held if name in self._workers]

    def wake(self, _position: int = 0) -> None:
        """There may be something to do."""
        for name in self.held_shards():
            self._workers[name].wake()

    def failure(self) -> str | None:
        """Why the work held here makes no progress; `None` when it does, or when none is held."""
        for name in self.held_shards():
            worker = self._workers[name]
            if worker.failure is not None:
                return f"{name}: {worker.failure}"
            if time.time() - worker.looked_at > self._stale:
                return f"{name}: the log was last looked at {time.time() - worker.looked_at:.0f} s ago"
        return None

    async def _batches(self, token: int) -> None:
        while True:
            try:
                async with acquire(self._pool) as connection:
                    with telemetry.BATCH_SECONDS.time(), tracing.span("batch") as span:
                        advance = await run_batch(connection, token)
                        if advance is not None:
                            span.set(
                                after=advance.after, position=advance.upto, learners=len(advance.learners)
                            )
            except (LogUnavailable, EngineError, asyncpg.PostgresError) as error:
                log.warning("batch_failed", error=f"{type(error).__name__}: {error}")
            else:
                if advance is not None:
                    log.info(
                        "batch_done", after=advance.after, upto=advance.upto, learners=len(advance.learners)
                    )
                    self._on_advance(advance)
            await asyncio.sleep(self._batch_seconds)
