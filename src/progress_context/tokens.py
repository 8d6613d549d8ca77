"""Bearer tokens (JWT): signed by a key of a JWKS address, or with a shared secret.

Every failure is a TokenRefused: its reason is for the log, the caller learns nothing from it.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK

from progress_context.errors import SettingsError, TokenRefused

ASYMMETRIC = ("RS256", "ES256", "EdDSA")
MAX_TOKEN = 8 * 1024  # characters
MAX_KEY_SET = 1024 * 1024  # bytes
MIN_SECRET = 32  # bytes, as long as what HS256 makes of it
MIN_RSA = 2048  # bits

LEEWAY_SECONDS = 60.0  # by which clocks may differ
FETCH_SECONDS = 5.0
LIFETIME = 3_600.0  # seconds until keys are fetched anew, though none is missing
STALE_LIFETIME = 86_400.0  # seconds that keys are believed while their address does not answer
COOLDOWN = 10.0  # seconds from one fetch to the next, however many unknown keys are named

Claims = dict[str, Any]
Fetch = Callable[[str], Awaitable[bytes]]

log = structlog.get_logger(__name__)


class KeySet:
    """The public keys at a JWKS address, by key id: fetched when needed, followed as they rotate.

    An unknown key id makes us look again, at most once in `COOLDOWN` seconds. While the address does not
    answer, the keys it gave last are good for a day.
    """

    def __init__(
        self, url: str, *, fetch: Fetch | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch or download
        self._clock = clock
        self._keys: list[PyJWK] = []
        self._fetched_at = self._tried_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK:
        """The key with this id; without an id, the only key for the algorithm. Raises TokenRefused."""
        found = self._known(key_id, algorithm)
        if not found:
            await self._refresh()
            found = self._known(key_id, algorithm)
        elif self._age() > LIFETIME and (self._refreshing is None or self._refreshing.done()):
            self._refreshing = asyncio.create_task(self._refresh())
        if len(found) != 1:
            raise TokenRefused(f"{len(found)} keys for key id {key_id!r} and {algorithm}")
        return found[0]

    def _age(self) -> float:
        return self._clock() - self._fetched_at

    def _known(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        if self._age() > STALE_LIFETIME:
            return []
        return [
            key
            for key in self._keys
            if key.algorithm_name == algorithm and (key_id is None or key.key_id == key_id)
        ]

    async def _refresh(self) -> None:
        """Fetch the keys, unless somebody just tried, perhaps while we waited for our turn."""
        async with self._one_at_a_time:
            if self._clock() - self._tried_at < COOLDOWN:
                return
            try:
                async with asyncio.timeout(FETCH_SECONDS * 2):
                    self._keys = read_keys(await self._fetch(self._url))
                self._fetched_at = self._clock()
            except (OSError, TimeoutError, ValueError) as error:
                log.warning("keys_not_fetched", url=self._url, error=str(error) or type(error).__name__)
            finally:
                self._tried_at = self._clock()


class Verifier:
    """Decides whether a token is genuine, in force, and meant for us."""

    def __init__(
        self,
        *,
        audience: str,
        issuers: Collection[str],
        keys: KeySet | None = None,
        secret: str = "",
        algorithms: Sequence[str] = ASYMMETRIC,
        leeway: float = LEEWAY_SECONDS,
    ) -> None:
        """`algorithms` are those of `keys`; HS256 is accepted with a `secret` only.

        `leeway` are the seconds by which clocks may differ. Raises SettingsError for a weak secret.
        """
        if secret and len(secret.encode()) < MIN_SECRET:
            raise SettingsError(f"the secret for tokens must have at least {MIN_SECRET} bytes")
        self._audience = audience
        self._issuers = tuple(issuers)
        self._keys = keys
        self._secret = secret
        self._algorithms = frozenset(algorithms if keys else ()) & frozenset(ASYMMETRIC)
        self._leeway = leeway

    async def verify(self, token: str) -> Claims:
        """The claims of a token. Raises TokenRefused, `foreign` for a genuine one not meant for us."""
        header = _header_of(token)
        key = await self._key(header.algorithm, header.key_id)
        try:
            return jwt.decode(
                token,
                key,
                [header.algorithm],
                options={"require": ["exp", "iat", "iss", "aud"]},
                audience=self._audience,
                issuer=self._issuers,
                leeway=self._leeway,
            )
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError) as error:
            raise TokenRefused(str(error), foreign=True) from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise TokenRefused(str(error)) from None

    async def _key(self, algorithm: str, key_id: str | None) -> PyJWK | str:
        """The key that the algorithm allows: a public key never verifies HS256, a secret nothing else."""
        if algorithm == "HS256" and self._secret:
            return self._secret
        if self._keys is None or algorithm not in self._algorithms:
            raise TokenRefused(f"algorithm {algorithm!r} is not accepted")
        return await self._keys.find(key_id, algorithm)


class _Header(NamedTuple):
    algorithm: str
    key_id: str | None


def bearer_token(headers: Mapping[str, str]) -> str:
    """The token of an `Authorization: Bearer` header; raises TokenRefused without one."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefused("no bearer token")
    return token.strip()


def read_keys(document: bytes) -> list[PyJWK]:
    """The usable public keys of a JSON Web Key Set; raises ValueError when it is none.

    Left out: kinds and algorithms we do not accept, secrets, keys for encryption, short RSA keys.
    """
    members = json.loads(document)
    entries = members.get("keys") if isinstance(members, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no JSON Web Key Set")
    return [key for entry in entries if (key := _read_key(entry))]


def _read_key(entry: object) -> PyJWK | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA
    return None if is_short or key.algorithm_name not in ASYMMETRIC else key


def _header_of(token: str) -> _Header:
    if len(token) > MAX_TOKEN:
        raise TokenRefused(f"more than {MAX_TOKEN} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenRefused(f"no JWT: {error}") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str):
        raise TokenRefused("no algorithm")
    return _Header(algorithm, key_id if isinstance(key_id, str) else None)


async def download(url: str) -> bytes:
    """The document at an address, off the event loop; raises OSError or ValueError."""
    return await asyncio.to_thread(_download, url)


def _download(url: str) -> bytes:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url!r} is no web address")
    deadline = time.monotonic() + FETCH_SECONDS
    with urllib.request.urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310 - checked above
        parts: list[bytes] = []
        while part := answer.read1(64 * 1024):
            parts.append(part)
            if sum(map(len, parts)) > MAX_KEY_SET:
                raise ValueError(f"more than {MAX_KEY_SET:,} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"not complete within {FETCH_SECONDS:g} s")
        return b"".join(parts)
