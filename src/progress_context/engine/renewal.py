"""While the service runs: bring read models up whose files were edited, or say that somebody should."""

from __future__ import annotations

import asyncio
from typing import Literal

import asyncpg
import structlog

from progress_context.engine.catalog import Catalog
from progress_context.engine.rebuild import bring_up
from progress_context.engine.selection import wishes
from progress_context.errors import BuildLost, BuildUnderWay, CheckpointLost, EngineError, LogUnavailable
from progress_context.log.database import Pool, acquire

PAUSE = 1.0

Mode = Literal["auto", "ask", "never"]

log = structlog.get_logger(__name__)


class Renewal:
    """Compares the files with what is active, once, and acts on it.

    `auto` rebuilds what was edited or is new, and retires what was removed; `ask` says in the log what waits
    for `rebuild NAME`, and `never` says nothing. What is active is kept up to date and served meanwhile.
    """

    def __init__(self, pool: Pool, catalog: Catalog, mode: Mode) -> None:
        self._pool = pool
        self._catalog = catalog
        self._mode: Mode = mode

    async def run(self, _token: int | None = None) -> None:
        """Come to an end when the files and what is active agree, or nothing more is to be done."""
        while True:
            try:
                await self._look()
            except (LogUnavailable, BuildUnderWay, BuildLost, CheckpointLost) as error:
                log.warning("rebuild_waits", reason=str(error))
                await asyncio.sleep(PAUSE)
            except (EngineError, asyncpg.PostgresError) as error:
                log.error("rebuild_failed", reason=str(error))
                return
            else:
                return

    async def _look(self) -> None:
        async with acquire(self._pool) as connection:
            wished = await wishes(connection, self._catalog)
        if wished.pinned:
            log.warning("rolled_back", names=wished.pinned, until="a file changes, or `rebuild NAME`")
        if self._mode == "auto" and (wished.edited or wished.removed):
            log.info("rebuilding", names=wished.edited, removed=wished.removed)
            log.info("rebuilt", names=await bring_up(self._pool, self._catalog))
        elif self._mode == "ask" and (wished.edited or wished.removed):
            log.warning("rebuild_awaited", names=wished.edited, removed=wished.removed, by="`rebuild NAME`")


async def build_first(pool: Pool, catalog: Catalog) -> None:
    """When nothing is active at all, build everything: there is nothing to ask about."""
    while True:
        async with acquire(pool) as connection:
            if not (await wishes(connection, catalog)).first:
                return
        try:
            log.info("rebuilt", names=await bring_up(pool, catalog))
        except BuildUnderWay:  # another process of this kind is at it
            await asyncio.sleep(PAUSE)
