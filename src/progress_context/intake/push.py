"""`POST /pubsub/push`: messages that Pub/Sub delivers by itself, from one service account only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Receive

from progress_context import telemetry
from progress_context.errors import TokenRefused
from progress_context.intake.answers import Endpoint, Response, encode, problem
from progress_context.intake.body import BodyReader, Headers
from progress_context.intake.messages import Verdict, short_name
from progress_context.intake.pubsub_message import Message
from progress_context.intake.pubsub_push import read_push
from progress_context.tokens import Verifier, bearer_token

PATH = "/pubsub/push"
MAX_PUSH = 16 * 1024 * 1024  # bytes: a message of 10 MB in base64, with its attributes
READ_SECONDS = 60.0

Take: TypeAlias = Callable[[Sequence[Message]], Awaitable[list[Verdict]]]

log = structlog.get_logger(__name__)


class PushedBy:
    """The service account whose tokens are accepted."""

    def __init__(self, verifier: Verifier, service_account: str) -> None:
        self._verifier = verifier
        self._service_account = service_account

    async def check(self, headers: Headers) -> None:
        """Raises TokenRefused unless the request comes from the service account."""
        claims = await self._verifier.verify(bearer_token(headers))
        if claims.get("email_verified") is not True or claims.get("email") != self._service_account:
            raise TokenRefused(f"from {claims.get('email')!r}", foreign=True)


class Push:
    """Takes pushed messages: 200 once a message is stored or a dead letter, else Pub/Sub sends it again.

    Without `pushed_by` every push is refused.
    """

    def __init__(self, take: Take, pushed_by: PushedBy | None) -> None:
        self._take = take
        self._pushed_by = pushed_by
        self._bodies = BodyReader(MAX_PUSH, READ_SECONDS)

    def endpoints(self) -> dict[str, ASGIApp]:
        """What answers a POST, by path."""
        return {PATH: Endpoint(self._answer)}

    def routes(self) -> list[Route]:
        """The same as routes, which answer other methods with 405."""
        return [Route(path, serve, methods=["POST"]) for path, serve in self.endpoints().items()]

    async def _answer(self, headers: Headers, receive: Receive) -> Response:
        if self._pushed_by is None:
            return problem(
                403,
                "push_not_configured",
                "this service takes no pushed messages: PROGRESS_PUSH_AUDIENCE and"
                " PROGRESS_PUSH_SERVICE_ACCOUNT are not set",
            )
        try:
            await self._pushed_by.check(headers)
        except TokenRefused as error:
            return _refuse(error)
        message = read_push(await self._bodies.read(headers, receive))
        telemetry.INTAKE_RECEIVED.labels(short_name(message.subscription)).inc()
        (verdict,) = await self._take([message])
        return 200, encode({"status": "dead_letter" if verdict.refusal else "stored"}), []


def _refuse(error: TokenRefused) -> Response:
    log.warning("push_refused", reason=error.reason)
    if error.foreign:
        return problem(403, "foreign_token", str(error))
    status, body, _ = problem(401, "invalid_token", str(error))
    return status, body, [(b"www-authenticate", b"Bearer")]
