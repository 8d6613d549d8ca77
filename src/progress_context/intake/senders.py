"""Who may send events: whoever shows a token with the scope for it."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from progress_context.errors import TokenRefused
from progress_context.gate import Gate
from progress_context.intake.answers import Response, problem
from progress_context.principal import WRITE_EVENTS

log = structlog.get_logger(__name__)


class Senders:
    """Those whom a gate knows and who may write events; an open gate lets everybody send."""

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate or Gate()

    async def refuse(self, headers: Mapping[str, str]) -> Response | None:
        """The answer to a request of who may not send events; None when they may."""
        if self._gate.is_open:
            return None
        try:
            principal = await self._gate.enter(headers)
        except TokenRefused as error:
            log.warning("sender_refused", reason=error.reason)
            status, body, _ = problem(401, "invalid_token", "a valid bearer token is needed")
            return status, body, [(b"www-authenticate", b"Bearer")]
        if WRITE_EVENTS in principal.scopes:
            return None
        log.warning("sender_refused", reason="scope", role=principal.role)
        status, body, _ = problem(403, "scope_missing", f"the token must have the scope {WRITE_EVENTS}")
        return status, body, [(b"www-authenticate", f'Bearer scope="{WRITE_EVENTS}"'.encode())]
