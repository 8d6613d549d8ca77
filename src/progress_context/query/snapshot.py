"""One consistent look at the read models: every field of a request sees the same position."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache

import asyncpg

from progress_context.engine.bind import lazy_relation
from progress_context.engine.catalog import Catalog
from progress_context.engine.template import fill, quote, quote_all, with_ctes
from progress_context.errors import QueryError
from progress_context.log.database import Connection, Pool, acquire, statement
from progress_context.log.profiles import Calendar
from progress_context.query.asked import asked

LEARNER = "$1"
KEY_OF = "SELECT learner_key FROM log.learners WHERE learner_id = $1"


class Statements:
    """The SQL of each question, with the read models it names bound for one learner."""

    def __init__(self, catalog: Catalog, default: Calendar) -> None:
        self.catalog = catalog
        self._default = default
        self.of = lru_cache(maxsize=None)(self._of)
        self.rows_of = lru_cache(maxsize=None)(self._rows_of)

    def _of(self, question: str, read_models: tuple[str, ...], moment: int) -> str:
        """`query/<question>.sql` behind its bindings; `$moment` is the instant asked about."""
        relation = asked(self._default, LEARNER, f"${moment}")
        bound = [(n, lazy_relation(self.catalog, self.catalog[n], LEARNER, relation)) for n in read_models]
        ctes = [("asked", relation), *bound] if moment else bound
        return with_ctes(ctes, statement(__package__, question))

    def _rows_of(self, name: str) -> str:
        """The first $2 rows of any read model as JSON; $3 is the instant asked about."""
        model, relation = self.catalog[name], asked(self._default, LEARNER, "$3")
        bound = (name, lazy_relation(self.catalog, model, LEARNER, relation))
        shown = fill("shown_rows", read_model=quote(name), grain=quote_all(model.grain))
        return with_ctes([("asked", relation), bound], shown)


class Snapshot:
    """A read-only transaction; fields that are resolved beside each other take turns."""

    def __init__(self, connection: Connection, statements: Statements, now: datetime) -> None:
        self._connection = connection
        self._statements = statements
        self.catalog = statements.catalog
        self._turn = asyncio.Lock()
        self._keys: dict[str, int] = {}
        self.now = now
        self.position = 0

    async def begin(self) -> None:
        """Fix what is seen, and learn its position."""
        self.position = await self._connection.fetchval(statement(__package__, "position"))

    async def rows(
        self,
        question: str,
        read_models: tuple[str, ...],
        user_id: str,
        *arguments: object,
        asked: bool = True,
    ) -> list[asyncpg.Record]:
        """Answer a question about one learner. `arguments` are $2 and on; the moment comes last."""
        moment = len(arguments) + 2 if asked else 0
        sql = self._statements.of(question, read_models, moment)
        async with self._turn:
            key = await self._key_of(user_id)
            values = (key, *arguments, self.now) if asked else (key, *arguments)
            return await self._connection.fetch(sql, *values)

    async def read_model(self, name: str, user_id: str, first: int) -> list[asyncpg.Record]:
        """The first rows of a read model for a learner: `row` is JSON, `total` counts them all."""
        sql = self._statements.rows_of(name)
        async with self._turn:
            return await self._connection.fetch(sql, await self._key_of(user_id), first, self.now)

    async def learners(self, search: str | None, first: int) -> list[asyncpg.Record]:
        """Learners by part of their id."""
        async with self._turn:
            return await self._connection.fetch(statement(__package__, "learners"), search, first)

    async def _key_of(self, user_id: str) -> int:
        if user_id not in self._keys:
            key = await self._connection.fetchval(KEY_OF, user_id)
            if key is None:
                raise QueryError("LEARNER_UNKNOWN", f"no event of learner {user_id!r} has been received")
            self._keys[user_id] = key
        return self._keys[user_id]


@asynccontextmanager
async def snapshot(pool: Pool, statements: Statements, now: datetime) -> AsyncGenerator[Snapshot]:
    """A Snapshot on a connection of the pool; raises LogUnavailable."""
    async with (
        acquire(pool) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        look = Snapshot(connection, statements, now)
        await look.begin()
        yield look
