"""The dashboard's files, and GraphiQL, with the headers that keep a page to itself."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from progress_context.query.static_pages import StaticPages

PAGES = {"/": "index.html", "/operator": "operator.html"}

HEADERS = {
    b"content-security-policy": b"default-src 'self'; script-src 'self'; style-src 'self';"
    b" connect-src 'self';"
    b" img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}


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


def graphiql() -> ASGIApp:
    """The page of GraphiQL."""
    return SecureHeaders(FileResponse(_folder() / "graphiql" / "index.html"))


def routes() -> list[BaseRoute]:
    """Routes to mount last; the dashboard takes whatever is left."""
    pages = StaticPages(_folder(), PAGES)
    return [
        Route("/graphiql", _to_graphql, methods=["GET"]),
        Route("/graphiql/", _to_graphql, methods=["GET"]),
        Mount("/", app=SecureHeaders(pages)),
    ]


async def _to_graphql(_request: Request) -> Response:
    """The page of GraphiQL has its address from the endpoint it asks."""
    return RedirectResponse("/graphql")


def _folder() -> Path:
    with as_file(files("progress_context.dashboard")) as folder:
        return folder
