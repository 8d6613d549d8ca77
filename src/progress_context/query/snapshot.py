"""One consistent look at the read models: every field of a request sees the same position."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

import asyncpg

from progress_context.engine.as_of import Moment, Point
from progress_context.engine.bind import policy_relation
from progress_context.engine.definition import POLICY
from progress_context.engine.template import with_ctes
from progress_context.errors import QueryError
from progress_context.log.database import Connection, Pool, acquire, fetch_one, statement
from progress_context.principal import EVERYBODY, Principal
from progress_context.query import access
from progress_context.query.arguments import Parameters as Values
from progress_context.query.question import GIVEN, Parameters, Question, names_in, placed, standing_alone
from progress_context.query.served import Served

T = TypeVar("T")

LEARNER = object()
NOW = object()
BATCH_SECONDS = 300.0  # between two batches, unless it is set
SIGHT = object()


class ServedAnew(Exception):
    """The active versions are not those that were asked."""


class Snapshot:
    """A read-only transaction; fields that are resolved beside each other take turns.

    `batch_seconds` lie between two batches: read models that are kept in batches may lag for some of these.
    """

    def __init__(
        self,
        connection: Connection,
        served: Served,
        now: datetime,
        reader: Principal = EVERYBODY,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()
        self._keys: dict[str, int] = {}
        self._points: dict[Moment, Point] = {}
        self.served = served
        self.now = now
        self.batch_seconds = batch_seconds
        self.reader = reader
        self.position = 0

    async def begin(self) -> None:
        """Fix what is seen, and learn its position; raises ServedAnew."""
        state = await fetch_one(self._connection, statement(__package__, "served"))
        if state["versions"] != self.served.versions:
            raise ServedAnew
        self.position = state["position"]

    async def rows(
        self, each: Question, values: Values, user_id: str | None, moment: Moment | None
    ) -> list[asyncpg.Record]:
        """Answer a question, about one learner where `user_id` says so, now or as of a moment."""
        async with self._turn:
            key = None if user_id is None else await self._key_of(user_id)
            try:
                if moment is not None:
                    return await self._then(each, values, key, moment)
                return await self._now(each, values, key)
            except asyncpg.DataError as error:
                raise QueryError("BAD_USER_INPUT", f"the database cannot take an argument: {error}") from None

    async def outside(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask for something that is no question, in its turn."""
        async with self._turn:
            return await ask(self._connection)

    async def _now(self, each: Question, values: Values, key: int | None) -> list[asyncpg.Record]:
        parameters = Parameters()
        learner, now, sight = (parameters.place(key) for key in (LEARNER, NOW, SIGHT))
        relations = self.served.binder.relations([each], learner, now, sight)
        place = {name: parameters.place(name) for name in names_in([each])}
        sql, keys = parameters.numbered(with_ctes(relations, placed(standing_alone(each), place)))
        given: Mapping[object, object] = {**values, LEARNER: key, NOW: self.now, SIGHT: self.reader.sight}
        return await self._connection.fetch(sql, *(given[name] for name in keys))

    async def _then(
        self, each: Question, values: Values, key: int | None, moment: Moment
    ) -> list[asyncpg.Record]:
        wanted = each.read_models()
        for name in wanted - GIVEN:
            self.served.binder.check(name)
        if moment not in self._points:
            self._points[moment] = await self.served.past.find(self._connection, moment)
        parameters = Parameters()
        parameters.place(LEARNER)
        place = {name: parameters.place(name) for name in sorted(names_in([each]))}
        policy = [(POLICY, policy_relation(self.served.catalog.policy))] if POLICY in wanted else []
        alone = f"SELECT past.* FROM (\n{with_ctes(policy, standing_alone(each))}\n) AS past"
        used, keys = parameters.numbered(f"{parameters.place(LEARNER)}{placed(alone, place)}")
        answer = await self.served.past.answer(
            self._connection,
            used.removeprefix("$1"),
            sorted(wanted - {POLICY}),
            key,
            self._points[moment],
            *(values[str(name)] for name in keys[1:]),
        )
        return list(answer.rows)

    async def _key_of(self, user_id: str) -> int:
        if user_id not in self._keys:
            self._keys[user_id] = await access.key_of(self._connection, user_id, self.reader)
        return self._keys[user_id]


@asynccontextmanager
async def snapshot(
    pool: Pool,
    served: Served,
    now: datetime,
    reader: Principal = EVERYBODY,
    batch_seconds: float = BATCH_SECONDS,
) -> AsyncGenerator[Snapshot]:
    """A Snapshot on a connection of the pool; raises LogUnavailable, ServedAnew."""
    async with (
        acquire(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        look = Snapshot(connection, served, now, reader, batch_seconds)
        await look.begin()
        yield look
