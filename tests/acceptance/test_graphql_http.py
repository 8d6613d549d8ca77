"""GraphQL over HTTP as clients meet it, at a running service."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query
from tests.conftest import ROOT, running_system

from waiting import eventually

GRAPHQL = "application/graphql-response+json"
CONTENT = {"content-type": "application/json"}
NAME = "{ __typename }"
DECADE = 'dailyStats(userId: "x", dateRange: {from: "2010-01-01", to: "2019-12-31"}) { date }'
AUDITS = Path(__file__).with_name("graphql_audits.mjs")
VALUES = {
    "ID": "learner-00001", "String": None, "Int": 20, "ItemFilter": "ALL", "Period": "MONTH", "CategoryType": "LEVEL",
    "Date": "2026-11-23", "DateRange": {"from": "2025-11-20", "to": "2026-11-23"}, "MilestoneStatus": None, "AsOf": None,
    "Position": None, "Boolean": True, "DateTime": None,
}  # fmt: skip
DASHBOARD = ROOT / "src/progress_context/dashboard"


@pytest.fixture(scope="module")
def service(scratch: Path) -> Iterator[httpx.Client]:
    """A query service with sample learners, persisted documents, batches and another site allowed."""
    documents = scratch / "documents"
    documents.mkdir()
    (documents / "name.graphql").write_text(NAME)
    environment = {
        "PROGRESS_GRAPHQL_DOCUMENTS": str(documents),
        "PROGRESS_GRAPHQL_BATCH": "2",
        "PROGRESS_CORS_ORIGINS": "https://app.example, https://other.example",
    }
    with (
        running_system(scratch / "graphql", environment=environment) as system,
        httpx.Client(base_url=system.query_url, timeout=30) as client,
    ):
        system.simulate(learners=5, days=400)
        yield client


@pytest.fixture(scope="session")
def graphql_http(scratch: Path) -> Path:
    """A folder with npm's graphql-http."""
    folder = scratch / "npm"
    folder.mkdir()
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    install = [npm, "install", "--no-audit", "--no-fund", "--silent", "graphql-http@1.23.1", "graphql@16"]
    try:
        subprocess.run(install, cwd=folder, check=True, timeout=120, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"graphql-http cannot be installed from npm: {error}")
    (folder / "package.json").touch()
    return folder


def ask(service: httpx.Client, query: str, **body: Any) -> httpx.Response:
    return service.post("/graphql", json={"query": query, **body}, headers={"accept": GRAPHQL})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": GRAPHQL},
        {"accept": "application/json", "accept-encoding": "gzip"},
        {"origin": "https://app.example", "x-request-id": "mine"},
        {"origin": "https://stranger.example", "accept-encoding": "identity"},
        {"content-type": 'application/json; charset="utf-8"'},
        {"cache-control": "no-cache"},
        {"accept": "text/plain"},
        {"content-type": "text/plain"},
    ],
)
def test_an_answer_at_hand_is_the_one_the_application_gives(
    service: httpx.Client, headers: dict[str, str]
) -> None:
    """A request that arrives in pieces is always the application's."""
    query = "query($u: ID!) { dailyStats(userId: $u) { date reviews accuracy } itemProgress(userId: $u) { totalCount } }"
    body = json.dumps({"query": query, "variables": {"u": "learner-00002"}}).encode()
    headers = {"content-type": "application/json", **headers}
    eventually(lambda: "etag" in service.post("/graphql", content=body, headers=CONTENT).headers)

    def pieces() -> Iterator[bytes]:
        yield body[:40]
        time.sleep(0.05)
        yield body[40:]

    given = [service.post("/graphql", content=body, headers=headers) for _ in range(2)]
    own = service.post("/graphql", content=pieces(), headers=headers)
    for answer in given:
        assert (answer.status_code, answer.content) == (own.status_code, own.content)
        assert shown(answer) == shown(own)


def shown(answer: httpx.Response) -> list[tuple[str, str]]:
    """The headers of an answer, but for what is another one's each time."""
    changing = () if answer.request.headers.get("x-request-id") else ("x-request-id",)
    return sorted(each for each in answer.headers.multi_items() if each[0] not in ("date", *changing))


def code_of(response: httpx.Response) -> str:
    return response.json()["errors"][0]["extensions"]["code"]


def test_every_audit_of_the_graphql_over_http_specification_passes(
    service: httpx.Client, graphql_http: Path
) -> None:
    command = ["node", str(AUDITS), str(graphql_http), f"{service.base_url}/graphql"]
    done = subprocess.run(command, check=True, timeout=120, capture_output=True, text=True)
    audits = json.loads(done.stdout)
    assert len(audits) >= 61
    assert [audit for audit in audits if audit["status"] != "ok"] == []


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/*", 200, "application/json"),
        ("application/json", 200, "application/json"),
        (GRAPHQL, 400, GRAPHQL),
        (f"{GRAPHQL}, application/json;q=0.9", 400, GRAPHQL),
        (f"{GRAPHQL};q=0.5, application/json", 200, "application/json"),
        ("text/plain", 406, "application/json"),
        ("application/json;q=0", 406, "application/json"),
    ],
)
def test_the_accept_header_decides_media_type_and_status(
    service: httpx.Client, accept: str, status: int, media_type: str
) -> None:
    answer = service.post("/graphql", json={"query": "{ nothing }"}, headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, f"{media_type}; charset=utf-8")
    assert "data" not in answer.json()


def test_a_get_reads_and_never_changes(service: httpx.Client) -> None:
    query = "query($search: String!) { learners(search: $search, first: 1) { userId } }"
    variables = json.dumps({"search": "learner-00001"})
    answer = service.get("/graphql", params={"query": query, "variables": variables})
    assert answer.json()["data"] == {"learners": [{"userId": "learner-00001"}]}
    answer = service.get("/graphql", params={"query": "mutation { x }"}, headers={"accept": GRAPHQL})
    assert answer.status_code == 400
    answer = service.put("/graphql", json={"query": NAME})
    assert (answer.status_code, answer.headers["allow"], code_of(answer)) == (
        405,
        "GET, POST",
        "METHOD_NOT_ALLOWED",
    )


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b'{"query": "{ __typename }"}', {"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"query": "{ __typename }"}', {"content-type": "application/json; charset=latin-1"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"{", {}, 400, "BAD_REQUEST"),
        (b"{}", {}, 400, "BAD_REQUEST"),
        (b'{"query": 1}', {}, 400, "BAD_REQUEST"),
        (b'"\xff"', {}, 400, "BAD_REQUEST"),
        (b"[" + b",".join([b'{"query": "{ __typename }"}'] * 3) + b"]", {}, 400, "BAD_REQUEST"),
        (b'{"query": "' + b" " * 300_000 + b'"}', {}, 413, "BODY_TOO_LARGE"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(
    service: httpx.Client, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = service.post("/graphql", content=body, headers={"content-type": "application/json", **headers})
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ __schema { types { fields { type { ofType { ofType { ofType { ofType { name } } } } } } } } }", None),
        (f"{{ {' '.join(f'a{n}: __typename' for n in range(51))} }}", "TOO_MANY_ALIASES"),
        ("query { ...A ...A } fragment A on Query { " + " ".join(f"a{n}: __typename" for n in range(26)) + " }", "TOO_MANY_ALIASES"),
        (f"{{ {'__typename ' * 2_000} }}", "GRAPHQL_PARSE_FAILED"),
        (f"{{ {' '.join(f'{key}: {DECADE}' for key in 'abc')} }}", "QUERY_TOO_EXPENSIVE"),
    ],
)  # fmt: skip
def test_requests_have_limits(service: httpx.Client, query: str, code: str | None) -> None:
    answer = ask(service, query)
    assert (answer.status_code, code and code_of(answer)) == (400 if code else 200, code)


def test_tools_may_read_the_schema(service: httpx.Client) -> None:
    answer = ask(service, get_introspection_query(descriptions=True, input_value_deprecation=True))
    types = {each["name"]: each for each in answer.json()["data"]["__schema"]["types"]}
    described = {field["name"]: field["description"] for field in types["DailyStats"]["fields"]}
    assert described["accuracy"] == "correct / reviews, from 0 to 1; null without reviews."
    assert "extensions" in answer.json()


def test_the_dashboards_own_documents_are_within_the_limits(service: httpx.Client) -> None:
    files = [(DASHBOARD / name).read_text() for name in ("queries.js", "operator_queries.js")]
    texts = [text for file in files for text in file.split("`")[1::2] if "query " in text]
    assert len(texts) >= 3
    for text in texts:
        named = re.findall(r"\$(\w+): *(\w+)", text.partition("{")[0])
        answer = ask(service, text, variables={name: VALUES[kind] for name, kind in named}).json()
        assert "errors" not in answer, answer
        assert answer["extensions"]["cost"] <= 300


def test_documents_may_be_named(service: httpx.Client) -> None:
    for name in ("name", f"sha256:{hashlib.sha256(NAME.encode()).hexdigest()}"):
        answer = service.post("/graphql", json={"documentId": name})
        assert answer.json()["data"] == {"__typename": "Query"}
    answer = service.get("/graphql", params={"documentId": "nobody"}, headers={"accept": GRAPHQL})
    assert (answer.status_code, code_of(answer)) == (400, "PERSISTED_DOCUMENT_UNKNOWN")


def test_a_document_that_was_sent_once_may_be_named_by_its_hash(service: httpx.Client) -> None:
    query = "{ once: __typename }"
    wanted = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(query.encode()).hexdigest()}}
    unknown = service.post("/graphql", json={"extensions": wanted})
    assert (unknown.json()["errors"][0]["message"], code_of(unknown)) == (
        "PersistedQueryNotFound",
        "PERSISTED_QUERY_NOT_FOUND",
    )
    assert service.post("/graphql", json={"query": query, "extensions": wanted}).json()["data"]
    again = service.get("/graphql", params={"extensions": json.dumps(wanted)})
    assert again.json()["data"] == {"once": "Query"}
    other = ask(service, NAME, extensions=wanted)
    assert (other.status_code, code_of(other)) == (400, "BAD_USER_INPUT")


def test_a_batch_is_answered_in_order_where_it_is_allowed(service: httpx.Client) -> None:
    answer = service.post("/graphql", json=[{"query": "{ a: __typename }"}, {"query": "{ nothing }"}])
    first, second = answer.json()
    assert first["data"] == {"a": "Query"}
    assert second["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


def test_only_pages_of_allowed_sites_may_read(service: httpx.Client) -> None:
    asking = {"origin": "https://app.example", "access-control-request-method": "POST"}
    preflight = service.options("/graphql", headers=asking)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    answer = service.post("/graphql", json={"query": NAME}, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_long_answers_are_compressed_for_who_asks(service: httpx.Client) -> None:
    body = json.dumps({"query": get_introspection_query()})
    headers = {"content-type": "application/json", "accept-encoding": "gzip"}
    with service.stream("POST", "/graphql", content=body, headers=headers) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    plain = service.post("/graphql", content=body, headers={**headers, "accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(raw) == plain.content
    assert len(raw) * 3 < len(plain.content)


def test_a_request_keeps_its_name(service: httpx.Client) -> None:
    answer = service.post("/graphql", json={"query": NAME}, headers={"x-request-id": "my-request.1"})
    assert answer.headers["x-request-id"] == "my-request.1"
    answer = service.post("/graphql", json={"query": NAME}, headers={"x-request-id": "two words"})
    ours = [service.post("/graphql", json={"query": NAME}).headers["x-request-id"] for _ in range(2)]
    assert len({answer.headers["x-request-id"], *ours, "two words"}) == 4
