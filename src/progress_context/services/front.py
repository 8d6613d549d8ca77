"""What stands in front of everything a service answers."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from progress_context.services.http_server import Answer, AtHand, Headers, Soon

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS: Headers = [
    (
        b"content-security-policy",
        b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]

NAMES = frozenset(name for name, _ in SECURITY_HEADERS)


class Front:
    """Adds security headers to every answer, and turns away what no honest client sends.

    `hosts` are the names under which the service may be asked; None: any. For `https_seconds` browsers shall
    ask over TLS only; 0: they are not told.
    """

    def __init__(
        self, application: ASGIApp, *, hosts: Collection[str] | None = None, https_seconds: int = 0
    ) -> None:
        self._application = application
        self._hosts = hosts
        self._headers = list(SECURITY_HEADERS)
        if https_seconds:
            strict = f"max-age={https_seconds}; includeSubDomains".encode()
            self._headers.append((b"strict-transport-security", strict))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if self._complaint(scope) is None:
                return await self._application(scope, receive, send)
            await receive()
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._application(scope, receive, send)

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._secured(message.get("headers", []))
            await send(message)

        refusal = self._complaint(scope)
        return await (refusal or self._application)(scope, receive, send_secured)

    def at_hand(self, look: AtHand) -> AtHand:
        """What is at hand behind it, as `__call__` lets it out."""

        def secured(answer: Answer | None) -> Answer | None:
            return answer and (answer[0], self._secured(answer[1]), answer[2])

        async def soon(answer: Soon) -> Answer | None:
            return secured(await answer)

        def looked(scope: Scope, body: bytes) -> Answer | Soon | None:
            answer = look(scope, body) if self._complaint(scope) is None else None
            return secured(answer) if answer is None or isinstance(answer, tuple) else soon(answer)

        return looked

    def _secured(self, headers: Headers) -> Headers:
        """A page says for itself what it may load."""
        own = [name for name, _ in headers if name in NAMES]
        if not own:
            return [*headers, *self._headers]
        return [*headers, *(header for header in self._headers if header[0] not in own)]

    def _complaint(self, scope: Scope) -> ASGIApp | None:
        """The answer to a request that is turned away."""
        tokens = 0
        for name, value in scope["headers"]:
            if name == b"authorization":
                tokens += 1
            elif name == b"host" and self._hosts is not None and _name_of(value) not in self._hosts:
                return _refusal(
                    421,
                    "MISDIRECTED_REQUEST",
                    "without authentication this service is asked as localhost or 127.0.0.1 only: configure"
                    " PROGRESS_AUTH_JWKS_URL, or set PROGRESS_AUTH=off",
                )
        if tokens > 1:
            return _refusal(400, "BAD_REQUEST", "send one Authorization header")
        return None


@lru_cache(maxsize=256)
def _name_of(host: bytes) -> str:
    """The name in a Host header, without its port; empty when it is none."""
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


def _refusal(status: int, code: str, message: str) -> ASGIApp:
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status_code=status)
