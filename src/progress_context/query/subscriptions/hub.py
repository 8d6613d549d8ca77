"""The hub of a process: knows who watches which learner, and has payloads computed when something is new.

A feed is looked at when there is news of its learner; from then until its payload was written it is busy, and
news that come meanwhile wait in one mark. So a client never has more than one payload of an operation on the
way, and one that is slow gets the newest state, or the next milestones of the log, when it is ready for it.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from itertools import islice

import asyncpg
import structlog

from progress_context import telemetry
from progress_context.delivery.changes import Changes
from progress_context.errors import LogUnavailable
from progress_context.query.subscriptions.looks import Look, Looker, Point
from progress_context.query.subscriptions.payloads import Composer, NotNow, Payload, PayloadRefused, Payloads
from progress_context.query.subscriptions.protocol import refused
from progress_context.query.subscriptions.stream import MILESTONE, STREAK, Stream

POINTS_AT_ONCE = 500
COMPOSED_AT_ONCE = 4
RETRY_SECONDS = 0.5
FAILURES = (LogUnavailable, NotNow, asyncpg.PostgresError)

log = structlog.get_logger(__name__)


class Learner:
    """A learner who is watched."""

    __slots__ = ("feeds", "key", "newest")

    def __init__(self, key: int) -> None:
        self.key = key
        self.newest = 0
        self.feeds: set[Feed] = set()


class Feed(ABC):
    """One subscription of one client. `after` is the position it is at; None: not known yet, from now on."""

    __slots__ = ("after", "busy", "learner", "left", "missed", "shown", "stream")

    def __init__(self, stream: Stream, after: int | None) -> None:
        self.stream = stream
        self.after = after
        self.shown: bytes | None = None  # the streak as the client knows it
        self.learner: Learner | None = None
        self.busy = False
        self.missed = False
        self.left = False

    @abstractmethod
    def give(self, payloads: Sequence[Payload]) -> None:
        """Send payloads, at least one, then tell the hub `written`."""

    @abstractmethod
    def fail(self, errors: str) -> None:
        """End the operation with a JSON list of errors."""


class Hub:
    """All feeds of this process; `run` and `poll` until cancelled."""

    def __init__(self, looker: Looker, composer: Composer, *, poll_seconds: float) -> None:
        self._looker = looker
        self._composer = composer
        self._poll_seconds = poll_seconds
        self._learners: dict[int, Learner] = {}
        self._early: dict[int, int] = {}  # learners whose events are folded, but not visible yet
        self._visible = 0
        self._due: dict[Feed, None] = {}  # in the order in which they came
        self._woken = asyncio.Event()
        self._poll_now = asyncio.Event()
        self._slots = asyncio.Semaphore(COMPOSED_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, feed: Feed) -> None:
        """Begin to look for what is new for a feed."""
        telemetry.LIVE_OPERATIONS.inc()
        self._mark(feed)

    def leave(self, feed: Feed) -> None:
        """Nothing more is sent to a feed."""
        if feed.left:
            return
        telemetry.LIVE_OPERATIONS.dec()
        feed.left = True
        self._due.pop(feed, None)
        if feed.learner is not None:
            feed.learner.feeds.discard(feed)
            if not feed.learner.feeds:
                self._learners.pop(feed.learner.key, None)

    def written(self, feed: Feed) -> None:
        """What a feed was given is on its way to the client: it may have more."""
        feed.busy = False
        if feed.missed and not feed.left:
            self._mark(feed)

    def hear(self, changes: Changes) -> None:
        """News of the read models."""
        self._visible = max(self._visible, changes.visible)
        if changes.learners is None:
            self._poll_now.set()
            return
        for key in changes.learners:
            if key in self._learners:
                self._early[key] = changes.upto
        ripe = [key for key, upto in self._early.items() if upto <= self._visible]
        for key in ripe:
            del self._early[key]
            self._mark_all(key)

    async def run(self) -> None:
        """Look at the feeds that are due, and have their payloads computed."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            feeds = list(islice(self._due, POINTS_AT_ONCE))
            for feed in feeds:
                del self._due[feed]
            if self._due:
                self._woken.set()
            await self._look(feeds)

    async def poll(self) -> None:
        """Look at all learners who are watched, now and then: news may be lost."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._poll_now.wait()
            self._poll_now.clear()
            began = time.monotonic()
            try:
                await self._poll()
            except FAILURES as error:
                log.warning("live_poll_failed", error=str(error))
            await asyncio.sleep(max(0.05, 2 * (time.monotonic() - began)))

    async def _poll(self) -> None:
        keys = list(self._learners)
        if not keys:
            return
        for key, newest in (await self._looker.newest(keys)).items():
            learner = self._learners.get(key)
            if learner is not None and newest > learner.newest:
                learner.newest = newest
                self._mark_all(key)

    def _mark_all(self, learner_key: int) -> None:
        learner = self._learners.get(learner_key)
        for feed in learner.feeds if learner else ():
            self._mark(feed)

    def _mark(self, feed: Feed) -> None:
        if feed.busy:
            feed.missed = True
        else:
            self._due[feed] = None
            self._woken.set()

    async def _look(self, feeds: Sequence[Feed]) -> None:
        """Look at feeds, all in one statement, and group those that get the same."""
        for feed in feeds:
            feed.busy, feed.missed = True, False
        points: set[Point] = {(feed.stream.user_id, feed.after) for feed in feeds}
        try:
            looks = await self._looker.looks(points)
        except FAILURES as error:
            log.warning("live_look_failed", error=str(error))
            self._later(feeds)
            return
        wanted: dict[tuple[Stream, int], tuple[Look, list[Feed]]] = {}
        for feed in feeds:
            look = looks[feed.stream.user_id, feed.after]
            if not feed.left and self._take_in(feed, look):
                wanted.setdefault((feed.stream, feed.after or 0), (look, []))[1].append(feed)
        for (stream, after), (look, those) in wanted.items():
            self._start(self._compose(stream, after, look, those))

    def _take_in(self, feed: Feed, look: Look) -> bool:
        """What a look means for a feed; whether something has to be computed for it."""
        if look.learner_key is None:
            message = f"no event of learner {feed.stream.user_id!r} has been received"
            self._fail([feed], refused("LEARNER_UNKNOWN", message))
            return False
        self._watch(feed, look.learner_key).newest = look.newest
        after = feed.after = look.position if feed.after is None else feed.after
        milestone = feed.stream.field == MILESTONE
        if look.newest > after if milestone else look.first_day is not None or _knows_no_streak(feed):
            return True
        feed.after = max(after, look.position)
        self.written(feed)
        return False

    def _watch(self, feed: Feed, learner_key: int) -> Learner:
        if feed.learner is None:
            feed.learner = self._learners.setdefault(learner_key, Learner(learner_key))
            feed.learner.feeds.add(feed)
        return feed.learner

    async def _compose(self, stream: Stream, after: int, look: Look, feeds: Sequence[Feed]) -> None:
        """Have payloads computed once, and give them to all who want them."""
        try:
            async with self._slots:
                found = await self._composer.compose(stream, after, look)
        except FAILURES as error:
            log.warning("live_payload_failed", error=str(error))
            self._later(feeds)
        except PayloadRefused as error:
            self._fail(feeds, error.errors)
        except Exception as error:  # a bug ends these operations, not those of others
            log.error("live_payload_impossible", error=repr(error), exc_info=error)
            self._fail(feeds, refused("INTERNAL_ERROR", "internal error"))
        else:
            for feed in feeds:
                if not feed.left:
                    self._give(feed, found, look)

    def _give(self, feed: Feed, found: Payloads, look: Look) -> None:
        known, feed.shown = feed.shown, found.shown
        feed.after = max(feed.after or 0, found.upto)
        feed.missed |= found.upto < look.position
        changed = look.first_day is not None if known is None else known != found.shown
        if found.payloads and (feed.stream.field != STREAK or changed):
            feed.give(found.payloads)
        else:
            self.written(feed)

    def _fail(self, feeds: Sequence[Feed], errors: str) -> None:
        for feed in feeds:
            if not feed.left:
                self.leave(feed)
                feed.fail(errors)

    def _later(self, feeds: Sequence[Feed]) -> None:
        """Try again soon."""

        async def wait() -> None:
            await asyncio.sleep(RETRY_SECONDS)
            for feed in feeds:
                feed.missed = True
                self.written(feed)

        self._start(wait())

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _knows_no_streak(feed: Feed) -> bool:
    return feed.stream.field == STREAK and feed.shown is None
