"""The version of what is known about learners: as long as it stays the same, so does every answer about them.

It is read from the database, in one statement for all requests that wait at the same time, and may be trusted
for a moment: news of the learner end the trust, and since news may be lost, so does the clock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from progress_context import telemetry
from progress_context.delivery.changes import Changes
from progress_context.log.database import Pool, acquire, statement
from progress_context.log.profiles import Calendar
from progress_context.principal import Sight
from progress_context.query import access
from progress_context.query.asked import asked

AT_ONCE = 500  # learners in one statement
STATEMENTS = 2  # under way at the same time
RENEWALS = 8  # at most, while something is trusted
KEPT = 10_000
LONGEST_ID = 1_024
TRUSTED, READ = (telemetry.CACHE_VERSIONS.labels(how) for how in ("trusted", "read"))


@dataclass(frozen=True, slots=True)
class Seen:
    """What one snapshot of the database says of some learners, in the order asked.

    `versions` are the active ones as Served has them, `generation` changes with every swap, `position` is
    reflected by all realtime read models, `keys` has None for who is unknown. Unless `settled`, batches are
    about to change rows that no version tells of.
    """

    versions: str
    generation: str
    position: int
    settled: bool
    keys: tuple[int | None, ...]
    learners: tuple[str, ...]
    todays: tuple[date, ...]

    def same(self, other: Seen) -> bool:
        """Whether nothing that an answer depends on lies between the two."""
        return (self.versions, self.generation, self.settled, self.learners) == (
            other.versions, other.generation, other.settled, other.learners
        )  # fmt: skip


_Who = tuple[tuple[str, ...], Sight]


@dataclass(frozen=True, slots=True)
class _Trusted:
    seen: Seen
    began: float
    minute: int


class Versions:
    """Reads versions. `trust` are seconds (0: read for every request), `clock` gives the moment asked of."""

    def __init__(
        self, pool: Pool, default: Calendar, clock: Callable[[], datetime], *, trust: float = 0.0
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._trust = trust
        learner = access.learner("asked.learner_id", "asked.sight")
        local = asked(default, "learner.learner_key", "$2")
        self._sql = statement(__package__, "cache_versions").replace(":learner", learner)
        self._sql = self._sql.replace(":asked", local)
        self._waiting: OrderedDict[_Who, asyncio.Future[Seen]] = OrderedDict()
        self._ageing: dict[_Who, None] = {}
        self._reading = 0
        self._readers: set[asyncio.Task[None]] = set()
        self._trusted: OrderedDict[_Who, _Trusted] = OrderedDict()
        self._heard: OrderedDict[int, float] = OrderedDict()
        self._heard_of_all = 0.0
        self._generation = ""

    def hear(self, changes: Changes) -> None:
        """Rows of these learners changed."""
        now = time.monotonic()
        if changes.learners is None:
            self._heard_of_all = now
            self._heard.clear()
            return
        for key in changes.learners:
            self._heard[key] = now
            self._heard.move_to_end(key)
        while len(self._heard) > KEPT:
            _, at = self._heard.popitem(last=False)
            self._heard_of_all = max(self._heard_of_all, at)

    async def seen(
        self, users: tuple[str, ...], sight: Sight = None, *, at_least: int = 0, anew: bool = False
    ) -> Seen:
        """The versions of learners by id, no older than `trust`, nor than position `at_least`.

        Whoever is out of `sight` is unknown. With `anew`, as the database has them now. Raises
        LogUnavailable, or what PostgreSQL says.
        """
        known = None if anew else self.trusted(users, sight, at_least)
        if known is not None:
            return known
        READ.inc()
        return await asyncio.shield(self._join((users, sight)))

    def trusted(self, users: tuple[str, ...], sight: Sight, at_least: int) -> Seen | None:
        """The same, if it need not be read."""
        if not self._trust or len(users) != 1:
            return None
        known = self._trusted.get((users, sight))
        now = time.monotonic()
        if known is None or known.seen.position < at_least or not self._holds(known, now):
            return None
        if now > known.began + self._trust / 2:
            self._renew_soon((users, sight))
        TRUSTED.inc()
        return known.seen

    def _holds(self, known: _Trusted, now: float) -> bool:
        """Whether a version is fresh, no news of the learner came since, and the date cannot have changed."""
        key = known.seen.keys[0]
        return (
            key is not None
            and now < known.began + self._trust
            and max(self._heard.get(key, 0.0), self._heard_of_all) < known.began
            and _minute(self._clock()) == known.minute
        )

    def _renew_soon(self, who: _Who) -> None:
        """Read again what is in use and soon trusted no more, many at once, before anybody has to wait."""
        if not self._ageing:
            asyncio.get_running_loop().call_later(self._trust / RENEWALS, self._renew)
        self._ageing[who] = None

    def _renew(self) -> None:
        ageing, self._ageing = self._ageing, {}
        for who in ageing:
            READ.inc()
            self._join(who)

    def _join(self, who: _Who) -> asyncio.Future[Seen]:
        """The answer of the next statement: none that has begun already may give it."""
        future = self._waiting.get(who)
        if future is None:
            future = self._waiting[who] = asyncio.get_running_loop().create_future()
        if self._reading < STATEMENTS:
            self._reading += 1
            task = asyncio.create_task(self._read_waiting())
            self._readers.add(task)
            task.add_done_callback(self._readers.discard)
        return future

    async def _read_waiting(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                await self._answer(taken)
            except Exception as error:  # noqa: BLE001 - those who wait get it
                for future in taken.values():
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # whoever asked may be gone
        self._reading -= 1  # in the same breath as the look at who waits: who comes now begins anew

    def _take(self) -> dict[_Who, asyncio.Future[Seen]]:
        taken: dict[_Who, asyncio.Future[Seen]] = {}
        count = 0
        while self._waiting and count < AT_ONCE:
            who, future = self._waiting.popitem(last=False)
            taken[who] = future
            count += len(who[0])
        return taken

    async def _answer(self, taken: dict[_Who, asyncio.Future[Seen]]) -> None:
        moment = self._clock()
        users = [user for users, _ in taken for user in users]
        sights = [_as_array(sight) for users, sight in taken for _ in users]
        async with acquire(self._pool) as connection:
            began = time.monotonic()
            rows = await connection.fetch(self._sql, users, moment, sights)
        self._notice_swap(rows[0]["generation"], began)
        start = 0
        for who, future in taken.items():
            seen = _seen(rows[start : start + len(who[0])])
            start += len(who[0])
            self._remember(who, _Trusted(seen, began, _minute(moment)))
            if not future.done():
                future.set_result(seen)

    def _notice_swap(self, generation: str, began: float) -> None:
        """Trust nothing that was read before another generation was seen."""
        if generation != self._generation:
            self._generation = generation
            self._heard_of_all = max(self._heard_of_all, math.nextafter(began, 0.0))

    def _remember(self, who: _Who, trusted: _Trusted) -> None:
        known = self._trusted.get(who)
        if not self._trust or len(who[0]) > 1 or (known is not None and known.began > trusted.began):
            return
        self._trusted[who] = trusted
        self._trusted.move_to_end(who)
        if len(self._trusted) > KEPT:
            self._trusted.popitem(last=False)


def askable(user_id: str) -> bool:
    """Whether PostgreSQL can take a learner's id: otherwise it would refuse those asked about beside it."""
    if len(user_id) > LONGEST_ID or "\0" in user_id:
        return False
    try:
        user_id.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_array(sight: Sight) -> str | None:
    """Patterns as the text of an array of PostgreSQL's, so that each learner of a statement has their own."""
    if sight is None:
        return None
    quoted = (pattern.replace("\\", "\\\\").replace('"', '\\"') for pattern in sight)
    return "{" + ",".join(f'"{pattern}"' for pattern in quoted) + "}"


def _minute(moment: datetime) -> int:
    """The learner's date is the same for a whole minute, whatever the zone and the rollover hour."""
    return int(moment.timestamp() // 60)


def _seen(rows: Sequence[asyncpg.Record]) -> Seen:
    first = rows[0]
    return Seen(
        first["versions"], first["generation"], first["position"], first["settled"],
        tuple(row["learner_key"] for row in rows),
        tuple(row["version"] for row in rows),
        tuple(row["today"] for row in rows),
    )  # fmt: skip
