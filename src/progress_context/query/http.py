"""`POST /graphql`, GraphiQL for browsers, and the dashboard's files."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from progress_context import telemetry
from progress_context.query.execute import Executor

MAX_BODY = 256 * 1024
JSON = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
HEADERS = {
    b"content-security-policy": b"default-src 'self'; script-src 'self'; style-src 'self';"
    b" connect-src 'self';"
    b" img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


class GraphQLRequest(msgspec.Struct):
    """The body of a GraphQL request."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the name of the protocol
    extensions: dict[str, Any] | None = None


_read = msgspec.json.Decoder(GraphQLRequest).decode


class GraphQLHttp:
    """GraphQL over HTTP."""

    def __init__(self, executor: Executor, *, graphiql: bool) -> None:
        self._executor = executor
        self._graphiql = graphiql

    async def post(self, request: Request) -> Response:
        """Answer a request; 400 when it cannot be read, 200 with `errors` when it cannot be answered."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return _refuse(413, f"a request has at most {MAX_BODY:,} bytes")
        try:
            wanted = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refuse(400, f"not a GraphQL request: {error}")
        with telemetry.QUERY_SECONDS.labels(wanted.operationName or "anonymous").time():
            answer = await self._executor.answer(wanted.query, wanted.variables, wanted.operationName)
        return Response(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), headers=JSON)

    async def get(self, request: Request) -> Response:
        """GraphiQL, for a browser."""
        if not self._graphiql or "text/html" not in request.headers.get("accept", ""):
            return _refuse(405, "send a POST with a JSON body", allow="POST")
        headers = {name.decode(): value.decode() for name, value in HEADERS.items()}
        return FileResponse(_folder() / "graphiql" / "index.html", headers=headers)

    def routes(self) -> list[BaseRoute]:
        """Routes to mount; the dashboard takes whatever is left."""
        pages = StaticFiles(directory=_folder(), html=True)
        return [
            Route("/graphql", self.post, methods=["POST"]),
            Route("/graphql", self.get, methods=["GET"]),
            Route("/graphiql", _to_graphql, methods=["GET"]),
            Route("/graphiql/", _to_graphql, methods=["GET"]),
            Mount("/", app=SecureHeaders(pages)),
        ]


class SecureHeaders:
    """Adds the headers that keep a page to itself."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        await self._application(scope, receive, send_with_headers)


async def _to_graphql(_request: Request) -> Response:
    """The page of GraphiQL has its address from the endpoint it asks."""
    return RedirectResponse("/graphql")


def _folder() -> Path:
    with as_file(files("progress_context.dashboard")) as folder:
        return folder


def _refuse(status: int, message: str, **headers: str) -> Response:
    body = json.dumps({"errors": [{"message": message}]})
    return Response(body, status_code=status, headers=JSON | headers)
