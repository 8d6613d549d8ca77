"""GraphQL over server-sent events (graphql-sse): a stream for each operation, or a reserved one for many.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from progress_context.errors import ProgressError, QueryError, TokenRefused
from progress_context.query.cors import Headers, Origins
from progress_context.query.door import UNAUTHENTICATED
from progress_context.query.responses import code_of
from progress_context.query.subscriptions.admission import Credentials
from progress_context.query.subscriptions.client import Client, Desk
from progress_context.query.subscriptions.protocol import LONGEST_ID, TOO_MANY_OPERATIONS, Params, refused
from progress_context.query.subscriptions.sse import ONLY, EventStream
from progress_context.query.subscriptions.stream import DocumentRefused
from progress_context.query.wire import (
    GraphQLRequest,
    HttpRefusal,
    address_of,
    check_content_type,
    read_body,
    read_query_string,
)

TOKEN = "x-graphql-event-stream-token"  # noqa: S105 - the name of a header
EVENTS = "text/event-stream"
CHALLENGE = (b"www-authenticate", b"Bearer")
RESERVED_SECONDS = 60.0  # for the stream to a reservation to be opened
MOST_RESERVED = 10_000
LONGEST_BODY = 256 * 1024
PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
    (b"access-control-allow-headers", f"content-type, authorization, last-event-id, {TOKEN}".encode()),
    (b"access-control-max-age", b"7200"),
]


class EventStreams:
    """All event streams of this process. `clients` are looked after by somebody else while they are open."""

    def __init__(self, desk: Desk, clients: set[Client], origins: Origins) -> None:
        self._desk = desk
        self._clients = clients
        self._origins = origins
        self._reserved: dict[str, EventStream] = {}
        self.closed = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        told = self._origins.headers(headers)
        try:
            await self._serve(scope, headers, told, receive, send)
        except HttpRefusal as error:
            body = f'{{"errors":{refused(error.code, str(error))}}}'
            await _answer(send, error.status, body, told)
        except DocumentRefused as error:
            await _answer(send, 400, f'{{"errors":{error.errors}}}', told)
        except TokenRefused as error:
            await _answer(send, 401, _told(error, UNAUTHENTICATED), [*told, CHALLENGE])
        except ProgressError as error:
            status = 400 if isinstance(error, QueryError) else 503
            await _answer(send, status, _told(error, code_of(error)), told)

    def check(self, now: float) -> None:
        """Forget reservations nobody came for."""
        for token, stream in list(self._reserved.items()):
            if not stream.opened and now - stream.reserved_at > RESERVED_SECONDS:
                del self._reserved[token]
                stream.leave()

    async def _serve(
        self, scope: Scope, headers: Mapping[str, str], told: Headers, receive: Receive, send: Send
    ) -> None:
        if self.closed:
            raise HttpRefusal(503, "UNAVAILABLE", "the service is going away; connect again")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        token = headers.get(TOKEN) or query.get("token", [""])[-1]
        method = scope["method"]
        if method == "OPTIONS":
            await _answer(send, 204, "", [*told, *PREFLIGHT])
        elif method == "PUT":
            await _answer(send, 201, await self._reserve(scope, headers), told, "text/plain")
        elif method == "DELETE":
            self._of(token).stop(query.get("operationId", [""])[-1])
            await _answer(send, 200, "", told)
        elif EVENTS in headers.get("accept", ""):
            await self._open(scope, headers, told, token, receive, send)
        elif method == "POST" and token:
            await self._begin(self._of(token), await _read(scope, headers, receive))
            await _answer(send, 202, "", told)
        else:
            raise HttpRefusal(406, "NOT_ACCEPTABLE", f"send accept: {EVENTS}, or the token of a reservation")

    async def _who(self, scope: Scope, headers: Mapping[str, str]) -> object:
        return await self._desk.admission.connect(Credentials(headers, {}, address_of(scope)))

    async def _reserve(self, scope: Scope, headers: Mapping[str, str]) -> str:
        if len(self._reserved) >= MOST_RESERVED:
            raise HttpRefusal(503, "UNAVAILABLE", f"at most {MOST_RESERVED:,} streams are reserved at a time")
        who = await self._who(scope, headers)
        token = secrets.token_urlsafe(24)
        stream = self._reserved[token] = EventStream(self._desk, token)
        stream.who = who
        return token

    def _of(self, token: str) -> EventStream:
        stream = self._reserved.get(token)
        if stream is None:
            raise HttpRefusal(404, "STREAM_UNKNOWN", "there is no such reservation here; PUT makes one")
        return stream

    async def _open(
        self,
        scope: Scope,
        headers: Mapping[str, str],
        told: Headers,
        token: str,
        receive: Receive,
        send: Send,
    ) -> None:
        if token:
            stream = self._of(token)
            if stream.opened:
                raise HttpRefusal(409, "STREAM_OPEN", "the stream of this reservation is open already")
        else:
            stream = EventStream(self._desk)
            stream.who = await self._who(scope, headers)
            params = _params(await _read(scope, headers, receive))
            stream.start(ONLY, params, _last_position(headers))
        self._clients.add(stream)
        try:
            await stream.serve(receive, send, told)
        finally:
            self._clients.discard(stream)
            self._reserved.pop(token, None)

    async def _begin(self, stream: EventStream, request: GraphQLRequest) -> None:
        """Begin an operation of a reserved stream; what is wrong with its document is told at once."""
        operation = (request.extensions or {}).get("operationId")
        if not isinstance(operation, str) or not 0 < len(operation) <= LONGEST_ID:
            raise HttpRefusal(400, "BAD_REQUEST", "extensions.operationId must name the operation")
        params = _params(request)
        await self._desk.reader.read(params)
        if stream.has(operation):
            raise HttpRefusal(409, "OPERATION_EXISTS", f"operation {operation!r} is under way already")
        if stream.count() >= self._desk.most_operations:
            most = self._desk.most_operations
            raise HttpRefusal(
                429, TOO_MANY_OPERATIONS, f"at most {most:,} operations at a time on one stream"
            )
        stream.start(operation, params)


def _params(request: GraphQLRequest) -> Params:
    if not request.query:
        raise HttpRefusal(400, "BAD_REQUEST", "query is missing")
    return Params(request.query, request.variables, request.operationName, request.extensions)


async def _read(scope: Scope, headers: Mapping[str, str], receive: Receive) -> GraphQLRequest:
    if scope["method"] == "GET":
        return read_query_string(scope["query_string"])
    if scope["method"] != "POST":
        raise HttpRefusal(405, "METHOD_NOT_ALLOWED", "send GET or POST")
    check_content_type(headers.get("content-type", ""))
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LONGEST_BODY:
            raise HttpRefusal(413, "BODY_TOO_LARGE", f"a request has at most {LONGEST_BODY:,} bytes")
    request = read_body(body, 0)
    assert isinstance(request, GraphQLRequest)
    return request


def _last_position(headers: Mapping[str, str]) -> int | None:
    """The position that a browser came to before its stream broke off."""
    given = headers.get("last-event-id", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _told(error: ProgressError, code: str) -> str:
    return f'{{"errors":{refused(code, str(error))}}}'


async def _answer(
    send: Send, status: int, body: str, headers: Headers, kind: str = "application/json"
) -> None:
    told = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"no-store"), *headers]
    length = (b"content-length", str(len(body.encode())).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*told, length]})
    await send({"type": "http.response.body", "body": body.encode()})
