"""Group commit: requests that wait for the previous commit share the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from progress_context.errors import AppendQueueFull, LogUnavailable
from progress_context.log.event import NewEvent, Outcome
from progress_context.patience import Patience

GROUPS_UNDER_WAY = 2
LARGE_GROUP = 500  # events

Append = Callable[[Sequence[NewEvent]], Awaitable[list[Outcome]]]


class Submit(Protocol):
    """How events reach the log, `size` bytes of them."""

    def __call__(self, events: Sequence[NewEvent], size: int) -> Awaitable[list[Outcome]]: ...


class _Waiting(NamedTuple):
    events: Sequence[NewEvent]
    size: int
    answer: asyncio.Future[list[Outcome]]


class GroupCommit:
    """Gathers appends into groups of at most `group_events`, one commit each.

    At most `waiting_events` events and `waiting_bytes` bytes wait; beyond that `submit` raises
    AppendQueueFull at once. Nobody waits longer than `patience` seconds: what was not taken up by then
    is not appended any more. `run` must be running for anything to be appended.
    """

    def __init__(
        self,
        append: Append,
        *,
        group_events: int = 5_000,
        waiting_events: int = 50_000,
        waiting_bytes: int = 64 * 1024 * 1024,
        patience: float = 20.0,
        on_appended: Callable[[int], None] = lambda position: None,
    ) -> None:
        self._append = append
        self._group_events = group_events
        self._waiting_events = waiting_events
        self._waiting_bytes = waiting_bytes
        self._patience = Patience(patience)
        self._on_appended = on_appended
        self._queue: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._queued = 0
        self.events_waiting = 0
        self.bytes_waiting = 0

    async def submit(self, events: Sequence[NewEvent], size: int) -> list[Outcome]:
        """Outcomes of `events`, `size` bytes in all, in order, once they are on disk.

        Raises LogUnavailable when nothing can be said in time; the events may be in the log or not.
        """
        if not events:
            return []
        self._refuse_overflow(len(events), size)
        answer: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(events, size, answer))
        self.events_waiting += len(events)
        self.bytes_waiting += size
        self._queued += len(events)
        self._changed.set()
        try:
            with self._patience.limit():
                return await answer
        except TimeoutError:
            text = (
                f"no answer from PostgreSQL within {self._patience.seconds:g} s;"
                " whether this was stored is unknown"
            )
            raise LogUnavailable(text) from None

    async def run(self) -> None:
        """Append groups until cancelled; then refuse whatever still waits.

        Small groups wait for the commit under way, to be larger; beside a large one the next large
        one is made ready.
        """
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._queue and self._may_begin(len(under_way)):
                    task = asyncio.create_task(self._commit(self._next_group()))
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                    task.add_done_callback(lambda _: self._changed.set())
        finally:
            self._refuse(self._queue, LogUnavailable("the service is stopping"))
            for task in under_way:
                task.cancel()

    def _may_begin(self, under_way: int) -> bool:
        if under_way == 0:
            return True
        return under_way < GROUPS_UNDER_WAY and self._queued >= LARGE_GROUP

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
            self._queued -= len(waiting.events)
            if waiting.answer.done():  # whoever sent it has given up
                self._forget(waiting)
                continue
            group.append(waiting)
            events += len(waiting.events)
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
            for waiting in group:
                self._forget(waiting)

    def _forget(self, waiting: _Waiting) -> None:
        self.events_waiting -= len(waiting.events)
        self.bytes_waiting -= waiting.size

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
