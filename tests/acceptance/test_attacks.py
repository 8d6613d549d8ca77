"""Requests that nobody honest sends, at a running system that asks for tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from tests.conftest import running_system

from acceptance.system import BATCH, array, database_of, fetch, judged, text
from issuer import AUDIENCE, ISSUER, private_key, public_jwk, token
from live.websocket import Closed, Refused, WebSocket
from waiting import eventually, until

SECONDS = 2  # that a query may take here
NAME = "{ __typename }"
OURS, FOREIGN = "https://app.example", "https://evil.example"
PASSED = {"data": {"__typename": "Query"}}


class Keys:
    """A JWKS address whose keys can change; `fetches` counts who asks."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.fetches = 0
        self.url = ""

    @contextmanager
    def served(self) -> Generator[Keys]:
        keys = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                keys.fetches += 1
                body = json.dumps({"keys": keys.keys}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the library
                """Not to the terminal."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.url = f"http://127.0.0.1:{server.server_port}/keys"
            yield self
            server.shutdown()
            thread.join()


class Target:
    """The system under attack."""

    def __init__(self, up: running_system, keys: Keys, folder: Path) -> None:
        self.up = up
        self.keys = keys
        self.folder = folder
        self.url = f"{up.query_url}/graphql"
        self.client = httpx.Client(timeout=30)

    def ask(self, query: str, bearer: str | None = None, **body: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {bearer or of()}"}
        return self.client.post(self.url, json={"query": query, **body}, headers=headers)

    def code(self, query: str, **body: Any) -> str:
        return self.ask(query, **body).json()["errors"][0]["extensions"]["code"]

    def passes(self, bearer: str) -> bool:
        answer = self.ask(NAME, bearer)
        assert answer.status_code in (200, 401)
        return answer.status_code == 200


@pytest.fixture(scope="module")
def target(scratch: Path) -> Iterator[Target]:
    with Keys(public_jwk("RS256"), public_jwk("ES256")).served() as keys:
        environment = {
            "PROGRESS_AUTH_JWKS_URL": keys.url,
            "PROGRESS_AUTH_ISSUER": ISSUER,
            "PROGRESS_AUTH_AUDIENCE": AUDIENCE,
            "PROGRESS_RATE_LIMIT": "5",
            "PROGRESS_RATE_LIMIT_SERVICE": "0",
            "PROGRESS_CORS_ORIGINS": OURS,
            "PROGRESS_GRAPHQL_SECONDS": str(SECONDS),
            "PROGRESS_CACHE": "off",
        }
        folder = scratch / "attacks"
        with running_system(folder, environment=environment) as up:
            body = array([text(judged(subject="ada"))])
            headers = {"content-type": BATCH, "authorization": f"Bearer {of(scope='events:write')}"}
            assert httpx.post(f"{up.command_url}/events", content=body, headers=headers).status_code == 201
            found = Target(up, keys, folder)
            yield found
            found.client.close()
            assert httpx.get(f"{up.query_url}/readyz").status_code == 200


def of(algorithm: str = "ES256", **changes: Any) -> str:
    """A genuine token of a service."""
    return token(algorithm, **{"sub": "app", "role": "service", **changes})


def bombs() -> dict[str, tuple[str, str]]:
    """Documents by the kind of attack, and the code of their refusal."""
    doubling = " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
    nested = 'x: learningStreak(userId: "ada") { today }'
    deep = "".join(f"fragment D{n} on __Type {{ ofType {{ ...D{n + 1} }} }}" for n in range(60))
    return {
        "aliases": ("{" + " ".join(f"a{n}: __typename" for n in range(60)) + "}", "TOO_MANY_ALIASES"),
        "more aliases than words": (
            "{" + " ".join(f"a{n}: __typename" for n in range(9_000)) + "}", "GRAPHQL_PARSE_FAILED"
        ),
        "expensive aliases": (
            "{" + " ".join(
                f'a{n}: dailyStats(userId: "ada", dateRange: {{from: "2010-01-01", to: "2019-12-31"}}) {{ date }}'
                for n in range(9)
            ) + "}", "QUERY_TOO_EXPENSIVE"
        ),
        "fragments that double": (f"{{ ...F0 }} {doubling} fragment F40 on Query {{ {nested} }}", "TOO_MANY_ALIASES"),
        "fields that double": (
            f"{{ ...F0 }} {doubling} fragment F40 on Query {{ __typename }}", "TOO_MANY_FIELDS"
        ),
        "a cycle": ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "GRAPHQL_VALIDATION_FAILED"),
        "a fragment in itself": ("{ ...A } fragment A on Query { ...A }", "GRAPHQL_VALIDATION_FAILED"),
        "deep fragments": (
            f"{{ __schema {{ types {{ ...D0 }} }} }} {deep} fragment D60 on __Type {{ name }}", "GRAPHQL_VALIDATION_FAILED"
        ),
        "deep braces": ("{a" * 3_000 + "}" * 3_000, "GRAPHQL_PARSE_FAILED"),
        "deep lists": (f'{{ itemProgress(userId: "ada", itemIds: {"[" * 900}{"]" * 900}) {{ totalCount }} }}', "GRAPHQL_PARSE_FAILED"),
        "directives": ("{ __typename " + "@skip(if: false) " * 1_000 + "}", "GRAPHQL_PARSE_FAILED"),
        "operations": (" ".join(f"query Q{n} {{ __typename }}" for n in range(300)), "OPERATION_UNKNOWN"),
        "a mutation": ("mutation { __typename }", "GRAPHQL_VALIDATION_FAILED"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", bombs())
def test_a_document_that_would_explode_is_refused_in_a_moment(target: Target, kind: str) -> None:
    document, code = bombs()[kind]
    began = time.monotonic()
    assert target.code(document) == code
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (json.dumps({"query": NAME, "variables": {"x": "y" * 300_000}}).encode(), 413),
        (b'{"query": "' + NAME.encode() + b'", "variables": {"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", 400),
        (b"[" * 200_000, 400),
        (b'{"query": "{ __typename }", "query": "{ learners { userId } }"', 400),
        (b'[{"query": "{ __typename }"}]', 400),
        (b"\xff\xfe\x00", 400),
    ],
    ids=["long", "deep", "deep and open", "cut off", "a batch", "no text"],
)  # fmt: skip
def test_huge_and_broken_bodies_are_refused(target: Target, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {of()}"}
    assert httpx.post(target.url, content=body, headers=headers, timeout=30).status_code == status


def test_many_values_in_variables_are_refused(target: Target) -> None:
    query = 'query($ids: [ID!]) { itemProgress(userId: "ada", itemIds: $ids) { totalCount } }'
    assert target.code(query, variables={"ids": ["x"] * 20_000}) == "BAD_USER_INPUT"


async def test_a_query_that_takes_too_long_ends_in_the_database_too(target: Target) -> None:
    """It waits for a table that somebody has locked."""
    database = database_of(target.folder)
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%streak_runs%'"
    )
    query = '{ learningStreak(userId: "ada") { current runs { days } } }'
    locking, watching = await asyncpg.connect(database), await asyncpg.connect(database)
    [[table]] = await asyncio.to_thread(
        fetch, database, "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE tablename LIKE 'streak_runs\\_\\_%' LIMIT 1"
    )  # fmt: skip
    async with locking.transaction():
        await locking.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        answer = asyncio.create_task(asyncio.to_thread(target.ask, query))
        await until(lambda: watching.fetchval(waiting))
        response = await answer
        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "QUERY_TIMEOUT"
        assert time.monotonic() - began < SECONDS + 6

        async def nobody_waits() -> bool:
            return await watching.fetchval(f"{waiting} AND application_name = 'progress-query'") == 0

        await until(nobody_waits)
    await locking.close()
    await watching.close()
    assert target.ask(query).status_code == 200


def forged(header: dict[str, Any], secret: bytes | None, **changes: Any) -> str:
    """A token as no library would make it."""
    now = time.time()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "mallory",
        "role": "operator",
        "iat": now,
        "exp": now + 600,
    }
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims | changes)
    ]
    signed = b".".join(parts)
    signature = hmac.digest(secret, signed, hashlib.sha256) if secret is not None else b""
    return b".".join([signed, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def public_texts() -> list[bytes]:
    """A public key as somebody might try it for a secret."""
    key = private_key("RS256").public_key()
    pem, der = serialization.Encoding.PEM, serialization.Encoding.DER
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    jwk = public_jwk("RS256")
    return [
        key.public_bytes(pem, kind),
        key.public_bytes(der, kind),
        jwk["n"].encode(),
        json.dumps(jwk).encode(),
    ]


def test_no_algorithm_is_taken_for_another(target: Target) -> None:
    assert target.passes(of())
    for name in ("none", "None", "NONE", "nOnE", "", "HS384", "HS512"):
        assert not target.passes(forged({"alg": name, "typ": "JWT"}, None))
        assert not target.passes(forged({"alg": name, "typ": "JWT"}, b""))
    for secret in [*public_texts(), b"", b"secret"]:
        for key_id in ("RS256-first", None):
            assert not target.passes(forged({"alg": "HS256", "typ": "JWT", "kid": key_id}, secret))


def test_a_key_that_a_token_brings_along_is_not_believed(target: Target) -> None:
    mine = public_jwk("RS256", "mallory")
    for header in (
        {"jwk": mine},
        {"jku": target.keys.url},
        {"x5u": target.keys.url},
        {"kid": "../../etc/passwd"},
    ):
        bearer = forged({"alg": "RS256", "typ": "JWT", **header}, b"x")
        assert not target.passes(bearer)
    assert not target.passes(token("ES256", "mallory", role="operator"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": 1}, {"exp": ...}, {"exp": "soon"}, {"iat": ...}, {"nbf": 4_102_444_800}, {"iat": 4_102_444_800},
        {"aud": "https://other.example"}, {"aud": ...}, {"aud": []}, {"iss": "https://evil.example"}, {"iss": ...},
        {"sub": ...}, {"sub": ""}, {"role": "root"},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_that_is_not_in_force_or_not_for_us_is_refused(target: Target, wrong: dict[str, Any]) -> None:
    refused = target.ask(NAME, of(**wrong))
    assert refused.status_code == 401
    assert refused.json() == target.ask(NAME, "x").json()


def test_a_signature_or_claims_that_were_changed_are_refused(target: Target) -> None:
    head, claims, signature = of().split(".")
    other = of(sub="mallory", role="operator").split(".")[1]
    assert not target.passes(f"{head}.{other}.{signature}")
    assert not target.passes(f"{head}.{claims}.{signature[:-4]}AAAA")
    assert not target.passes(f"{head}.{claims}.")
    assert not target.passes(f"{head}.{claims}")


def test_a_storm_of_unknown_keys_asks_the_issuer_hardly_ever_and_new_keys_are_found(target: Target) -> None:
    before = target.keys.fetches
    for number in range(300):
        assert not target.passes(forged({"alg": "ES256", "kid": f"unknown {number}"}, b"x"))
    assert target.keys.fetches - before <= 3  # one in ten seconds, of each service
    target.keys.keys = [public_jwk("ES256", "second"), public_jwk("RS256"), public_jwk("ES256")]
    eventually(lambda: target.passes(of(name="second")), timeout=30, pause=1)
    assert target.passes(of())


def raw(url: str, *lines: str, body: str = json.dumps({"query": NAME})) -> tuple[int, str]:
    """(status, body) of a request with exactly these header lines."""
    parts = urlsplit(url)
    head = [
        f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json",
        "Connection: close", *lines,
    ]  # fmt: skip
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        head.append(f"Content-Length: {len(body)}")
    with create_connection((parts.hostname, parts.port), timeout=20) as link:
        link.sendall("\r\n".join([*head, "", body]).encode())
        with link.makefile("rb") as answer:
            whole = answer.read().decode(errors="replace")
    status = int(whole.split()[1]) if whole else 0
    return status, whole.partition("\r\n\r\n")[2]


def test_two_tokens_or_none_in_disguise_are_refused(target: Target) -> None:
    good, bad = f"Authorization: Bearer {of()}", "Authorization: Bearer x"
    assert raw(target.url, good)[0] == 200
    for pair in ((good, bad), (bad, good), (good, good)):
        assert raw(target.url, *pair)[0] == 400
    for line in (
        f"Authorization: Bearer {of()}, Bearer x", f"Authorization: Bearer x, Bearer {of()}",
        f"Authorization: Basic {of()}", f"Authorization: {of()}", f"X-Authorization: Bearer {of()}",
        f"Proxy-Authorization: Bearer {of()}", f"Cookie: authorization=Bearer {of()}; token={of()}",
    ):  # fmt: skip
        assert raw(target.url, line)[0] == 401


@pytest.mark.parametrize(
    "line",
    [
        "X-Forwarded-User: app", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1",
        "X-Forwarded-Host: localhost", "X-Original-URL: /healthz", "X-HTTP-Method-Override: GET",
        "X-Progress-Role: operator", "X-Goog-Authenticated-User-Email: a@b.c",
    ],
)  # fmt: skip
def test_no_header_of_a_proxy_stands_for_a_token(target: Target, line: str) -> None:
    assert raw(target.url, line)[0] == 401


def test_a_request_with_two_lengths_is_no_two_requests(target: Target) -> None:
    hidden = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    for lines in (
        ("Content-Length: 5", "Content-Length: 50"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ):
        status, body = raw(target.url, f"Authorization: Bearer {of()}", *lines, body=f"0\r\n\r\n{hidden}")
        assert status in (0, 400, 401)
        assert "progress_request" not in body


def test_no_address_of_a_proxy_gets_around_a_limit(target: Target) -> None:
    """A learner may ask five times a minute here, whatever address is told, and with however many tokens."""
    bearer = lambda: of(sub="ada", role="learner", jti=str(time.monotonic_ns()))  # noqa: E731 - a new one each time
    answers = [
        raw(target.url, f"Authorization: Bearer {bearer()}", f"X-Forwarded-For: 192.0.2.{n}")[0]
        for n in range(8)
    ]
    assert answers == [200] * 5 + [429] * 3


def test_other_sites_may_neither_ask_nor_read(target: Target) -> None:
    preflight = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    for origin, welcome in ((OURS, True), (FOREIGN, False), ("null", False), (f"{OURS}.evil.example", False)):
        asked = httpx.options(target.url, headers={"origin": origin, **preflight})
        assert (asked.headers.get("access-control-allow-origin") == origin) is welcome
        assert "access-control-allow-credentials" not in asked.headers
        simple = httpx.post(target.url, content=json.dumps({"query": NAME}), headers={"origin": origin, "content-type": "text/plain"})  # fmt: skip
        assert simple.status_code in (401, 415)
        assert "set-cookie" not in simple.headers
    told = httpx.post(
        target.url, json={"query": NAME}, headers={"origin": FOREIGN, "authorization": f"Bearer {of()}"}
    )
    assert "access-control-allow-origin" not in told.headers


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{OURS}.evil.example", "http://localhost.evil.example"])
async def test_a_page_of_another_site_gets_no_socket(target: Target, origin: str) -> None:
    with pytest.raises(Refused) as refused:
        await WebSocket(target.url, Origin=origin).__aenter__()
    assert refused.value.status == 403


async def test_pages_that_are_allowed_get_a_socket_but_no_more_than_others(target: Target) -> None:
    async with WebSocket(target.url, Origin=OURS) as socket:
        await socket.send({"type": "subscribe", "id": "1", "payload": {"query": NAME}})
        with pytest.raises(Closed) as closed:
            await socket.receive()
    assert closed.value.code == 4401
    async with WebSocket(target.url, Origin=OURS) as socket:
        await socket.send({"type": "connection_init"})
        with pytest.raises(Closed) as closed:
            await socket.receive()
    assert closed.value.code == 4403


async def test_a_socket_is_limited_as_requests_are(target: Target) -> None:
    bearer = of(sub="bob", role="learner")
    async with WebSocket(target.url) as socket:
        await socket.send({"type": "connection_init", "payload": {"token": bearer}})
        await socket.receive()
        for number in range(6):
            await socket.send({"type": "subscribe", "id": str(number), "payload": {"query": NAME}})
        messages = [await socket.receive() for _ in range(11)]
    assert sum(message["type"] == "next" for message in messages) == 5
    [error] = [message for message in messages if message["type"] == "error"]
    assert error["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert target.ask(NAME, bearer).status_code == 429


async def test_two_tokens_open_no_socket(target: Target) -> None:
    """As the handshake of a client that hopes for a proxy that reads only the first, or only the last."""
    lines = ["Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"]
    twice = [
        f"Authorization: Bearer {of()}",
        "Authorization: Bearer x",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    ]
    parts = urlsplit(target.url)
    head = [
        f"GET {parts.path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        *lines,
        *twice,
        "",
        "",
    ]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write("\r\n".join(head).encode())
    assert (await reader.readline()).split()[1] == b"403"
    writer.close()
    await writer.wait_closed()
