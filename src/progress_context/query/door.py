"""The door to the query service: who comes in, and how often they may ask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from progress_context import telemetry
from progress_context.gate import Gate
from progress_context.principal import Principal
from progress_context.query.rate_limit import WINDOW_SECONDS, Counter, MemoryCounter, Verdict

Headers = list[tuple[bytes, bytes]]
RATE_LIMITED, UNAUTHENTICATED = "RATE_LIMITED", "UNAUTHENTICATED"
RATE_HEADERS = (b"ratelimit-policy", b"ratelimit", b"retry-after")


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests a minute, by who asks; 0: as many as they like. `person` is a learner or a coach."""

    person: int = 100
    service: int = 6_000
    operator: int = 1_000
    anonymous: int = 0


class Visitor(msgspec.Struct, frozen=True):
    """Who asks, and where from: `address` tells anonymous ones apart."""

    principal: Principal
    address: str = ""


class Counted(msgspec.Struct, frozen=True):
    """A request that was counted; `headers` tell how it stands, `why_not` is empty if it may be answered."""

    headers: Headers
    why_not: str = ""


class Door:
    """Lets requests in. Without arguments everyone may ask for everything, as often as they like."""

    def __init__(
        self, gate: Gate | None = None, counter: Counter | None = None, limits: RateLimits | None = None
    ) -> None:
        self.gate = gate or Gate()
        self._counter = counter or MemoryCounter()
        self._limits = limits or RateLimits()

    async def enter(self, headers: Mapping[str, str], address: str = "") -> Visitor:
        """Who sends a request with these headers, by lower-case name; raises TokenRefused."""
        return Visitor(await self.gate.enter(headers), address)

    def known(self, headers: Mapping[str, str], address: str = "") -> Visitor | None:
        """The same, if nobody need be waited for; raises TokenRefused."""
        principal = self.gate.known(headers)
        return principal and Visitor(principal, address)

    async def count(self, visitor: Visitor, wanted: int = 1) -> Counted:
        """Count `wanted` requests of a visitor; none of them when that were too many."""
        limit = self._limit(visitor.principal)
        if not limit:
            return Counted([])
        verdict = await self._counter.take(self._key(visitor), limit, wanted)
        headers = _headers(limit, verdict)
        if verdict.allowed:
            return Counted(headers)
        telemetry.RATE_LIMITED.labels(visitor.principal.role).inc()
        headers.append((b"retry-after", str(verdict.seconds).encode()))
        why_not = f"at most {limit:,} requests a minute; ask again in {verdict.seconds} s"
        return Counted(headers, why_not)

    def count_now(self, visitor: Visitor) -> Headers | None:
        """What an answer says of a request that was counted; None, and nothing is: ask `count`."""
        limit = self._limit(visitor.principal)
        if not limit:
            return []
        if not isinstance(self._counter, MemoryCounter):
            return None
        verdict = self._counter.take_now(self._key(visitor), limit)
        return _headers(limit, verdict) if verdict.allowed else None

    def _limit(self, principal: Principal) -> int:
        if self.gate.is_open:
            return self._limits.anonymous
        if principal.role == "service":
            return self._limits.service
        return self._limits.operator if principal.role == "operator" else self._limits.person

    def _key(self, visitor: Visitor) -> str:
        """Names of people are nobody's business who looks into Redis."""
        who = f"{visitor.principal.role} {visitor.principal.subject} {visitor.address * self.gate.is_open}"
        return hashlib.blake2b(who.encode(), digest_size=16).hexdigest()


def _headers(limit: int, verdict: Verdict) -> Headers:
    """As https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ has them."""
    return [
        (b"ratelimit-policy", f'"minute";q={limit};w={WINDOW_SECONDS}'.encode()),
        (b"ratelimit", f'"minute";r={verdict.left};t={verdict.seconds}'.encode()),
    ]
