"""The gate: from the headers of a request, or a token, to who asks."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from progress_context.principal import EVERYBODY, ClaimNames, Principal, principal_of
from progress_context.tokens import Claims, bearer_token

TRUSTED_SECONDS = 60.0  # a token that was verified is not verified again for so long
TRUSTED_TOKENS = 1_000


class Verifies(Protocol):
    """Decides whether a token is genuine; see `tokens.Verifier`."""

    async def verify(self, token: str) -> Claims:
        """The claims of a token; raises TokenRefused."""
        ...


class _Trusted(NamedTuple):
    principal: Principal
    until: float


class Gate:
    """Tells who asks. Without a verifier it is open: whoever comes may see everything.

    A token is verified at most once in TRUSTED_SECONDS, and never believed after it expired.
    """

    def __init__(
        self,
        verifier: Verifies | None = None,
        names: ClaimNames | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._names = names or ClaimNames()
        self._clock = clock
        self._trusted: OrderedDict[str, _Trusted] = OrderedDict()

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked who they are."""
        return self._verifier is None

    async def enter(self, headers: Mapping[str, str]) -> Principal:
        """Who sends a request with these headers, by lower-case name; raises TokenRefused."""
        return EVERYBODY if self._verifier is None else await self.show(bearer_token(headers))

    def known(self, headers: Mapping[str, str]) -> Principal | None:
        """The same, if no token need be verified; raises TokenRefused."""
        return EVERYBODY if self._verifier is None else self._known(bearer_token(headers))

    async def show(self, token: str) -> Principal:
        """Who a token speaks of; raises TokenRefused."""
        if self._verifier is None:
            return EVERYBODY
        known = self._known(token)
        if known is not None:
            return known
        claims = await self._verifier.verify(token)
        principal = principal_of(claims, self._names)
        self._trust(token, _Trusted(principal, min(principal.until, self._clock() + TRUSTED_SECONDS)))
        return principal

    def _known(self, token: str) -> Principal | None:
        known = self._trusted.get(token)
        return known.principal if known is not None and self._clock() < known.until else None

    def _trust(self, token: str, trusted: _Trusted) -> None:
        self._trusted[token] = trusted
        self._trusted.move_to_end(token)
        if len(self._trusted) > TRUSTED_TOKENS:
            self._trusted.popitem(last=False)
