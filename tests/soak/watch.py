"""What the soak looks at while it runs: how far read models are behind, memory, the outgoing topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from statistics import linear_regression

import asyncpg
import psutil
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import AcknowledgeRequest, StreamingPullRequest, SubscriberAsyncClient

from progress_context.delivery.consumer import HEARTBEAT_SECONDS
from progress_context.delivery.message import POSITION
from progress_context.delivery.pubsub import subscriber_client
from soak.parts import Part

LOOK_SECONDS = 3.0  # that a look at the database may take
MIB = 1024 * 1024
MEMORY_EVERY = 1.0  # seconds
WARM_UP = 60.0  # seconds of a process's life before its memory counts
SHORTEST_LIFE = 60.0  # seconds after the warm-up that a slope is made of

LAG = """
    SELECT coalesce(extract(epoch FROM clock_timestamp() - event.recorded_at), 0)::float8
      FROM (SELECT min(position) AS position FROM engine.checkpoints JOIN engine.versions USING (version_id)
             WHERE status = 'active' AND update_mode = 'realtime') AS reached
      LEFT JOIN log.events AS event ON event.position = reached.position + 1
"""


async def lag(database: str) -> float | None:
    """Age in seconds of the oldest event that the realtime read models do not reflect; `None`: no answer."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            connection = await asyncpg.connect(database)
            try:
                return await connection.fetchval(LAG)
            finally:
                connection.terminate()
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return None


class Memory:
    """Resident memory of processes over their lives."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._lives: dict[tuple[str, int], list[tuple[float, float]]] = {}

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            for part in self._parts:
                with suppress(psutil.NoSuchProcess):
                    if pid := part.pid:
                        life = self._lives.setdefault((part.name, pid), [])
                        life.append((time.monotonic(), psutil.Process(pid).memory_info().rss / MIB))
            await asyncio.sleep(MEMORY_EVERY)

    def most(self) -> dict[str, float]:
        """The most that each part ever had, in MiB."""
        found: dict[str, float] = {}
        for (name, _), life in self._lives.items():
            found[name] = max(found.get(name, 0.0), *(size for _, size in life))
        return found

    def slopes(self) -> dict[str, float]:
        """MiB a minute by part, of its longest life after the warm-up; none where no life was long enough."""
        longest: dict[str, tuple[float, float]] = {}
        for (name, _), life in self._lives.items():
            if (found := slope(life)) and found > longest.get(name, (0.0, 0.0)):
                longest[name] = found
        return {name: rate for name, (_, rate) in longest.items()}


def slope(life: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Seconds looked at, and the growth in MiB a minute through (second, MiB) after the warm-up."""
    warm = [(at, size) for at, size in life if at >= life[0][0] + WARM_UP]
    if not warm or warm[-1][0] - warm[0][0] < SHORTEST_LIFE:
        return None
    return warm[-1][0] - warm[0][0], linear_regression(*zip(*warm, strict=True)).slope * 60


class Outgoing:
    """Everything that is published of the log, heard through a subscription of our own."""

    def __init__(self, subscription: str) -> None:
        self.positions: set[int] = set()
        self.messages = 0
        self._subscription = subscription

    async def run(self) -> None:
        """Listen until cancelled; what breaks off is begun again."""
        client = subscriber_client()
        try:
            while True:
                with suppress(GoogleAPICallError):
                    await self._listen(client)
                await asyncio.sleep(0.2)
        finally:
            await client.transport.close()

    async def _listen(self, client: SubscriberAsyncClient) -> None:
        async for response in await client.streaming_pull(
            requests=self._requests(), retry=None, timeout=None
        ):
            received = response.received_messages
            self.messages += len(received)
            self.positions.update(int(each.message.attributes[POSITION]) for each in received)
            ack_ids = [each.ack_id for each in received]
            request = AcknowledgeRequest(subscription=self._subscription, ack_ids=ack_ids)
            await client.acknowledge(request, retry=None, timeout=LOOK_SECONDS)

    async def _requests(self) -> AsyncIterator[StreamingPullRequest]:
        yield StreamingPullRequest(subscription=self._subscription, stream_ack_deadline_seconds=60)
        while True:  # as the services do
            await asyncio.sleep(HEARTBEAT_SECONDS)
            yield StreamingPullRequest()
