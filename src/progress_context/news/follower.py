"""Follows the log behind the realtime read models and sends what they say anew: streaks and milestones.

State is compared with what was told before, so that late events, corrections and repetitions need no rule of
their own. Each page is one commit, in which the events, what was told and the position change together.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import NamedTuple

import asyncpg
import structlog

from progress_context import telemetry
from progress_context.engine.bind import lazy_relation
from progress_context.engine.catalog import Catalog
from progress_context.engine.maintain import PLAN_BY_INDEX
from progress_context.errors import CheckpointLost, LogUnavailable
from progress_context.log.database import Connection, Pool, acquire, fetch_one, in_words, statement

LEASE = "news"
PAUSE = 0.5  # seconds between looks; a learner who did much meanwhile is looked at once
PAUSE_AFTER_FAILURE = 5.0
PAGE_EVENTS = 5_000
PATIENCE = 600.0  # seconds a page of learners with long histories may take

MILESTONES = "milestones"
LEARNERS = 'ANY (ARRAY (SELECT learner_key FROM "news.looked_at"))'
# The date only makes a difference to progress on the way, which is no news.
ASKED = "SELECT now() AS at, now()::date AS today"
COLUMNS = ("id", "type", "learner_key", "at", "day", "data", "streak", "standing")

log = structlog.get_logger(__name__)


class Told(NamedTuple):
    """What one page brought: how many streaks and milestones were sent, and up to which position."""

    upto: int
    streaks: int
    milestones: int


class Follower:
    """Sends what the events after `ops.news` brought, page by page.

    What lies more than `max_age` before the log received it is history and not sent.
    """

    def __init__(
        self, pool: Pool, catalog: Catalog, *, max_age: timedelta, page_events: int = PAGE_EVENTS
    ) -> None:
        self._pool = pool
        self._max_age = max_age
        self._page_events = page_events
        milestones = lazy_relation(catalog, catalog[MILESTONES], LEARNERS, ASKED)
        self._page = statement(__package__, "page").replace(":milestones", milestones)

    async def run(self, token: int | None = None) -> None:
        """Work until cancelled, under the lease with this token; a failure is logged and tried again."""
        while True:
            try:
                while await self.tell(token) is not None:
                    pass
            except (LogUnavailable, CheckpointLost, asyncpg.PostgresError) as error:
                log.warning("news_failed", error=in_words(error))
                telemetry.NEWS_FAILURES.inc()
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            await asyncio.sleep(PAUSE)

    async def tell(self, token: int | None = None) -> Told | None:
        """Send the news of one page; `None` when there is nothing behind the last one.

        Raises CheckpointLost, having sent nothing, when another process was faster or holds the lease.
        """
        async with acquire(self._pool) as connection:
            behind = await fetch_one(connection, statement(__package__, "behind"))
            after, upto = behind["told"], min(behind["visible"], behind["told"] + self._page_events)
            if upto <= after:
                return None
            news = await self._news(connection, after, upto)
            return await self._send(connection, after, upto, news, token)

    async def _news(self, connection: Connection, after: int, upto: int) -> list[asyncpg.Record]:
        """The events to be sent. The read models may be further than `upto`, which is as good."""
        async with connection.transaction(readonly=True):
            await connection.execute(PLAN_BY_INDEX)
            return await connection.fetch(self._page, after, upto, self._max_age, timeout=PATIENCE)

    async def _send(
        self, connection: Connection, after: int, upto: int, news: list[asyncpg.Record], token: int | None
    ) -> Told:
        columns = [[event[name] for event in news] for name in COLUMNS]
        row = await fetch_one(connection, statement(__package__, "tell"), after, upto, token, *columns)
        if not row["moved"]:
            raise CheckpointLost(f"another process tells the news behind position {after}")
        telemetry.NEWS.labels("progress.StreakUpdated").inc(row["streaks"])
        telemetry.NEWS.labels("progress.MilestoneAchieved").inc(row["milestones"])
        telemetry.NEWS_POSITION.set(upto)
        return Told(upto, row["streaks"], row["milestones"])
