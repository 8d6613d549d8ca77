"""Answer one GraphQL request: parse and validate once per document, then look at one snapshot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    IntValueNode,
    OperationType,
    VariableNode,
    Visitor,
    execute,
    get_operation_ast,
    parse,
    validate,
    visit,
)

from progress_context.engine.catalog import Catalog
from progress_context.errors import LogError, LogUnavailable, ProgressError, QueryError
from progress_context.log.database import Pool
from progress_context.log.profiles import Calendar
from progress_context.query.positions import Positions
from progress_context.query.resolvers import Context
from progress_context.query.schema import load_schema, resolve_field
from progress_context.query.snapshot import Statements, snapshot

MAX_TOKENS = 2_000
WAIT = "waitForPosition"

log = structlog.get_logger(__name__)


class Executor:
    """Executes requests against the read models. `clock` gives the moment asked about."""

    def __init__(
        self,
        pool: Pool,
        catalog: Catalog,
        default: Calendar,
        positions: Positions,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._catalog = catalog
        self._statements = Statements(catalog, default)
        self._positions = positions
        self._clock = clock
        self.schema: GraphQLSchema = load_schema()
        self._documents: OrderedDict[str, DocumentNode | list[GraphQLError]] = OrderedDict()

    async def answer(
        self, query: str, variables: dict[str, Any] | None = None, operation_name: str | None = None
    ) -> dict[str, Any]:
        """A GraphQL response: `data`, `errors`, and in `extensions` the `position` it reflects."""
        document = self._prepared(query)
        if isinstance(document, list):
            return {"errors": [_formatted(error) for error in document]}
        operation = get_operation_ast(document, operation_name)
        if operation is not None and operation.operation is not OperationType.QUERY:
            return _refusal("METHOD_NOT_SUPPORTED", "only queries are answered here")
        try:
            await self._wait(document, variables or {})
            result, position = await self._execute(document, variables, operation_name)
            if _swapped(result):
                result, position = await self._execute(document, variables, operation_name)
        except (QueryError, LogError) as error:
            return _refusal(_code_of(error), str(error))
        return _response(result, position)

    async def _execute(
        self, document: DocumentNode, variables: dict[str, Any] | None, operation_name: str | None
    ) -> tuple[ExecutionResult, int]:
        async with snapshot(self._pool, self._statements, self._clock()) as look:
            result = execute(
                self.schema,
                document,
                variable_values=variables,
                operation_name=operation_name,
                context_value=Context(look, self._catalog.policy),
                field_resolver=resolve_field,
            )
            if isinstance(result, ExecutionResult):
                return result, look.position
            return await result, look.position

    def _prepared(self, query: str) -> DocumentNode | list[GraphQLError]:
        """The validated document, or what is wrong with it; the latest 1,000 are kept."""
        if (known := self._documents.get(query)) is not None:
            self._documents.move_to_end(query)
            return known
        try:
            document = parse(query, max_tokens=MAX_TOKENS)
            prepared: DocumentNode | list[GraphQLError] = validate(self.schema, document) or document
        except GraphQLError as error:
            prepared = [error]
        self._documents[query] = prepared
        if len(self._documents) > 1_000:
            self._documents.popitem(last=False)
        return prepared

    async def _wait(self, document: DocumentNode, variables: dict[str, Any]) -> None:
        """Hold back until every position that the request names is visible."""
        finder = _WaitFinder(variables)
        visit(document, finder)
        if finder.position:
            await self._positions.wait_for(finder.position)


class _WaitFinder(Visitor):
    """The greatest `waitForPosition` of a document."""

    def __init__(self, variables: dict[str, Any]) -> None:
        super().__init__()
        self._variables = variables
        self.position = 0

    def enter_field(self, node: FieldNode, *_: object) -> None:
        for argument in node.arguments or ():
            if argument.name.value == WAIT:
                value: object = None
                if isinstance(argument.value, IntValueNode):
                    value = int(argument.value.value)
                elif isinstance(argument.value, VariableNode):
                    value = self._variables.get(argument.value.name.value)
                if isinstance(value, int):
                    self.position = max(self.position, value)


def _swapped(result: ExecutionResult) -> bool:
    """Whether a read model was swapped under a prepared statement; the next look is at the new one."""
    causes = [error.original_error for error in result.errors or ()]
    return any(isinstance(cause, asyncpg.InvalidCachedStatementError) for cause in causes)


def _response(result: ExecutionResult, position: int) -> dict[str, Any]:
    response: dict[str, Any] = {}
    if result.errors:
        response["errors"] = [_formatted(error) for error in _in_order(result.errors)]
    response["data"] = result.data
    response["extensions"] = {"position": position}
    return response


def _in_order(errors: Iterable[GraphQLError]) -> list[GraphQLError]:
    return sorted(errors, key=lambda error: [str(part) for part in error.path or ()])


def _formatted(error: GraphQLError) -> dict[str, Any]:
    """An error as the client sees it: our own with their code, a bug without its inside."""
    formatted: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if isinstance(cause, asyncpg.UndefinedTableError):
        cause = LogUnavailable("the read models are not built yet")
        formatted["message"] = str(cause)
    if isinstance(cause, ProgressError):
        formatted["extensions"] = {"code": _code_of(cause)}
    elif cause is not None and not isinstance(cause, GraphQLError):
        log.error("query_failed", error=repr(cause), exc_info=cause)
        formatted["message"] = "internal error"
        formatted["extensions"] = {"code": "INTERNAL_ERROR"}
    return formatted


def _refusal(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}], "data": None}


def _code_of(error: ProgressError) -> str:
    if isinstance(error, QueryError):
        return error.code
    return "UNAVAILABLE" if isinstance(error, LogError) else "INTERNAL_ERROR"
