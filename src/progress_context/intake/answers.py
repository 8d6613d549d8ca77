"""How requests are answered: status, JSON, and one shape for every refusal."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from progress_context import telemetry, tracing
from progress_context.errors import AppendQueueFull, IntakeError, LogError, ProgressError
from progress_context.intake.body import Headers, headers_of

Response: TypeAlias = tuple[int, bytes, list[tuple[bytes, bytes]]]  # status, JSON, headers beyond the usual
Answering: TypeAlias = Callable[[Headers, Receive], Awaitable[Response]]

log = structlog.get_logger(__name__)

encode = msgspec.json.Encoder().encode


class Endpoint:
    """An ASGI application that says what `answer` returns; errors become refusals, unforeseen ones 500."""

    def __init__(self, answer: Answering) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, path, sent = time.perf_counter(), scope["path"], headers_of(scope)
        with tracing.span(f"POST {path}", kind="server", parent=sent) as span:
            status, body, extra = await self._answer_or_refuse(sent, receive)
            span.set(status=status)
        telemetry.observe_request(path, status, time.perf_counter() - started)
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer_or_refuse(self, headers: Headers, receive: Receive) -> Response:
        try:
            return await self._answer(headers, receive)
        except (IntakeError, LogError) as error:
            return refusal(error)
        except Exception:
            log.exception("intake_failed")
            return problem(500, "internal_error", "this is our fault; the service's log tells more")


def refusal(error: ProgressError) -> Response:
    """4xx for what the sender did, 429 for a full queue, 503 for a log that is away."""
    if isinstance(error, IntakeError):
        return problem(error.status, error.code, error.message, path=error.path)
    if isinstance(error, AppendQueueFull):
        return problem(429, "queue_full", str(error), retry_after=error.retry_after)
    return problem(503, "log_unavailable", str(error), retry_after=1.0)


def problem(
    status: int, code: str, message: str, *, path: str = "", retry_after: float | None = None
) -> Response:
    """A refusal of the whole request, in one shape."""
    body = {"error": code, "message": message} | ({"path": path} if path else {})
    pause = [(b"retry-after", str(max(1, round(retry_after))).encode())] if retry_after else []
    return status, encode(body), pause
