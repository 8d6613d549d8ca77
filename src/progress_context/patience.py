"""A time limit for very many short waits."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Any


class _Wait:
    __slots__ = ("deadline", "expired", "over", "task")

    def __init__(self, deadline: float, task: asyncio.Task[Any]) -> None:
        self.deadline = deadline
        self.task = task
        self.over = False
        self.expired = False


class Patience:
    """What `asyncio.timeout(seconds)` promises, with one timer for all waits instead of one for each.

    ::

        with patience.limit():
            await something()       # TimeoutError after `seconds`
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._waits: deque[_Wait] = deque()  # in the order of their deadlines
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> _Limit:
        """A context for one wait of the current task."""
        return _Limit(self)

    def begin(self) -> _Wait:
        """Note a wait that starts now."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        wait = _Wait(loop.time() + self.seconds, task)
        while self._waits and self._waits[0].over:
            self._waits.popleft()
        self._waits.append(wait)
        if self._timer is None:
            self._timer = loop.call_at(wait.deadline, self._end_overdue)
        return wait

    def _end_overdue(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waits and (self._waits[0].over or self._waits[0].deadline <= loop.time()):
            wait = self._waits.popleft()
            if not wait.over:
                wait.expired = True
                wait.task.cancel()
        if self._waits:
            self._timer = loop.call_at(self._waits[0].deadline, self._end_overdue)


class _Limit:
    __slots__ = ("_patience", "_wait")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    def __enter__(self) -> None:
        self._wait = self._patience.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait.over = True
        if self._wait.expired:
            still_cancelled = self._wait.task.uncancel()
            if kind is asyncio.CancelledError and not still_cancelled:
                raise TimeoutError from error
