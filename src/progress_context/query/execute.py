"""Answer one GraphQL request: by its plan in a single statement, or else by graphql-core in one snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
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
from progress_context.query.compiled import Request, compiled, within
from progress_context.query.documents import Document, Documents
from progress_context.query.limits import Limits
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
from progress_context.query.snapshot import ServedAnew, snapshot
from progress_context.query.stock import execute_stock

ATTEMPTS = 3
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
class _State:
    """What is served, and the documents that were prepared for it."""

    served: Served
    documents: Documents


class Executor:
    """Executes requests against the read models. `files` are the read models of this process's files.

    `clock` gives the moment asked about, `timeout` are seconds. Without `planned` only graphql-core answers.
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
        planned: bool = True,
    ) -> None:
        self._pool = pool
        self._files = files
        self._default = default
        self._positions = positions
        self._clock = clock
        self._limits = limits or Limits()
        self._timeout = timeout
        self._planned = planned
        self._state: _State | None = None
        self._renewing = asyncio.Lock()

    async def answer(
        self, query: str, variables: dict[str, Any] | None = None, operation_name: str | None = None
    ) -> dict[str, Any]:
        """A GraphQL response as values: `data`, `errors`, and in `extensions` position and cost."""
        return msgspec.json.decode((await self.respond(query, variables, operation_name)).body)

    async def respond(
        self, query: str, variables: dict[str, Any] | None = None, operation_name: str | None = None
    ) -> Reply:
        """A GraphQL response as bytes; nothing is raised."""
        try:
            for _ in range(ATTEMPTS):
                state = self._state or await self._renewed(None)
                try:
                    return await self._respond(state, query, variables or {}, operation_name)
                except (ServedAnew, *SWAPPED):
                    await self._renewed(state)
            raise LogUnavailable("the read models are being exchanged; ask again")
        except ProgressError as error:
            return refusal(code_of(error), str(error))

    async def served(self) -> Served:
        """What is served, as it was known last; raises LogUnavailable."""
        return (self._state or await self._renewed(None)).served

    async def _respond(
        self, state: _State, query: str, variables: dict[str, Any], operation_name: str | None
    ) -> Reply:
        document = state.documents.get(query)
        if document.errors:
            return refused_document(document.errors, document.code)
        request = compiled(document, operation_name, state.served).request(variables)
        within(request.cost, self._limits.cost)
        if request.wait_for:
            await self._positions.wait_for(request.wait_for)
        if self._planned and (reply := await self._by_plan(state.served, request)) is not None:
            PLANNED.inc()
            return reply
        STOCK.inc()
        return await self._by_stock(state.served, document, operation_name, variables, request.cost)

    async def _by_plan(self, served: Served, request: Request) -> Reply | None:
        """The answer of one statement; None when there is something that only the other executor can say."""
        plan = request.plan
        if plan is None:
            return None
        values = plan.values(request.complete, self._clock())
        try:
            async with acquire(self._pool) as connection:
                row = await self._in_time(connection.fetchrow(plan.sql, *values, timeout=self._timeout))
        except asyncpg.DataError:
            return None
        if row["versions"] != served.versions:
            raise ServedAnew
        data = row["data"]
        if not row["known"] or data is None or BROKEN in data:
            return None
        return planned_reply(data, row["position"], request.cost)

    async def _in_time(self, fetching: Any) -> Any:
        try:
            return await fetching
        except TimeoutError:
            raise self._too_slow() from None

    async def _by_stock(
        self,
        served: Served,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any],
        cost: int,
    ) -> Reply:
        try:
            async with (
                asyncio.timeout(self._timeout),
                snapshot(self._pool, served, self._clock()) as seen,
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
                self._state = _State(served, Documents(served.schema, self._limits))
            return self._state


def _swapped(result: ExecutionResult) -> bool:
    return any(isinstance(error.original_error, SWAPPED) for error in result.errors or ())
