"""Bearer tokens: only what is genuine, in force and meant for us passes; nobody learns why one did not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from issuer import AUDIENCE, ISSUER, private_key, public_jwk, serving, token
from progress_context.errors import SettingsError, TokenRefused
from progress_context.tokens import (
    COOLDOWN,
    LIFETIME,
    MAX_TOKEN,
    STALE_LIFETIME,
    KeySet,
    Verifier,
    bearer_token,
    download,
    read_keys,
)

SECRET = "a secret of at least thirty-two bytes"


def forged(header: dict[str, Any], secret: bytes | None) -> str:
    """A token as no library would make it: HMAC of whatever `header` says, or no signature at all."""
    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    signed = b".".join(parts)
    signature = hmac.digest(secret, signed, hashlib.sha256) if secret is not None else b""
    return b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


class Address:
    """A JWKS address that can change its keys, be away, or be slow; counts who asks."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.away = False
        self.gate: asyncio.Event | None = None
        self.now = 1_000.0

    async def fetch(self, _url: str) -> bytes:
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise OSError("connection refused")
        return json.dumps({"keys": self.keys}).encode()

    def key_set(self) -> KeySet:
        return KeySet("https://issuer.example/keys", fetch=self.fetch, clock=lambda: self.now)

    def verifier(self, **options: Any) -> Verifier:
        return Verifier(audience=AUDIENCE, issuers=[ISSUER], keys=self.key_set(), **options)


@pytest.fixture
def address() -> Address:
    return Address(*(public_jwk(algorithm) for algorithm in ("RS256", "ES256", "EdDSA")))


async def reason(verifier: Verifier, sent: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await verifier.verify(sent)
    assert not caught.value.foreign
    return caught.value.reason


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_genuine_token_gives_its_claims(address: Address, algorithm: str) -> None:
    claims = await address.verifier().verify(token(algorithm))
    assert (claims["sub"], claims["iss"]) == ("ada", ISSUER)


async def test_a_shared_secret_is_accepted_only_when_one_is_configured(address: Address) -> None:
    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    sent = jwt.encode(claims, SECRET, "HS256")
    assert (await address.verifier(secret=SECRET).verify(sent))["iat"] == now
    assert "HS256" in await reason(address.verifier(), sent)
    assert await reason(address.verifier(secret=SECRET[::-1]), sent)


def test_a_weak_secret_is_refused_at_once() -> None:
    with pytest.raises(SettingsError, match="32 bytes"):
        Verifier(audience=AUDIENCE, issuers=[ISSUER], secret="short")


@pytest.mark.parametrize(
    "changes",
    [{"exp": 1_000}, {"exp": ...}, {"iat": ...}, {"iat": 9e9}, {"nbf": 9e9}, {"iss": ...}, {"aud": ...},
     {"exp": "soon"}, {"exp": True}, {"iat": [1]}],
    ids=str,
)  # fmt: skip
async def test_times_and_names_must_be_there_and_hold(address: Address, changes: dict[str, Any]) -> None:
    assert await reason(address.verifier(), token(**changes))


async def test_clocks_may_differ_a_little(address: Address) -> None:
    now = time.time()
    assert await address.verifier().verify(token(exp=now - 30, iat=now + 30))
    assert await reason(address.verifier(), token(exp=now - 90))


@pytest.mark.parametrize("changes", [{"aud": "https://other.example"}, {"iss": "https://other.example"}])
async def test_a_genuine_token_for_somebody_else_is_foreign(
    address: Address, changes: dict[str, str]
) -> None:
    with pytest.raises(TokenRefused) as caught:
        await address.verifier().verify(token(**changes))
    assert caught.value.foreign


async def test_a_token_of_another_key_is_refused(address: Address) -> None:
    assert "verification failed" in await reason(
        address.verifier(), forged_with_kid(token(name="second"), "RS256-first")
    )


def forged_with_kid(sent: str, key_id: str) -> str:
    claims = jwt.decode(sent, options={"verify_signature": False})
    return jwt.encode(claims, private_key("RS256", "second"), "RS256", {"kid": key_id})


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
@pytest.mark.parametrize("options", [{}, {"secret": SECRET}], ids=["no secret", "a secret"])
async def test_the_public_key_is_no_secret(address: Address, encoding: Any, options: dict[str, str]) -> None:
    """HS256 signed with the text of the RSA key, which everybody knows."""
    public = private_key("RS256").public_key()
    text = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    for header in ({"alg": "HS256", "kid": "RS256-first"}, {"alg": "HS256"}):
        assert await reason(address.verifier(**options), forged(header, text))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, 7, "HS512", "PS256", "RS512", "ES256K"]
)
async def test_other_algorithms_and_none_are_refused(address: Address, algorithm: Any) -> None:
    for secret in (None, b"", SECRET.encode()):
        header = {"alg": algorithm, "kid": "RS256-first", "typ": "JWT"}
        assert await reason(address.verifier(secret=SECRET), forged(header, secret))


async def test_the_algorithm_must_be_that_of_the_key(address: Address) -> None:
    sent = jwt.encode({"exp": 9e9}, private_key("ES256"), "ES256", {"kid": "RS256-first"})
    assert "0 keys" in await reason(address.verifier(), sent)


async def test_only_listed_algorithms_are_accepted(address: Address) -> None:
    assert "EdDSA" in await reason(address.verifier(algorithms=("RS256",)), token("EdDSA"))
    assert "HS256" in await reason(address.verifier(algorithms=("HS256",)), forged({"alg": "HS256"}, b"x"))


@pytest.mark.parametrize(
    "sent", ["", "x", "a.b.c", "..", "é.é.é", "e30.e30.", "bnVsbA.bnVsbA.x", "x" * (MAX_TOKEN + 1)]
)
async def test_what_is_no_token_is_refused(address: Address, sent: str) -> None:
    assert await reason(address.verifier(), sent)
    assert address.fetches == 0


def test_a_refusal_tells_the_caller_nothing() -> None:
    assert str(TokenRefused("signed by key 7 of the staging issuer")) == "a valid bearer token is needed"
    assert str(TokenRefused("for x", foreign=True)) == "the token is not meant for this service"


async def test_keys_are_fetched_once(address: Address) -> None:
    verifier = address.verifier()
    await asyncio.gather(*(verifier.verify(token()) for _ in range(20)))
    assert address.fetches == 1


async def test_a_new_key_is_found_and_an_old_one_forgotten(address: Address) -> None:
    verifier = address.verifier()
    await verifier.verify(token())
    address.keys = [public_jwk("RS256", "second")]
    address.now += COOLDOWN + 1
    await verifier.verify(token(name="second"))
    assert "0 keys" in await reason(verifier, token())
    assert address.fetches == 2


async def test_a_storm_of_unknown_keys_makes_one_fetch(address: Address) -> None:
    verifier = address.verifier()
    storm = [jwt.encode({"exp": 9e9}, private_key("RS256"), "RS256", {"kid": f"k{n}"}) for n in range(50)]
    assert all("0 keys" in each for each in await asyncio.gather(*(reason(verifier, sent) for sent in storm)))
    assert await verifier.verify(token())
    assert address.fetches == 1


async def test_keys_outlive_an_outage_of_their_address_for_a_day(address: Address) -> None:
    verifier = address.verifier()
    await verifier.verify(token())
    address.away = True
    address.now += STALE_LIFETIME - 1
    assert await verifier.verify(token())
    address.now += COOLDOWN + 2
    assert "0 keys" in await reason(verifier, token())
    address.away = False
    address.now += COOLDOWN + 2
    assert await verifier.verify(token())


async def test_without_keys_nothing_is_accepted_and_the_address_is_not_stormed(address: Address) -> None:
    address.away = True
    verifier = address.verifier()
    for _ in range(5):
        assert await reason(verifier, token())
    assert address.fetches == 1


async def test_known_keys_are_used_while_others_are_fetched(address: Address) -> None:
    verifier = address.verifier()
    await verifier.verify(token())
    address.gate = asyncio.Event()
    address.now += LIFETIME + 1
    async with asyncio.timeout(5):
        assert await verifier.verify(token())
        assert await verifier.verify(token())
    address.gate.set()


async def test_a_token_without_a_key_id_needs_a_single_key(address: Address) -> None:
    now = time.time()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 600}
    sent = jwt.encode(claims, private_key("RS256"), "RS256")
    assert await address.verifier().verify(sent)
    address.keys.append(public_jwk("RS256", "second"))
    assert "2 keys" in await reason(address.verifier(), sent)


def test_unusable_keys_are_left_out() -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    unusable: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "o", "alg": "HS256"},
        {**RSAAlgorithm.to_jwk(short, as_dict=True), "kid": "s"},
        public_jwk("RS256", use="enc"), public_jwk("RS256", alg="RS512"), public_jwk("RS256", n="!"),
        {"kty": "EC", "crv": "P-521"}, {"kty": "RSA"}, {}, None, 7, "key", [],
    ]  # fmt: skip
    assert read_keys(json.dumps({"keys": unusable}).encode()) == []


@pytest.mark.parametrize("document", [b"", b"no JSON", b"[]", b"{}", b'{"keys": 7}', b"null", b"\xff"])
async def test_what_is_no_key_set_counts_as_an_outage(address: Address, document: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_keys(document)

    async def fetch(_url: str) -> bytes:
        return document

    keys = KeySet("https://issuer.example/keys", fetch=fetch)
    assert "0 keys" in await reason(Verifier(audience=AUDIENCE, issuers=[ISSUER], keys=keys), token())


@pytest.mark.parametrize("value", ["", "Basic eDp5", "Bearer", "Bearer  ", "xBearer y"])
def test_only_bearer_tokens_count(value: str) -> None:
    with pytest.raises(TokenRefused):
        bearer_token({"authorization": value} if value else {})
    assert bearer_token({"authorization": "bearer  a.b.c "}) == "a.b.c"


async def test_keys_come_over_http() -> None:
    document = json.dumps({"keys": [public_jwk("RS256")]}).encode()
    with serving(document) as url:
        assert await download(url) == document
        verifier = Verifier(audience=AUDIENCE, issuers=[ISSUER], keys=KeySet(url))
        assert await verifier.verify(token())
    assert await reason(Verifier(audience=AUDIENCE, issuers=[ISSUER], keys=KeySet(url)), token())


async def test_a_key_set_is_bounded_and_nothing_but_http_is_read() -> None:
    with serving(b" " * 2_000_000) as url, pytest.raises(ValueError, match="1,048,576"):
        await download(url)
    with serving(b"", 503) as url, pytest.raises(OSError, match="503"):
        await download(url)
    with pytest.raises(ValueError, match="no web address"):
        await download("file:///etc/passwd")
