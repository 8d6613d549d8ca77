"""Wait until the read models reflect a position: read your own write."""

from __future__ import annotations

import asyncio

from progress_context.errors import LogUnavailable, QueryError
from progress_context.log.database import Pool, acquire, statement


class Positions:
    """The newest position heard of; news wake those who wait, and they also look by themselves."""

    def __init__(self, pool: Pool, *, timeout: float = 5.0, poll: float = 0.25) -> None:
        self._pool = pool
        self._timeout = timeout
        self._poll = poll
        self._moved = asyncio.Condition()
        self._pending: set[asyncio.Task[None]] = set()
        self.newest = 0

    def hear(self, position: int) -> None:
        """The read models now reflect `position`."""
        if position > self.newest:
            self.newest = position
            task = asyncio.ensure_future(self._wake())
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def wait_for(self, position: int) -> None:
        """Return once `position` is visible; raises QueryError POSITION_TIMEOUT when it takes too long."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        while self.newest < position:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise QueryError(
                    "POSITION_TIMEOUT",
                    f"position {position} is not visible after {self._timeout:g} s; the read models are"
                    f" at {self.newest}",
                )
            await self._sleep_or_news(position, min(left, self._poll))

    async def look(self) -> None:
        """Read the position from the database."""
        try:
            async with acquire(self._pool) as connection:
                self.hear(await connection.fetchval(statement(__package__, "position")))
        except LogUnavailable:
            return  # whoever waits runs into the time-out, which says what happened

    async def _sleep_or_news(self, position: int, seconds: float) -> None:
        try:
            async with self._moved, asyncio.timeout(seconds):
                await self._moved.wait_for(lambda: self.newest >= position)
        except TimeoutError:
            await self.look()

    async def _wake(self) -> None:
        async with self._moved:
            self._moved.notify_all()
