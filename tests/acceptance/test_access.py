"""Who may see and do what, at a running system that asks for tokens: every query, role, learner and moment."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import pytest
from graphql import GraphQLNonNull
from tests.conftest import running_system

from acceptance.system import BATCH, array, judged, text
from issuer import AUDIENCE, ISSUER, public_jwk, serving, token
from live.events import event_stream
from live.websocket import Closed, WebSocket
from ports import free_port
from progress_context.query.schema import load_schema
from waiting import eventually

ADA, BOB, CLASSMATE, NOBODY = "ada", "bob", "class-7/cleo", "nobody"
LEARNERS = (ADA, BOB, CLASSMATE)
ROLES: dict[str, dict[str, Any]] = {
    "learner": {"sub": ADA},
    "learner by default": {"sub": ADA, "role": ...},
    "learner with the claims of a coach": {"sub": ADA, "learners": [BOB], "groups": ["class-7"]},
    "coach": {"sub": "carl", "role": "coach", "learners": [ADA], "groups": ["class-7"]},
    "coach of nobody": {"sub": ADA, "role": "coach"},
    "service": {"sub": "app", "role": "service"},
    "operator": {"sub": "olga", "role": "operator"},
}
VISIBLE: dict[str, set[str]] = {
    "learner": {ADA},
    "learner by default": {ADA},
    "learner with the claims of a coach": {ADA},
    "coach": {ADA, CLASSMATE},
    "coach of nobody": set(),
    "service": set(LEARNERS),
    "operator": set(LEARNERS),
}
MOMENTS = (
    "",
    ", asOf: {position: 6}",
    ', asOf: {knownAt: "2100-01-01T00:00:00Z"}',
    ', asOf: {happenedBy: "2100-01-01T00:00:00Z"}',
)
REQUIRED = {
    "categoryType": "DOMAIN",
    "name": '"daily_stats"',
    "dateRange": '{from: "2026-01-01", to: "2026-01-02"}',
}
FOR_OPERATORS = {
    "system": "{ system { __typename } }",
    "events": '{ events(userId: "%s") { __typename } }',
}
SUBSCRIPTIONS = ("progressUpdated", "streakUpdated", "milestoneAchieved")


@dataclass(frozen=True)
class Place:
    """A running system that asks for tokens."""

    up: running_system
    url: str
    client: httpx.Client

    def ask(self, query: str, bearer: str | None = None, **headers: str) -> httpx.Response:
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        return self.client.post(self.url, json={"query": query}, headers=headers)

    def data(self, query: str, bearer: str) -> Any:
        answer = self.ask(query, bearer).json()
        assert "errors" not in answer, answer
        return answer["data"]


@pytest.fixture(scope="module")
def place(scratch: Path) -> Iterator[Place]:
    keys = json.dumps({"keys": [public_jwk("ES256")]}).encode()
    with serving(keys) as address:
        environment = {
            "PROGRESS_AUTH_JWKS_URL": address,
            "PROGRESS_AUTH_ISSUER": ISSUER,
            "PROGRESS_AUTH_AUDIENCE": AUDIENCE,
            "PROGRESS_RATE_LIMIT": "0",
            "PROGRESS_RATE_LIMIT_SERVICE": "0",
            "PROGRESS_RATE_LIMIT_OPERATOR": "7",
            "PROGRESS_HTTPS_SECONDS": "3600",
            "PROGRESS_CORS_ORIGINS": "https://app.example",
        }
        with (
            running_system(scratch / "access", environment=environment) as up,
            httpx.Client(timeout=30) as client,
        ):
            found = Place(up, f"{up.query_url}/graphql", client)
            send(up, *(judged(subject=learner) for learner in LEARNERS for _ in range(2)))
            query = '{ userSummary(userId: "ada", waitForPosition: 6) { reviews } }'
            eventually(lambda: "data" in found.ask(query, of("service")).json())
            yield found


def of(role: str, **changes: Any) -> str:
    """A token for a role of the table."""
    return token("ES256", **{"role": role.split()[0], **ROLES[role], **changes})


def send(up: running_system, *events: dict[str, Any], bearer: str | None = None) -> httpx.Response:
    body = array([text(event) for event in events])
    writer = bearer or of("service", scope="events:write")
    headers = {"content-type": BATCH, "authorization": f"Bearer {writer}"}
    return httpx.post(f"{up.command_url}/events", content=body, headers=headers, timeout=30)


def questions() -> list[str]:
    """Every field of Query about a learner, as a document with a hole for the learner and one for the moment."""
    query = load_schema().query_type
    assert query is not None
    found: list[str] = []
    for name, field in query.fields.items():
        if "userId" not in field.args or name in FOR_OPERATORS:
            continue
        needed = [
            f"{argument}: {REQUIRED[argument]}"
            for argument, its in field.args.items()
            if isinstance(its.type, GraphQLNonNull) and its.default is None and argument != "userId"
        ]
        given = ", ".join(['userId: "%s"%s', *needed])
        found.append(f"{{ {name}({given}) {{ __typename }} }}")
    return found


def test_every_query_is_in_the_table() -> None:
    query = load_schema().query_type
    assert query is not None
    assert len(questions()) >= 10
    asked = {question.split("(")[0].strip("{ ") for question in questions()}
    assert asked | FOR_OPERATORS.keys() | {"learners"} == query.fields.keys()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_every_query_by_role_learner_and_moment(place: Place, role: str) -> None:
    bearer = of(role)
    refusals: set[str] = set()
    for question, learner, moment in itertools.product(questions(), (*LEARNERS, NOBODY), MOMENTS):
        response = place.ask(question % (learner, moment), bearer)
        answer = response.json()
        if learner in VISIBLE[role]:
            assert "errors" not in answer, (question, learner, moment, answer)
            continue
        assert response.status_code == 200
        [error] = answer["errors"]
        assert answer["data"] is None
        assert error["extensions"] == {"code": "LEARNER_UNKNOWN"}, (question, learner, moment)
        refusals.add(error["message"].replace(learner, "…"))
    assert len(refusals) == 1  # who does not exist, and whom one may not see, are the same


def test_an_operator_sees_every_learner_and_how_the_system_stands(place: Place) -> None:
    for learner in LEARNERS:
        query = f'{{ userSummary(userId: "{learner}") {{ reviews }} }}'
        assert place.data(query, of("operator", sub=learner))["userSummary"]["reviews"] >= 2
    assert place.data("{ system { healthy } events(first: 1) { position } }", of("operator", sub="oscar"))


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_nobody_else_is_answered_what_operators_ask(place: Place, role: str) -> None:
    for name, query in FOR_OPERATORS.items():
        for learner in (*LEARNERS, NOBODY):
            answer = place.ask(query.replace("%s", learner), of(role)).json()
            assert answer["data"] is None
            [error] = answer["errors"]
            assert (error["path"], error["extensions"]) == ([name], {"code": "FORBIDDEN"})
            assert error["message"] == "only operators may ask for this"


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_the_list_of_learners_holds_only_those_who_may_be_seen(place: Place, role: str) -> None:
    for search, among in (("null", set(LEARNERS)), ('"b"', {BOB}), ('"CLASS"', {CLASSMATE})):
        found = place.data(f"{{ learners(search: {search}) {{ userId }} }}", of(role))["learners"]
        assert {each["userId"] for each in found} == among & VISIBLE[role]


def test_a_learner_who_may_be_seen_is_no_way_to_another_in_the_same_request(place: Place) -> None:
    query = '{ mine: userSummary(userId: "ada") { reviews } his: userSummary(userId: "bob") { reviews } }'
    answer = place.ask(query, of("learner")).json()
    assert answer["data"] is None
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["his"], "LEARNER_UNKNOWN")


def test_wildcards_in_names_are_letters(place: Place) -> None:
    for name in ("%", "_da", "a%", "\\\\", "class-7/%", "class-7/"):
        query = f'{{ userSummary(userId: "{name}") {{ reviews }} }}'
        assert place.ask(query, of("coach")).json()["errors"][0]["extensions"]["code"] == "LEARNER_UNKNOWN"
    nearly = of("coach", learners=["%", "_da"], groups=["%"])
    assert place.data("{ learners { userId } }", nearly)["learners"] == []


def test_time_tells_nobody_whether_a_learner_exists(place: Place) -> None:
    """The same work is done; so the times differ by no more than noise."""
    bearer = of("learner")
    times: dict[str, list[float]] = {BOB: [], NOBODY: []}
    with httpx.Client(headers={"authorization": f"Bearer {bearer}"}) as client:
        for turn in range(60):
            for learner in sorted(times, reverse=bool(turn % 2)):
                began = perf_counter()
                client.post(
                    place.url, json={"query": f'{{ userSummary(userId: "{learner}") {{ reviews }} }}'}
                )
                times[learner].append(perf_counter() - began)
    hidden, unknown = median(times[BOB]), median(times[NOBODY])
    assert 0.5 < hidden / unknown < 2


@pytest.mark.parametrize("bearer", [None, "x", "a.b.c"])
def test_without_a_token_nothing_is_answered(place: Place, bearer: str | None) -> None:
    answers = [
        place.ask(query, bearer) for query in ("{ __typename }", "{ learners { userId } }", "nonsense", "{")
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json() == answers[0].json()
    [error] = answers[0].json()["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    in_the_address = httpx.get(place.url, params={"query": "{ __typename }", "access_token": of("learner")})
    assert in_the_address.status_code == 401


def test_what_says_nothing_about_learners_stays_open(place: Place) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/"):
        assert httpx.get(f"{place.up.query_url}{path}").status_code == 200
    assert not [name for name in LEARNERS if name in httpx.get(f"{place.up.query_url}/metrics").text]


def test_introspection_and_graphiql_are_off_where_tokens_are_asked_for(place: Place) -> None:
    answer = place.ask("{ __schema { types { name } } }", of("learner"))
    assert answer.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert place.data("{ __typename }", of("learner")) == {"__typename": "Query"}
    page = httpx.get(place.url, headers={"accept": "text/html", "authorization": f"Bearer {of('learner')}"})
    assert "<html" not in page.text


def test_events_are_taken_from_who_may_write_them(place: Place) -> None:
    nobody = httpx.post(f"{place.up.command_url}/events", content=text(judged()))
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    for role in ROLES:
        refused = send(place.up, judged(), bearer=of(role, scope="events:read write"))
        assert (refused.status_code, refused.json()["error"]) == (403, "scope_missing")
    assert send(place.up, judged(), bearer=of("learner", scope=["x", "events:write"])).status_code == 201
    statements = httpx.post(f"{place.up.command_url}/xapi/statements", json=[])
    assert statements.status_code == 401


def test_every_answer_has_the_security_headers(place: Place) -> None:
    answers = [
        httpx.request(method, f"{url}{path}")
        for url in (place.up.query_url, place.up.command_url, place.up.projection_url)
        for method, path in (("GET", "/"), ("GET", "/healthz"), ("POST", "/graphql"), ("GET", "/nothing"), ("POST", "/events"))
    ]  # fmt: skip
    assert {answer.status_code for answer in answers} >= {200, 401, 404}
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert len(answer.headers.get_list("content-security-policy")) == 1


def test_limits_are_told_and_kept(place: Place) -> None:
    """Operators may ask seven times a minute here."""
    answers = [place.ask("{ __typename }", of("operator", sub="otto")) for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 7 + [429] * 2
    assert answers[0].headers["ratelimit"].startswith('"minute";r=6;t=')
    assert answers[0].headers["ratelimit-policy"] == '"minute";q=7;w=60'
    assert 0 < int(answers[-1].headers["retry-after"]) <= 65
    assert answers[-1].json()["errors"][0]["extensions"] == {"code": "RATE_LIMITED"}
    assert place.ask("{ __typename }", of("operator", sub="otilie")).status_code == 200


def test_limits_hold_for_answers_that_are_kept(place: Place) -> None:
    query = '{ userSummary(userId: "ada") { reviews } }'
    eventually(lambda: place.ask(query, of("service")).headers.get("etag"))
    answers = [place.ask(query, of("operator", sub="olympia")) for _ in range(9)]
    assert [answer.status_code for answer in answers] == [200] * 7 + [429] * 2
    left = [re.search(r"r=(\d+)", answer.headers["ratelimit"]) for answer in answers]
    assert [int(found[1]) for found in left if found] == [6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert len({answer.content for answer in answers[:7]}) == 1


async def told(place: Place, field: str, learner: str, bearer: str | None) -> dict[str, Any]:
    """The first message of a subscription over a WebSocket."""
    document = f'subscription {{ {field}(userId: "{learner}", after: 0) {{ position }} }}'
    async with WebSocket(f"{place.up.query_url}/graphql") as socket:
        payload = {"authorization": f"Bearer {bearer}"} if bearer else {}
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.receive() == {"type": "connection_ack"}
        await socket.send({"type": "subscribe", "id": "1", "payload": {"query": document}})
        return await socket.receive()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
async def test_every_subscription_by_role_and_learner(place: Place, role: str) -> None:
    for field, learner in itertools.product(SUBSCRIPTIONS, (*LEARNERS, NOBODY)):
        if field == "milestoneAchieved" and learner in VISIBLE[role]:
            continue  # there is none to be told of
        message = await told(place, field, learner, of(role))
        if learner in VISIBLE[role]:
            assert message["type"] == "next", message
        else:
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"] == {"code": "LEARNER_UNKNOWN"}
            assert message["payload"][0]["message"].replace(learner, "…") == (
                "there is no learner '…', or none that you may see"
                if role not in ("service", "operator")
                else "no event of learner '…' has been received"
            )


@pytest.mark.parametrize("payload", [{}, {"authorization": "Bearer x"}, {"authorization": 7}, {"token": "x"}])
async def test_a_socket_without_a_token_is_closed(place: Place, payload: dict[str, Any]) -> None:
    async with WebSocket(f"{place.up.query_url}/graphql") as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        with pytest.raises(Closed) as closed:
            await socket.receive()
    assert closed.value.code == 4403


async def test_a_token_of_a_socket_stands_in_its_header_or_its_payload(place: Place) -> None:
    tokens: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"Authorization": f"Bearer {of('learner')}"}, {}),
        ({}, {"Authorization": f"Bearer {of('learner')}"}),
        ({}, {"token": of("learner")}),
    ]
    for headers, payload in tokens:
        async with WebSocket(f"{place.up.query_url}/graphql", **headers) as socket:
            await socket.send({"type": "connection_init", "payload": payload})
            assert await socket.receive() == {"type": "connection_ack"}


async def test_a_socket_ends_with_its_token(place: Place) -> None:
    """Clocks may differ by a minute: only then is a token surely over."""
    bearer = of("learner", exp=int(time.time()) - 57)
    async with WebSocket(f"{place.up.query_url}/graphql") as socket:
        await socket.send({"type": "connection_init", "payload": {"token": bearer}})
        assert await socket.receive() == {"type": "connection_ack"}
        closed = await socket.closed()
    assert closed.code == 4403
    assert "expired" in closed.reason


def test_a_stream_ends_with_its_token(place: Place) -> None:
    bearer = of("operator", sub="olga", exp=int(time.time()) - 57)
    query = 'subscription { progressUpdated(userId: "ada", after: 0) { position } }'
    headers = {"authorization": f"Bearer {bearer}", "accept": "text/event-stream"}
    url = f"{place.up.query_url}/graphql/stream"
    with httpx.stream("POST", url, json={"query": query}, headers=headers, timeout=15) as stream:
        told = stream.read().decode()  # to its end, which nobody but the service can bring about
    assert stream.status_code == 200
    assert "event: next" in told
    assert "event: complete" not in told  # so the client connects again


async def test_queries_over_a_socket_see_no_more_than_others(place: Place) -> None:
    async with WebSocket(f"{place.up.query_url}/graphql") as socket:
        await socket.send({"type": "connection_init", "payload": {"token": of("learner")}})
        await socket.receive()
        query = '{ userSummary(userId: "bob") { reviews } }'
        await socket.send({"type": "subscribe", "id": "1", "payload": {"query": query}})
        message = await socket.receive()
        payload = message["payload"]
        errors = payload["errors"] if isinstance(payload, dict) else payload
        assert errors[0]["extensions"] == {"code": "LEARNER_UNKNOWN"}
        await socket.receive()
        await socket.send({"type": "subscribe", "id": "2", "payload": {"query": "{ learners { userId } }"}})
        message = await socket.receive()
        assert message["payload"]["data"] == {"learners": [{"userId": ADA}]}


async def test_event_streams_ask_for_a_token_too(place: Place) -> None:
    query = 'subscription { progressUpdated(userId: "%s", after: 0) { position } }'
    body = {"query": query % BOB}
    async with httpx.AsyncClient() as client:
        refused = await client.post(f"{place.url}/stream", json=body, headers={"accept": "text/event-stream"})
    assert refused.status_code == 401
    assert refused.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    headers = {"authorization": f"Bearer {of('learner')}"}
    async with event_stream(
        "POST", f"{place.url}/stream", json={"query": query % ADA}, headers=headers
    ) as stream:
        event = await stream.next()
        assert event is not None
        assert "errors" not in event.data
    async with event_stream("POST", f"{place.url}/stream", json=body, headers=headers) as stream:
        event = await stream.next()
        assert event is not None
        assert event.data["errors"][0]["extensions"]["code"] == "LEARNER_UNKNOWN"


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PROGRESS_")}
    return subprocess.run(
        [sys.executable, "-m", "progress_context", *arguments],
        env={**clean, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("service", ["command", "query"])
def test_a_service_is_not_open_to_the_network_by_accident(service: str) -> None:
    port = {f"PROGRESS_{service.upper()}_PORT": str(free_port())}
    refused = command("serve", service, PROGRESS_HOST="0.0.0.0", **port)
    assert refused.returncode == 2
    [line] = [line for line in refused.stderr.splitlines() if "error:" in line]
    assert "PROGRESS_HOST=0.0.0.0 would let the network in" in line
    assert "PROGRESS_AUTH=off" in line


def test_a_newcomer_tries_roles_with_tokens_of_their_own(scratch: Path) -> None:
    """The commands of the manual, with a secret; no log says it."""
    secret = "a secret of more than thirty-two bytes"
    with (
        running_system(scratch / "newcomer", environment={"PROGRESS_AUTH_SECRET": secret}) as up,
        httpx.Client(timeout=30) as client,
    ):
        simulated = command(
            "simulate",
            "--learners",
            "3",
            "--days",
            "3",
            "--post",
            up.command_url,
            PROGRESS_AUTH_SECRET=secret,
        )
        assert simulated.returncode == 0, simulated.stderr
        place = Place(up, f"{up.query_url}/graphql", client)
        made = {
            role: command("token", *role.split(), PROGRESS_AUTH_SECRET=secret).stdout.strip()
            for role in ("learner learner-00001", "operator olga")
        }
        listed = {
            role: {each["userId"] for each in place.data("{ learners { userId } }", bearer)["learners"]}
            for role, bearer in made.items()
        }
        assert listed["learner learner-00001"] == {"learner-00001"}
        assert len(listed["operator olga"]) == 3
        shown = up.log.read_text()
        assert [word for word in (secret, *made.values()) if word in shown] == []
        assert "authentication_for_development" in shown
    assert command("token", "learner", "ada").returncode == 2
