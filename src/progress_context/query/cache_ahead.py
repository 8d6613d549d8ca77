"""Answers computed ahead: when rows of a learner change, what was asked about them lately is asked again."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from progress_context import telemetry
from progress_context.delivery.changes import Changes
from progress_context.principal import Principal
from progress_context.query.cache import Asked
from progress_context.query.cache_versions import Seen

FIELDS = frozenset({"dailyStats", "learningStreak", "userSummary"})
LATELY = 600.0  # seconds since somebody asked
NOTED_SECONDS = 5.0  # for which a question that was noted is not noted again
QUESTIONS = 4  # about one learner

Question = tuple[str, str | None, str, Principal]


class Ahead:
    """Knows the latest questions about the latest `learners`; `run` until cancelled."""

    def __init__(self, learners: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = learners
        self._clock = clock
        self._lately: OrderedDict[int, OrderedDict[Question, tuple[Asked, float]]] = OrderedDict()
        self._changed: dict[int, None] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    def note(self, asked: Asked, seen: Seen) -> None:
        """Remember a question about one known learner, unless it is one of ours."""
        now = self._clock()
        if asked.noted is not None and now < asked.noted + NOTED_SECONDS:
            return
        [key, *others] = seen.keys
        if key is None or others or not asked.about.names <= FIELDS or asyncio.current_task() is self._task:
            return
        questions = self._lately.setdefault(key, OrderedDict())
        self._lately.move_to_end(key)
        question = (asked.text, asked.operation, repr(asked.variables), asked.reader)
        questions[question] = (asked, now)
        asked.noted = now
        questions.move_to_end(question)
        if len(questions) > QUESTIONS:
            questions.popitem(last=False)
        if len(self._lately) > self._most:
            self._lately.popitem(last=False)

    def hear(self, changes: Changes) -> None:
        """Rows changed: those of learners asked about lately are due."""
        due = [key for key in changes.learners or () if key in self._lately]
        if due:
            self._changed.update(dict.fromkeys(due))
            self._woken.set()

    async def run(self) -> None:
        """Ask again, one question at a time, at most half of the time."""
        self._task = asyncio.current_task()
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._changed:
                key = next(iter(self._changed))
                del self._changed[key]
                await self._ask_about(key)

    async def _ask_about(self, key: int) -> None:
        for asked, at in list(self._lately.get(key, OrderedDict()).values()):
            if at < self._clock() - LATELY:
                continue
            began = time.monotonic()
            await asked.again()
            telemetry.CACHE_AHEAD.inc()
            await asyncio.sleep(time.monotonic() - began)
