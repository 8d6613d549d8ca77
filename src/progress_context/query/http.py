"""`GET` and `POST /graphql`: GraphQL over HTTP."""

from __future__ import annotations

import itertools
import os
import re
import time
import zlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from progress_context import telemetry, tracing
from progress_context.errors import ProgressError, TokenRefused
from progress_context.patience import Patience
from progress_context.query import pages
from progress_context.query.cache_http import (
    NOT_STORED,
    send_not_modified,
    still_holds,
    validators,
    wants_fresh,
)
from progress_context.query.cors import PREFLIGHT, Headers, Origins
from progress_context.query.door import RATE_HEADERS, RATE_LIMITED, UNAUTHENTICATED, Door, Visitor
from progress_context.query.execute import Executor
from progress_context.query.persisted import PersistedDocuments
from progress_context.query.responses import Reply, code_of, http_refusal, refusal
from progress_context.query.wire import (
    GRAPHQL,
    JSON,
    GraphQLRequest,
    HttpRefusal,
    address_of,
    answer_type,
    check_content_type,
    read_body,
    read_query_string,
)

PATH = "/graphql"
READ_SECONDS = 30.0
COMPRESSED_FROM = 1_400  # bytes: what is shorter fits into one packet
NOTHING = b" "  # a body that says nothing, and is no JSON
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
OURS, NUMBERS = os.urandom(6).hex(), itertools.count()  # of this process
TYPES = {kind: (b"content-type", f"{kind}; charset=utf-8".encode()) for kind in (JSON, GRAPHQL)}
Answer = tuple[int, Headers, bytes]  # status, headers with the length, body
Soon = Coroutine[Any, Any, Answer | None]
AtHand = Callable[[Scope, bytes], Answer | Soon | None]
VARIES = (b"vary", b"accept, accept-encoding, authorization")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What the endpoint takes: bytes of a body, requests in a batch (0: none), origins of other sites."""

    graphiql: bool = True
    max_body: int = 256 * 1024
    batch: int = 0
    origins: tuple[str, ...] = ()


class GraphQLHttp:
    """GraphQL over HTTP, as an ASGI application."""

    def __init__(
        self,
        executor: Executor,
        options: HttpOptions,
        documents: Mapping[str, str] | None = None,
        door: Door | None = None,
    ) -> None:
        self._executor = executor
        self._door = door or Door()
        self._options = options
        self._documents = PersistedDocuments(documents or {})
        self._origins = Origins(options.origins)
        self._patience = Patience(READ_SECONDS)
        self._graphiql = pages.graphiql() if options.graphiql else None

    def routes(self) -> list[BaseRoute]:
        """Routes to mount: this, and the pages, which take whatever is left."""
        return [Route(PATH, self), *pages.routes()]

    def endpoints(self) -> dict[str, ASGIApp]:
        """What answers a POST, by path, without a router in between."""
        return {PATH: self._measured}

    def at_hand(self) -> dict[str, AtHand]:
        """What answers a POST at once, by path, or not at all: then `endpoints` does."""
        return {PATH: self._at_hand}

    def _at_hand(self, scope: Scope, body: bytes) -> Answer | Soon | None:
        if tracing.enabled():
            return None
        started, headers = time.perf_counter(), _headers(scope)
        media_type = answer_type(headers.get("accept", ""))
        try:
            check_content_type(headers.get("content-type", ""))
            visitor = self._door.known(headers, address_of(scope))
        except (HttpRefusal, TokenRefused):
            return None
        if media_type is None or visitor is None or wants_fresh(headers):
            return None
        found = self._executor.at_hand(body, visitor.principal)
        if found is None:
            return None
        reply, operation = found
        counted = self._door.count_now(visitor) if isinstance(reply, Reply) else None

        def answer(reply: Reply, counted: Headers) -> Answer:
            told = validators(reply, [*self._told(headers, _request_id(headers)), *counted])
            sent = _compressed(reply.body, headers, told)
            seconds = time.perf_counter() - started
            telemetry.operation_seconds(operation).observe(seconds)
            telemetry.observe_request(PATH, 200, seconds)
            return 200, [TYPES[media_type], *told, _length(sent)], sent

        async def soon() -> Answer | None:
            ready = reply if isinstance(reply, Reply) else await reply
            counted = await self._door.count(visitor) if ready is not None else None
            return answer(ready, counted.headers) if ready and counted and not counted.why_not else None

        return soon() if counted is None or not isinstance(reply, Reply) else answer(reply, counted)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, headers = time.perf_counter(), _headers(scope)
        with tracing.span(f"POST {PATH}", kind="server", parent=headers) as span:
            status = await self._answer(scope, headers, receive, send)
            span.set(status=status)
        telemetry.observe_request(PATH, status, time.perf_counter() - started)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        if scope["method"] == "GET" and self._graphiql and "text/html" in headers.get("accept", ""):
            await self._graphiql(scope, receive, send)
        else:
            await self._answer(scope, headers, receive, send)

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> int:
        request_id = _request_id(headers)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        told = self._told(headers, request_id)
        if scope["method"] == "OPTIONS":
            return await _send(send, 204, b"", [*told, *PREFLIGHT])
        media_type = answer_type(headers.get("accept", ""))
        reply = await self._reply(scope, headers, receive, media_type, told)
        told = validators(reply, told)
        if still_holds(scope["method"], headers, reply):
            return await send_not_modified(send, told)
        status = reply.status if media_type == GRAPHQL else reply.plain
        if status == 405:
            told.append((b"allow", b"GET, POST"))
        if status == 503:
            told.append((b"retry-after", b"1"))
        body = _compressed(reply.body, headers, told)
        return await _send(send, status, body, [TYPES[media_type or JSON], *told])

    def _told(self, headers: Mapping[str, str], request_id: str) -> Headers:
        """What every answer says."""
        own = self._origins.headers(headers)
        return [(b"x-request-id", request_id.encode()), NOT_STORED, VARIES, *own]

    async def _reply(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        receive: Receive,
        media_type: str | None,
        told: Headers,
    ) -> Reply:
        try:
            if media_type is None:
                raise HttpRefusal(406, "NOT_ACCEPTABLE", f"answers are {GRAPHQL} or {JSON}")
            visitor = await self._enter(scope, headers, told)
            body, fresh = await self._body(scope, headers, receive), wants_fresh(headers)
            wanted = (
                read_body(body, self._options.batch) if body else read_query_string(scope["query_string"])
            )
            if isinstance(wanted, GraphQLRequest):
                return await self._execute(wanted, visitor, fresh, body)
            await self._count(visitor, told, len(wanted) - 1)
            return _together([await self._execute(each, visitor, fresh) for each in wanted])
        except HttpRefusal as error:
            return http_refusal(error.status, error.code, str(error))
        except Exception:
            log.exception("query_failed")
            return refusal("INTERNAL_ERROR", "this is our fault; the service's log tells more")

    async def _enter(self, scope: Scope, headers: Mapping[str, str], told: Headers) -> Visitor:
        """Who asks, counted; `told` is what the answer says of it. Raises HttpRefusal: 401, 429."""
        try:
            visitor = await self._door.enter(headers, address_of(scope))
        except TokenRefused as error:
            log.info("request_refused", reason=error.reason)
            told.append((b"www-authenticate", b"Bearer"))
            raise HttpRefusal(401, UNAUTHENTICATED, "a valid bearer token is needed") from None
        await self._count(visitor, told)
        return visitor

    async def _count(self, visitor: Visitor, told: Headers, wanted: int = 1) -> None:
        counted = await self._door.count(visitor, wanted)
        if counted.headers:
            told[:] = [header for header in told if header[0] not in RATE_HEADERS] + counted.headers
        if counted.why_not:
            raise HttpRefusal(429, RATE_LIMITED, counted.why_not)

    async def _body(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> bytes:
        """What is asked; empty when the address says it."""
        if scope["method"] == "GET":
            return b""
        if scope["method"] != "POST":
            raise HttpRefusal(405, "METHOD_NOT_ALLOWED", "send GET or POST")
        check_content_type(headers.get("content-type", ""))
        try:
            with self._patience.limit():
                return await _read_all(receive, self._options.max_body) or NOTHING
        except TimeoutError:
            raise HttpRefusal(
                408, "BODY_TOO_SLOW", f"the body did not arrive within {READ_SECONDS:g} s"
            ) from None

    async def _execute(
        self, wanted: GraphQLRequest, visitor: Visitor, fresh: bool, body: bytes = b""
    ) -> Reply:
        name = wanted.operationName
        try:
            query = self._documents.text(wanted)
        except HttpRefusal:
            raise
        except ProgressError as error:
            return refusal(code_of(error), str(error))
        with telemetry.operation_seconds(name).time(), tracing.span("graphql", operation=name):
            return await self._executor.respond(
                query, wanted.variables, name, visitor.principal, fresh=fresh, whole=body
            )


async def _read_all(receive: Receive, most: int) -> bytes:
    """A request's body; raises HttpRefusal when it is too large or breaks off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise HttpRefusal(400, "BAD_REQUEST", "the body ended before it was complete")
        body += message.get("body", b"")
        if len(body) > most:
            raise HttpRefusal(413, "BODY_TOO_LARGE", f"a request has at most {most:,} bytes")
        if not message.get("more_body", False):
            return body


def _together(replies: list[Reply]) -> Reply:
    """The answers of a batch, in one array."""
    return Reply(b"[" + b",".join(reply.body for reply in replies) + b"]")


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _request_id(headers: Mapping[str, str]) -> str:
    """The sender's name for the request, or one of ours."""
    given = headers.get("x-request-id", "")
    return given if given and REQUEST_ID.fullmatch(given) else f"{OURS}{next(NUMBERS):06x}"


def _compressed(body: bytes, headers: Mapping[str, str], told: Headers) -> bytes:
    """A body as it goes out; `told` says how, if it is not as it was."""
    if len(body) < COMPRESSED_FROM or "gzip" not in headers.get("accept-encoding", ""):
        return body
    told.append((b"content-encoding", b"gzip"))
    return zlib.compress(body, 4, 31)


def _length(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(body))


async def _send(send: Send, status: int, body: bytes, headers: Headers) -> int:
    await send({"type": "http.response.start", "status": status, "headers": [*headers, _length(body)]})
    await send({"type": "http.response.body", "body": body})
    return status
