"""What a client gets: bytes, and what they mean for HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
import msgspec
import structlog
from graphql import ExecutionResult, GraphQLError

from progress_context import telemetry
from progress_context.errors import LogError, LogUnavailable, ProgressError, QueryError
from progress_context.query.floats import float_text

encode = msgspec.json.Encoder().encode
log = structlog.get_logger(__name__)

STATUS = {
    "METHOD_NOT_SUPPORTED": 405,
    "UNAVAILABLE": 503,
    "POSITION_TIMEOUT": 503,
    "QUERY_TIMEOUT": 503,
    "INTERNAL_ERROR": 500,
}


class Reply(msgspec.Struct, frozen=True):
    """A GraphQL response as JSON.

    `status` is that of an answer in `application/graphql-response+json`; in `application/json` it is `plain`,
    which by custom is 200 for whatever was understood as GraphQL. An answer reflects a `position`, and may be
    kept (`keep`) when the same question is answered so again unless something changes. `tag` is its entity
    tag, if it has one.
    """

    body: bytes
    status: int = 200
    plain: int = 200
    position: int | None = None
    keep: bool = False
    tag: str = ""


def planned_reply(data: str, position: int, cost: int) -> Reply:
    """The answer that PostgreSQL wrote."""
    return Reply(f'{{"data":{data}'.encode() + ending(position, cost), position=position, keep=True)


def stock_reply(result: ExecutionResult, position: int, cost: int) -> Reply:
    """The answer of graphql-core's executor; errors without a path refuse the request as a whole."""
    errors = [formatted(error) for error in _in_order(result.errors or ())]
    if errors and all("path" not in error for error in errors):
        coded = [{**error, "extensions": {"code": "BAD_USER_INPUT"}} for error in errors]
        return Reply(encode({"errors": coded}), 400)
    response: dict[str, Any] = {"errors": errors} if errors else {}
    response["data"] = _shown(result.data)
    keep = all(error["extensions"]["code"] == "LEARNER_UNKNOWN" for error in errors)
    return Reply(encode(response)[:-1] + ending(position, cost), position=position, keep=keep)


def ending(position: int, cost: int) -> bytes:
    """The last bytes of an answer: what it says of itself."""
    return f',"extensions":{{"position":{position},"cost":{cost}}}}}'.encode()


def refusal(code: str, message: str) -> Reply:
    """A request that is not executed."""
    status = STATUS.get(code, 400)
    return Reply(_refused(code, message), status, status if status >= 500 else 200)


def http_refusal(status: int, code: str, message: str) -> Reply:
    """A request that was not understood as GraphQL."""
    return Reply(_refused(code, message), status, status)


def refused_document(errors: Iterable[GraphQLError], code: str) -> Reply:
    """A document that cannot be executed."""
    shown = [{**error.formatted, "extensions": _counted(code)} for error in errors]
    return Reply(encode({"errors": shown}), 400)


def formatted(error: GraphQLError) -> dict[str, Any]:
    """An error as the client sees it: our own with their code, a bug without its inside."""
    shown: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if isinstance(cause, asyncpg.UndefinedTableError):
        cause = LogUnavailable("the read models are not built yet")
        shown["message"] = str(cause)
    if isinstance(cause, ProgressError):
        shown["extensions"] = _counted(code_of(cause))
    elif cause is None or isinstance(cause, GraphQLError):
        shown["extensions"] = _counted("BAD_USER_INPUT")
    else:
        log.error("query_failed", error=repr(cause), exc_info=cause)
        shown["message"] = "internal error"
        shown["extensions"] = _counted("INTERNAL_ERROR")
    return shown


def code_of(error: ProgressError) -> str:
    """The code of one of our errors."""
    if isinstance(error, QueryError):
        return error.code
    return "UNAVAILABLE" if isinstance(error, LogError) else "INTERNAL_ERROR"


def _refused(code: str, message: str) -> bytes:
    return encode({"errors": [{"message": message, "extensions": _counted(code)}]})


def _counted(code: str) -> dict[str, str]:
    """The extensions of an error that a client is told of."""
    telemetry.GRAPHQL_ERRORS.labels(code).inc()
    return {"code": code}


def _in_order(errors: Iterable[GraphQLError]) -> list[GraphQLError]:
    return sorted(errors, key=lambda error: [str(part) for part in error.path or ()])


def _shown(value: Any) -> Any:
    """Data with every floating point number as PostgreSQL writes it."""
    if isinstance(value, float):
        return msgspec.Raw(float_text(value).encode())
    if isinstance(value, Mapping):
        return {key: _shown(each) for key, each in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value
