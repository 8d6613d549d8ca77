"""Group commit: requests that wait for the previous commit share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from progress_context.errors import AppendQueueFull, LogUnavailable
from progress_context.log.event import NewEvent, Outcome

Append = Callable[[Sequence[NewEvent]], Awaitable[list[Outcome]]]


class _Waiting(NamedTuple):
    events: Sequence[NewEvent]
    size: int
    answer: asyncio.Future[list[Outcome]]


class GroupCommit:
    """Gathers appends into groups of at most `group_events`, one commit each.

    At most `waiting_events` events and `waiting_bytes` bytes wait; beyond that `submit` raises
    AppendQueueFull at once. `run` must be running for anything to be appended.
    """

    def __init__(
        self,
        append: Append,
        *,
        group_events: int = 5_000,
        waiting_events: int = 50_000,
        waiting_bytes: int = 64 * 1024 * 1024,
        on_appended: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._append = append
        self._group_events = group_events
        self._waiting_events = waiting_events
        self._waiting_bytes = waiting_bytes
        self._on_appended = on_appended
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self.events_waiting = 0
        self.bytes_waiting = 0

    async def submit(self, events: Sequence[NewEvent], size: int) -> list[Outcome]:
        """Outcomes of `events`, `size` bytes in all, in order, once they are on disk."""
        if not events:
            return []
        self._refuse_overflow(len(events), size)
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(events, size, answer))
        self.events_waiting += len(events)
        self.bytes_waiting += size
        self._arrived.set()
        return await answer

    async def run(self) -> None:
        """Append groups until cancelled; then refuse whatever still waits."""
        try:
            while True:
                await self._arrived.wait()
                await self._commit(self._next_group())
        finally:
            self._refuse(self._queue, LogUnavailable("the service is stopping"))

    async def drained(self) -> None:
        """Return once nothing waits."""
        while self.events_waiting:
            await asyncio.sleep(0.005)

    def _refuse_overflow(self, events: int, size: int) -> None:
        if not self.events_waiting:  # one request always fits, however large
            return
        if (
            self.events_waiting + events > self._waiting_events
            or self.bytes_waiting + size > self._waiting_bytes
        ):
            raise AppendQueueFull(self.events_waiting, retry_after=1.0)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        events = 0
        while self._queue and (not group or events + len(self._queue[0].events) <= self._group_events):
            waiting = self._queue.popleft()
            group.append(waiting)
            events += len(waiting.events)
        if not self._queue:
            self._arrived.clear()
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        events = [event for waiting in group for event in waiting.events]
        try:
            outcomes = await self._append(events)
        except asyncio.CancelledError:
            self._refuse(group, LogUnavailable("the service is stopping; whether this was stored is unknown"))
            raise
        except Exception as error:  # noqa: BLE001 - every waiting request gets the reason
            self._refuse(group, error)
        else:
            self._answer(group, outcomes)
        finally:
            self.events_waiting -= len(events)
            self.bytes_waiting -= sum(waiting.size for waiting in group)

    @staticmethod
    def _refuse(group: Iterable[_Waiting], error: Exception) -> None:
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)

    def _answer(self, group: list[_Waiting], outcomes: list[Outcome]) -> None:
        start = 0
        for waiting in group:
            end = start + len(waiting.events)
            if not waiting.answer.done():
                waiting.answer.set_result(outcomes[start:end])
            start = end
        last = max((o.position or 0 for o in outcomes if o.status == "stored"), default=0)
        if last:
            self._on_appended(last)
