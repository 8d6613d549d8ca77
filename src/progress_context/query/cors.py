"""Which other origins a browser may ask from."""

from __future__ import annotations

from collections.abc import Collection, Mapping

Headers = list[tuple[bytes, bytes]]
PREFLIGHT: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"content-type, authorization, x-request-id"),
    (b"access-control-max-age", b"7200"),
]


class Origins:
    """The origins that may read answers, or `*` for all of them."""

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def headers(self, headers: Mapping[str, str]) -> Headers:
        """What an answer to a request says about its origin: nothing unless origins are allowed."""
        origin = headers.get("origin")
        if not self._allowed or origin is None:
            return []
        if "*" not in self._allowed and origin not in self._allowed:
            return [(b"vary", b"origin")]
        told = b"*" if "*" in self._allowed else origin.encode("latin-1")
        return [
            (b"access-control-allow-origin", told),
            (
                b"access-control-expose-headers",
                b"etag, x-request-id, ratelimit, ratelimit-policy, retry-after, www-authenticate",
            ),
            (b"vary", b"origin"),
        ]
