"""Who publishes: one process at a time, under a lease with a fencing token in the row of the checkpoint."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from typing import NamedTuple

import structlog

from progress_context.errors import LogUnavailable, RelayLost
from progress_context.log.database import Pool, acquire, statement

SECONDS = 5.0  # after which a relay that gave no sign of life is replaced
TURNS = 4  # signs of life in that time

ADD = "INSERT INTO ops.relays (topic) VALUES ($1) ON CONFLICT DO NOTHING"
KEEP = """
    UPDATE ops.relays SET expires_at = now() + make_interval(secs => $3)
     WHERE topic = $1 AND token = $2 RETURNING topic
"""
RELEASE = """
    UPDATE ops.relays SET holder = NULL, expires_at = '-infinity' WHERE topic = $1 AND token = $2
"""

log = structlog.get_logger(__name__)


class Held(NamedTuple):
    """The lease as it was taken: its token, and where the checkpoint stood."""

    token: int
    position: int


class RelayLease:
    """The right to publish to `topic`, for a process named `holder`, a name of its own.

    When the holder gives no sign of life for `seconds`, the next who asks gets it; a process that comes
    back under its former name need not wait.
    """

    def __init__(
        self, pool: Pool, topic: str, *, holder: str | None = None, seconds: float = SECONDS
    ) -> None:
        self.topic = topic
        self.pause = seconds / TURNS
        self._pool = pool
        self._holder = holder or uuid.uuid4().hex
        self._seconds = seconds

    async def take(self) -> Held | None:
        """The lease, or `None` while another process has it."""
        async with acquire(self._pool) as connection:
            await connection.execute(ADD, self.topic)
            row = await connection.fetchrow(
                statement(__package__, "take_relay"), self.topic, self._holder, self._seconds
            )
        return None if row is None else Held(row["token"], row["position"])

    async def keep(self, held: Held) -> None:
        """Give signs of life until cancelled. Raises RelayLost when another process may have taken over."""
        until = time.monotonic() + self._seconds
        while True:
            await asyncio.sleep(self.pause)
            if time.monotonic() > until:
                raise RelayLost(f"no sign of life for {self._seconds:g} s: another relay may have taken over")
            asked = time.monotonic()
            with suppress(LogUnavailable):
                async with acquire(self._pool) as connection:
                    if not await connection.fetchval(KEEP, self.topic, held.token, self._seconds):
                        raise RelayLost("another relay took over")
                until = asked + self._seconds

    async def move(self, held: Held, after: int, upto: int) -> None:
        """Move the checkpoint. Raises RelayLost, having changed nothing, when it is not ours to move."""
        async with acquire(self._pool) as connection:
            row = await connection.fetchrow(
                statement(__package__, "move_relay"), self.topic, held.token, after, upto
            )
        if row is None or row["position"] is None:
            raise RelayLost(f"the checkpoint is not at position {after} any more, or another relay took over")

    async def release(self, held: Held) -> None:
        """Let another process begin at once."""
        with suppress(LogUnavailable):
            async with acquire(self._pool) as connection:
                await connection.execute(RELEASE, self.topic, held.token)
