"""Answer one GraphQL request: by its plan in a single statement, or else by graphql-core in one snapshot."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from graphql import ExecutionResult

from progress_context import telemetry
from progress_context.engine.catalog import Catalog
from progress_context.errors import LogUnavailable, ProgressError, QueryError
from progress_context.log.database import Pool, acquire
from progress_context.log.profiles import Calendar
from progress_context.patience import Patience
from progress_context.principal import EVERYBODY, Principal
from progress_context.query.cache import Asked, Cache, Compute
from progress_context.query.cache_entries import identity_of
from progress_context.query.compiled import Request, compiled, within
from progress_context.query.documents import Document, Documents
from progress_context.query.limits import Limits
from progress_context.query.plan import Given
from progress_context.query.plan_sql import BROKEN
from progress_context.query.positions import Positions
from progress_context.query.responses import (
    Reply,
    code_of,
    planned_reply,
    refusal,
    refused_document,
    stock_reply,
)
from progress_context.query.served import Served, look
from progress_context.query.snapshot import BATCH_SECONDS, ServedAnew, snapshot
from progress_context.query.stock import execute_stock
from progress_context.query.together import Together

Found = tuple[Reply | Coroutine[Any, Any, Reply | None], str | None]  # and the operation's name

ATTEMPTS = 3
KEPT_BACK = 2  # connections of the pool for what is no planned question
PREPARED_KEPT, LONGEST_PREPARED = 5_000, 2_048  # requests, and bytes of one
PLANNED = telemetry.QUERY_ANSWERS.labels("planned")
STOCK = telemetry.QUERY_ANSWERS.labels("stock")
# A read model was swapped under a statement that was prepared before.
SWAPPED = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All that is known of a request before it is answered. Without `asked` its answer is not kept."""

    wait_for: int
    asked: Asked | None
    computed: Compute


@dataclass(frozen=True, slots=True)
class _State:
    """What is served, and the documents and requests that were prepared for it."""

    served: Served
    documents: Documents
    identity: bytes
    prepared: OrderedDict[tuple[bytes, Principal], _Prepared] = field(
        default_factory=OrderedDict[tuple[bytes, Principal], _Prepared]
    )

    def keep(self, whole: bytes, reader: Principal, prepared: _Prepared) -> None:
        """Remember a request by its bytes, if they are few; the oldest is forgotten."""
        if 0 < len(whole) <= LONGEST_PREPARED:
            self.prepared[whole, reader] = prepared
            if len(self.prepared) > PREPARED_KEPT:
                self.prepared.popitem(last=False)


class Executor:
    """Executes requests against the read models. `files` are the read models of this process's files.

    `clock` gives the moment asked about, `timeout` are seconds. Without `planned` only graphql-core answers,
    without `cache` no answer is kept.
    """

    def __init__(
        self,
        pool: Pool,
        files: Catalog,
        default: Calendar,
        positions: Positions,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        limits: Limits | None = None,
        timeout: float = 10.0,
        batch_seconds: float = BATCH_SECONDS,
        planned: bool = True,
        cache: Cache | None = None,
    ) -> None:
        self._pool = pool
        self._files = files
        self._default = default
        self._positions = positions
        self._clock = clock
        self._limits = limits or Limits()
        self._timeout = timeout
        self._batch_seconds = batch_seconds
        self._patience = Patience(timeout)
        self._together = Together(pool, most=max(1, pool.get_max_size() - KEPT_BACK))
        self._planned = planned
        self._cache = cache
        self._state: _State | None = None
        self._renewing = asyncio.Lock()

    async def answer(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        operation_name: str | None = None,
        reader: Principal = EVERYBODY,
    ) -> dict[str, Any]:
        """A GraphQL response as values: `data`, `errors`, and in `extensions` position and cost."""
        return msgspec.json.decode((await self.respond(query, variables, operation_name, reader)).body)

    async def respond(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        operation_name: str | None = None,
        reader: Principal = EVERYBODY,
        *,
        fresh: bool = False,
        whole: bytes = b"",
    ) -> Reply:
        """A GraphQL response as bytes, with what `reader` may see; nothing is raised.

        With `fresh` the cache is left alone. `whole` are bytes that stand for query, variables and name: a
        request that comes again need not be prepared again.
        """
        try:
            for _ in range(ATTEMPTS):
                state = self._state or await self._renewed(None)
                try:
                    prepared = state.prepared.get((whole, reader)) if whole else None
                    if prepared is None:
                        document = state.documents.get(query)
                        if document.errors:
                            return refused_document(document.errors, document.code)
                        prepared = self._prepare(
                            state, document, query, variables or {}, operation_name, reader
                        )
                        state.keep(whole, reader, prepared)
                    return await self._respond(prepared, fresh)
                except (ServedAnew, *SWAPPED):
                    await self._renewed(state)
            raise LogUnavailable("the read models are being exchanged; ask again")
        except ProgressError as error:
            return refusal(code_of(error), str(error))

    def at_hand(self, whole: bytes, reader: Principal) -> Found | None:
        """The answer to a request that came before, if it is kept; who asks must be counted still."""
        prepared = self._state and self._state.prepared.get((whole, reader))
        if prepared is None or prepared.wait_for or prepared.asked is None or self._cache is None:
            return None
        reply = self._cache.at_hand(prepared.asked)
        return reply and (reply, prepared.asked.operation)

    async def served(self) -> Served:
        """What is served, as it was known last; raises LogUnavailable."""
        return (self._state or await self._renewed(None)).served

    async def _respond(self, prepared: _Prepared, fresh: bool) -> Reply:
        if prepared.wait_for:
            await self._positions.wait_for(prepared.wait_for)
        if self._cache is None or prepared.asked is None or fresh:
            return await prepared.computed()
        return await self._cache.answer(prepared.asked, prepared.computed)

    def _prepare(
        self,
        state: _State,
        document: Document,
        query: str,
        variables: dict[str, Any],
        operation_name: str | None,
        reader: Principal,
    ) -> _Prepared:
        """What a request asks for, and how it is answered; raises QueryError."""
        request = compiled(document, operation_name, state.served).request(variables)
        within(request.cost, self._limits.cost)

        async def computed() -> Reply:
            if self._planned and (reply := await self._by_plan(state.served, request, reader)) is not None:
                PLANNED.inc()
                return reply
            STOCK.inc()
            return await self._by_stock(
                state.served, document, operation_name, variables, request.cost, reader
            )

        # Whom the reader may not see is not asked about: the cache tells who exists, by its speed.
        if request.about is None or not all(map(reader.may_see, request.about.users)):
            return _Prepared(request.wait_for, None, computed)
        asked = Asked(
            state.identity, state.served.versions, query, operation_name, variables, reader,
            request.about, request.wait_for, request.cost,
            again=lambda: self.respond(query, variables, operation_name, reader),
        )  # fmt: skip
        return _Prepared(request.wait_for, asked, computed)

    async def _by_plan(self, served: Served, request: Request, reader: Principal) -> Reply | None:
        """The answer of one statement; None when there is something that only the other executor can say."""
        plan = request.plan
        if plan is None:
            return None
        values = plan.values(Given(request.complete, self._clock(), reader.sight))
        try:
            with self._patience.limit():
                row = await self._together.fetch_one(plan.sql, values)
        except TimeoutError:
            raise self._too_slow() from None
        except asyncpg.DataError:
            return None
        if row["versions"] != served.versions:
            raise ServedAnew
        data = row["data"]
        if not row["known"] or data is None or BROKEN in data:
            return None
        return planned_reply(data, row["position"], request.cost)

    async def _by_stock(
        self,
        served: Served,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any],
        cost: int,
        reader: Principal,
    ) -> Reply:
        try:
            async with (
                asyncio.timeout(self._timeout),
                snapshot(self._pool, served, self._clock(), reader, self._batch_seconds) as seen,
            ):
                result = await execute_stock(document, operation_name, variables, seen)
        except TimeoutError:
            raise self._too_slow() from None
        if _swapped(result):
            raise ServedAnew
        return stock_reply(result, seen.position, cost)

    def _too_slow(self) -> QueryError:
        return QueryError(
            "QUERY_TIMEOUT", f"no answer within {self._timeout:g} s; the query was stopped: ask for less"
        )

    async def _renewed(self, old: _State | None) -> _State:
        """What is served now; one look for all who ask at the same time."""
        async with self._renewing:
            if self._state is None or self._state is old:
                async with acquire(self._pool) as connection:
                    served = await look(connection, self._files, self._default)
                self._state = _State(served, Documents(served.schema, self._limits), identity_of(served))
            return self._state


def _swapped(result: ExecutionResult) -> bool:
    return any(isinstance(error.original_error, SWAPPED) for error in result.errors or ())
