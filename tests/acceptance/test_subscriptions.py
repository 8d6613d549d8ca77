"""Live updates of a running system, over real sockets and streams."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.conftest import running_system

from acceptance.system import BATCH, Event, array, children, database_of, fetch, judged, post, text
from live.events import EventStream, event_stream
from live.websocket import Closed, GraphQLSocket, Refused, WebSocket
from waiting import eventually, until

PROGRESS = (
    "subscription($user: ID!, $after: Position) { progressUpdated(userId: $user, after: $after)"
    " { position changedFrom changedTo days { date reviews } summary { reviews } } }"
)
STREAK = (
    "subscription($user: ID!, $after: Position) { streakUpdated(userId: $user, after: $after)"
    " { position streak { current longest } } }"
)
MILESTONE = (
    "subscription($user: ID!, $after: Position) { milestoneAchieved(userId: $user, after: $after)"
    " { position userId milestone { type threshold achievedOn } } }"
)
BULKY = (
    "subscription($user: ID!, $after: Position) { progressUpdated(userId: $user, after: $after) { position"
    + "".join(f" s{number}: streak {{ explanation {{ date text {{ en ja }} }} }}" for number in range(12))
    + " } }"
)
SLOW_SECONDS = 5
ENVIRONMENT = {
    "PROGRESS_NEWS_MAX_AGE": "48",
    "PROGRESS_LIVE_POLL_MS": "500",
    "PROGRESS_LIVE_OPERATIONS": "5",
    "PROGRESS_LIVE_SLOW_SECONDS": str(SLOW_SECONDS),
    "PROGRESS_LIVE_INIT_SECONDS": "1",
}

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def up(scratch: Path) -> Iterator[running_system]:
    with running_system(scratch / "live", environment=ENVIRONMENT) as system:
        yield system


@pytest.fixture
def learner(up: running_system) -> str:
    """A learner with one review, which is visible."""
    name = f"learner {next(numbers)}"
    seen(up, name, review(up, name))
    return name


def review(up: running_system, learner: str, days_ago: int = 0, **changes: Any) -> int:
    """One more review; its position."""
    moment = datetime.now(UTC) - timedelta(days=days_ago)
    return send(up, judged(subject=learner, time=moment.isoformat(), **changes))


def send(up: running_system, event: Event) -> int:
    answer = post(up.command_url, text(event))
    assert answer.status_code == 201, answer.text
    return answer.json()["position"]


def seen(up: running_system, learner: str, position: int) -> int:
    """The number of reviews, once a position is visible."""
    query = "query($u: ID!, $p: Position) { userSummary(userId: $u, waitForPosition: $p) { reviews } }"
    answer = httpx.post(
        f"{up.query_url}/graphql",
        json={"query": query, "variables": {"u": learner, "p": position}},
        timeout=30,
    )
    return answer.json()["data"]["userSummary"]["reviews"]


def metric(up: running_system, name: str, **labels: str) -> float:
    exposition = httpx.get(f"{up.query_url}/metrics", timeout=30).text
    samples = [each for family in text_string_to_metric_families(exposition) for each in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


async def test_a_change_arrives_with_its_days_and_its_position(up: running_system, learner: str) -> None:
    today = datetime.now(UTC).date().isoformat()
    async with GraphQLSocket(up.query_url) as socket:
        assert socket.protocol == "graphql-transport-ws"
        await socket.subscribe(PROGRESS, user=learner, after=0)
        first = (await socket.data())["progressUpdated"]
        assert (first["days"], first["summary"]) == ([{"date": today, "reviews": 1}], {"reviews": 1})
        position = review(up, learner)
        payload = await socket.next()
        second = payload["data"]["progressUpdated"]
        assert second["days"] == [{"date": today, "reviews": 2}]
        assert second["position"] == payload["extensions"]["position"] >= position > first["position"]


async def test_a_late_event_tells_every_day_it_may_have_changed(up: running_system, learner: str) -> None:
    """The new item of a later day becomes one of the earlier day."""
    first = review(up, learner, data={"item_id": "apple", "judgment": "AutoConfirmed"})
    query = PROGRESS.replace("reviews }", "reviews newItems }", 1)
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(query, user=learner, after=0)
        known = await days_until(socket, first)
        assert [day["newItems"] for day in known.values()] == [2]
        known |= await days_until(
            socket, review(up, learner, 2, data={"item_id": "apple", "judgment": "AutoConfirmed"})
        )
        assert [day["newItems"] for _, day in sorted(known.items())] == [1, 0, 1]


async def days_until(socket: GraphQLSocket, position: int) -> dict[str, Any]:
    """The days that are told up to a position."""
    known: dict[str, Any] = {}
    while True:
        update = (await socket.data())["progressUpdated"]
        assert update["days"][0]["date"] == update["changedFrom"]
        known |= {day["date"]: day for day in update["days"]}
        if update["position"] >= position:
            return known


async def test_completing_a_session_tells_the_day_on_which_it_was_given_up(
    up: running_system, learner: str
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    given_up = {"session_id": "s", "completed_count": 1}
    position = send(
        up,
        judged(subject=learner, type="learning.SessionAbandoned", data=given_up, time=yesterday.isoformat()),
    )
    seen(up, learner, position)
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(
            PROGRESS.replace("reviews }", "sessionsAbandoned }", 1), user=learner, after=position
        )
        send(up, judged(subject=learner, type="learning.SessionCompleted", data={"session_id": "s"}))
        changed = (await socket.data())["progressUpdated"]
        assert changed["changedFrom"] == yesterday.date().isoformat()
        assert [day["sessionsAbandoned"] for day in changed["days"]] == [0, 0]


async def test_voiding_an_event_tells_its_day(up: running_system, learner: str) -> None:
    event = judged(subject=learner, time=(datetime.now(UTC) - timedelta(days=3)).isoformat())
    position = send(up, event)
    seen(up, learner, position)
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=position)
        voided = {"source": event["source"], "id": event["id"]}
        send(up, judged(subject=learner, type="learning.EventVoided", data=voided))
        changed = (await socket.data())["progressUpdated"]
        assert changed["days"][0] == {"date": event["time"][:10], "reviews": 0}


async def test_a_streak_is_told_when_it_changed_and_only_then(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(STREAK, "streak", user=learner)
        await socket.subscribe(PROGRESS, "progress", user=learner, after=0)
        await socket.data("progress")
        seen(up, learner, review(up, learner))
        await socket.data("progress")  # and no streak in between
        review(up, learner, 1)
        told = [await socket.receive() for _ in range(2)]
        streaks = [message["payload"] for message in told if message["id"] == "streak"]
        assert [payload["data"]["streakUpdated"]["streak"] for payload in streaks] == [
            {"current": 2, "longest": 2}
        ]


async def test_milestones_come_once_each_in_order_and_again_from_a_position(
    up: running_system, learner: str
) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(MILESTONE, user=learner, after=0)
        completed = judged(subject=learner, type="learning.SessionCompleted", data={"session_id": "s"})
        send(up, completed)
        first = (await socket.data())["milestoneAchieved"]
        day = completed["time"][:10]
        assert first["milestone"] == {"type": "FIRST_SESSION", "threshold": 1, "achievedOn": day}
        assert first["userId"] == learner
        study = {"activity_id": "a", "verb": "read", "duration_seconds": 14_400}
        for _ in range(3):
            send(up, judged(subject=learner, type="learning.ActivityRecorded", data=study))
        second = (await socket.data())["milestoneAchieved"]
        assert (second["milestone"]["type"], second["milestone"]["threshold"]) == ("STUDY_HOURS", 10)
        await socket.subscribe(MILESTONE, "all", user=learner, after=0)
        assert [(await socket.data("all"))["milestoneAchieved"] for _ in range(2)] == [first, second]
        await socket.subscribe(MILESTONE, "later", user=learner, after=first["position"])
        assert (await socket.data("later"))["milestoneAchieved"] == second


async def test_nothing_is_missed_over_reconnects(up: running_system, learner: str) -> None:
    """A client that goes on from its last position knows in the end what a query knows."""
    known: dict[str, int] = {}
    position, last = 0, 0
    for round_ in range(5):
        last = review(up, learner, round_)
        async with GraphQLSocket(up.query_url) as socket:
            await socket.subscribe(PROGRESS, user=learner, after=position)
            while True:
                update = (await socket.data())["progressUpdated"]
                assert update["position"] > position
                position = update["position"]
                known |= {day["date"]: day["reviews"] for day in update["days"]}
                if position >= last:
                    break
        last = review(up, learner, round_)  # while nobody listens
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=position)
        while position < last:
            update = (await socket.data())["progressUpdated"]
            position = update["position"]
            known |= {day["date"]: day["reviews"] for day in update["days"]}
    assert sum(known.values()) == seen(up, learner, last) == 11


async def test_a_position_that_is_up_to_date_brings_nothing(up: running_system, learner: str) -> None:
    position = review(up, learner)
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=position)
        await asyncio.to_thread(seen, up, learner, position)
        with pytest.raises(TimeoutError):
            await socket.receive(seconds=1)


async def test_queries_are_answered_over_a_socket_too(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe("query($u: ID!) { userSummary(userId: $u) { reviews } }", u=learner)
        assert (await socket.data())["userSummary"] == {"reviews": 1}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        await socket.subscribe("{ nothing }")
        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == (
            "error",
            "GRAPHQL_VALIDATION_FAILED",
        )
        await socket.subscribe(PROGRESS, user="nobody of that name")
        assert (await socket.receive())["payload"][0]["extensions"]["code"] == "LEARNER_UNKNOWN"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (
            "subscription { progressUpdated(userId: 1) @skip(if: false) { position } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { ...F @include(if: true) } fragment F on Subscription { progressUpdated(userId: 1) { position } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { ...F } fragment F on Subscription { ... @include(if: true) { progressUpdated(userId: 1) { position } } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription($u: ID!) { progressUpdated(userId: $u) { position } }", "BAD_USER_INPUT"),
        (
            "subscription { progressUpdated(userId: 1) { position } streakUpdated(userId: 1) { position } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription { progressUpdated(userId: 1, after: -1) { position } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "subscription A { progressUpdated(userId: 1) { position } } query B { __typename }",
            "OPERATION_UNKNOWN",
        ),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ('subscription { progressUpdated(userId: "\\u0000") { position } }', "LEARNER_UNKNOWN"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused(
    up: running_system, query: str, code: str
) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(query)
        refused = await socket.receive()
        assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", code)


async def test_fragments_aliases_and_directives_mean_what_they_mean_in_a_query(
    up: running_system, learner: str
) -> None:
    query = (
        "subscription($user: ID!, $no: Boolean = false, $live_user: Boolean = true) {"
        " ...Root } fragment Root on Subscription { told: progressUpdated(userId: $user, after: 0) {"
        " kind: __typename ... on ProgressUpdate @include(if: $no) { userId } ...Sums position @skip(if: $no)"
        " days { ...Day } days { reviews } } }"
        " fragment Sums on ProgressUpdate { whole: summary { count: reviews, itemsSeen @include(if: $live_user) } }"
        " fragment Day on DailyStats { date }"
    )
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(query, user=learner)
        told = (await socket.data())["told"]
    assert list(told) == ["kind", "whole", "position", "days"]
    assert (told["kind"], told["whole"]) == ("ProgressUpdate", {"count": 1, "itemsSeen": 1})
    assert list(told["days"][0]) == ["date", "reviews"]


async def test_complete_stops_an_operation_at_once(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        for operation in ("stopped", "kept"):
            await socket.subscribe(PROGRESS, operation, user=learner, after=0)
        assert {(await socket.receive())["id"] for _ in range(2)} == {"stopped", "kept"}
        await socket.send({"type": "complete", "id": "stopped"})
        await socket.send({"type": "ping", "payload": {"n": 1}})
        assert await socket.receive() == {"type": "pong", "payload": {"n": 1}}
        for _ in range(2):
            review(up, learner)
            await socket.data("kept")
        await socket.subscribe("{ __typename }", "stopped")  # the id is free again
        assert (await socket.data("stopped")) == {"__typename": "Query"}


INIT = {"type": "connection_init"}
ASK = {
    "type": "subscribe",
    "id": "1",
    "payload": {"query": "subscription { progressUpdated(userId: 1) { position } }"},
}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["no JSON"], 4400),
        (["[]"], 4400),
        ([{"type": "hello"}], 4400),
        ([INIT | {"payload": 3}], 4400),
        ([INIT, ASK | {"id": 5}], 4400),
        ([INIT, ASK | {"id": ""}], 4400),
        ([INIT, {"type": "subscribe", "id": "1", "payload": {}}], 4400),
        (["[" * 100_000], 4400),
        ([ASK], 4401),
        ([INIT, INIT], 4429),
        (["x" * 300_000], 1009),
        ([], 4408),
    ],
)  # fmt: skip
async def test_who_breaks_the_protocol_is_closed_with_its_code(
    up: running_system, messages: list[Any], code: int
) -> None:
    async with WebSocket(up.query_url) as socket:
        for message in messages:
            await socket.send(message)
        assert (await socket.closed()).code == code


async def test_an_id_in_use_closes_the_socket(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        for _ in range(2):
            await socket.subscribe(PROGRESS, user=learner)
        closed = await socket.closed()
        assert (closed.code, closed.reason) == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("protocols", [(), ("graphql-ws",)])
async def test_another_subprotocol_is_not_spoken(up: running_system, protocols: tuple[str, ...]) -> None:
    async with WebSocket(up.query_url, protocols=protocols) as socket:
        assert (await socket.closed()).code == 4406


async def test_one_client_has_so_many_operations_and_no_more(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        for number in range(6):
            await socket.subscribe(PROGRESS, f"{number}", user=learner)
        refused = await socket.receive()
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("5", "TOO_MANY_OPERATIONS")
        await socket.send({"type": "complete", "id": "0"})
        await socket.subscribe("{ __typename }", "5")
        await socket.data("5")


async def test_a_page_of_another_site_may_not_connect(up: running_system) -> None:
    with pytest.raises(Refused, match="403"):
        async with WebSocket(up.query_url, Origin="https://elsewhere.example"):
            pass
    async with GraphQLSocket(up.query_url, Origin=up.query_url):
        pass
    with pytest.raises(Refused, match="403"):
        async with WebSocket(f"{up.query_url}/elsewhere"):
            pass


async def test_a_stream_of_its_own_goes_on_from_the_last_event(up: running_system, learner: str) -> None:
    asked = {"query": PROGRESS, "variables": json.dumps({"user": learner, "after": 0})}
    url = f"{up.query_url}/graphql/stream"
    seen(up, learner, review(up, learner, 3))
    async with event_stream("GET", url, params=asked) as stream:
        assert await stream.first_line() == ":"
        event = await stream.next()
        assert event is not None
        assert (event.name, event.data["data"]["progressUpdated"]["summary"]) == ("next", {"reviews": 2})
        assert event.id == str(event.data["extensions"]["position"])
    review(up, learner)
    async with event_stream("GET", url, params=asked, headers={"last-event-id": event.id}) as stream:
        later = await stream.next()
        assert later is not None
        assert int(later.id) > int(event.id)
        update = later.data["data"]["progressUpdated"]
        today = datetime.now(UTC).date().isoformat()
        assert (update["changedFrom"], update["summary"]) == (today, {"reviews": 3})


async def test_a_stream_of_a_query_completes(up: running_system) -> None:
    for query, keys in (("{ __typename }", {"data", "extensions"}), ("{ nothing }", {"errors"})):
        async with event_stream("POST", f"{up.query_url}/graphql", json={"query": query}) as stream:
            events = [await stream.next(), await stream.next()]
            assert await stream.next() is None
        assert [event.name for event in events if event] == ["next", "complete"]
        assert events[0] is not None
        assert set(events[0].data) == keys


async def test_one_stream_carries_the_operations_of_a_reservation(up: running_system, learner: str) -> None:
    url = f"{up.query_url}/graphql/stream"
    async with httpx.AsyncClient(timeout=15) as http:
        reserved = await http.put(url)
        assert reserved.status_code == 201
        token = {"x-graphql-event-stream-token": reserved.text}

        async def begin(operation: str | None, query: str = PROGRESS, **variables: Any) -> httpx.Response:
            body = {"query": query, "variables": variables, "extensions": {"operationId": operation}}
            return await http.post(url, headers=token, json=body)

        early = await begin("early", "{ __typename }")
        assert (early.status_code, early.text) == (202, "")
        async with event_stream("GET", url, params={"token": reserved.text}) as stream:
            told = await _named(stream, "next")
            assert (told["id"], told["payload"]["data"]) == ("early", {"__typename": "Query"})
            assert await _named(stream, "complete") == {"id": "early"}
            assert (await begin("1", user=learner, after=0)).status_code == 202
            assert (await _named(stream, "next"))["payload"]["data"]["progressUpdated"]["summary"] == {
                "reviews": 1
            }
            assert (await begin("1", user=learner)).status_code == 409
            assert (await begin(None, user=learner)).status_code == 400
            assert (await begin("2", "{ nothing }")).status_code == 400
            assert (await http.get(url, headers={**token, "accept": "text/event-stream"})).status_code == 409
            review(up, learner)
            assert (await _named(stream, "next"))["payload"]["data"]["progressUpdated"]["summary"] == {
                "reviews": 2
            }
            assert (await http.delete(url, headers=token, params={"operationId": "1"})).status_code == 200
            assert (await begin("1", user=learner, after=0)).status_code == 202
            assert (await _named(stream, "next"))["id"] == "1"
        await until(lambda: _gone(http, url, token))
        assert (await http.post(url, json={"query": "{ __typename }"})).status_code == 406


async def _named(stream: EventStream, name: str) -> Any:
    event = await stream.next()
    assert event is not None
    assert event.name == name
    return event.data


async def _gone(http: httpx.AsyncClient, url: str, token: dict[str, str]) -> bool:
    answer = await http.post(
        url, headers=token, json={"query": "{ __typename }", "extensions": {"operationId": "9"}}
    )
    return answer.status_code == 404


async def test_two_hundred_subscribers_get_an_update_that_was_computed_once(
    up: running_system, learner: str
) -> None:
    sockets = [GraphQLSocket(up.query_url) for _ in range(200)]
    for socket in sockets:
        await socket.__aenter__()
        await socket.subscribe(PROGRESS, user=learner, after=0)
    for socket in sockets:
        assert (await socket.data())["progressUpdated"]["summary"] == {"reviews": 1}
    assert metric(up, "progress_live_clients", transport="websocket") == 200
    before = metric(up, "progress_live_payloads_computed_total", subscription="progressUpdated")
    position = review(up, learner)
    updates = [(await socket.data())["progressUpdated"] for socket in sockets]
    assert all(update["position"] >= position and update["summary"]["reviews"] == 2 for update in updates)
    computed = metric(up, "progress_live_payloads_computed_total", subscription="progressUpdated") - before
    assert computed < 20
    for socket in sockets:
        await socket.__aexit__()
    eventually(lambda: metric(up, "progress_live_clients", transport="websocket") == 0)
    assert metric(up, "progress_live_operations") == 0


async def test_news_of_many_learners_at_once_reach_everyone(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=0)
        await socket.data()
        crowd = [judged(subject=f"one of a crowd {number}") for number in range(2_500)]
        events = [text(event) for event in (*crowd, judged(subject=learner))]
        assert post(up.command_url, array(events), BATCH).status_code == 201
        assert (await socket.data())["progressUpdated"]["summary"] == {"reviews": 2}


async def test_lost_news_cost_time_and_nothing_else(up: running_system, learner: str) -> None:
    database = database_of(up.log.with_suffix(""))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'progress-query' AND query LIKE 'LISTEN%'"
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=0)
        await socket.data()
        for number in range(3):
            await asyncio.to_thread(fetch, database, cut)
            position = review(up, learner)
            update = (await socket.data(seconds=5))["progressUpdated"]
            assert (update["position"] >= position, update["summary"]) == (True, {"reviews": number + 2})


async def test_who_reads_slowly_gets_the_newest_state_and_not_every_one(
    up: running_system, learner: str
) -> None:
    """What waits for a client that does not read is one payload of each operation, however much happens."""
    async with GraphQLSocket(up.query_url, narrow=True) as socket:
        await socket.subscribe(BULKY, user=learner, after=0)
        sent = metric(up, "progress_live_payloads_sent_total")
        position = 0
        for _ in range(25):
            position = review(up, learner)
        seen(up, learner, position)
        written = metric(up, "progress_live_payloads_sent_total") - sent
        told = [0]
        while told[-1] < position:
            told.append((await socket.data())["progressUpdated"]["position"])
        assert told == sorted(set(told))
        assert len(told) - 1 <= written + 3 < 20


async def test_who_reads_nothing_for_long_is_closed(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url, narrow=True) as socket, GraphQLSocket(up.query_url) as other:
        await socket.subscribe(BULKY, user=learner, after=0)
        await other.subscribe(PROGRESS, user=learner, after=0)
        closed = metric(up, "progress_live_closed_total", code="1013")
        await _until_closed(up, other, learner, closed)
        assert (await socket.closed()).code in (1013, 1006)
        review(up, learner)
        await other.data()


async def _until_closed(up: running_system, other: GraphQLSocket, learner: str, closed: float) -> None:
    async with asyncio.timeout(30):
        while metric(up, "progress_live_closed_total", code="1013") == closed:
            review(up, learner)
            await other.data()


async def test_the_end_of_the_service_is_told_and_in_time(up: running_system, learner: str) -> None:
    [process] = children(up.process.pid, "serve", "query")
    asked = {"query": PROGRESS, "variables": json.dumps({"user": learner, "after": 0})}
    url = f"{up.query_url}/graphql/stream"
    async with (
        GraphQLSocket(up.query_url) as socket,
        event_stream("GET", url, params=asked) as stream,
        GraphQLSocket(up.query_url, narrow=True) as slow,
    ):
        await slow.subscribe(BULKY, user=learner, after=0)
        await socket.subscribe(PROGRESS, user=learner, after=0)
        await socket.data()
        assert await stream.next() is not None
        process.terminate()
        closed = await socket.closed()
        assert (closed.code, "connect again" in closed.reason) == (1001, True)
        assert await stream.next() is None
        await asyncio.to_thread(process.wait, 8)
    eventually(lambda: _serves(up), timeout=30)
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner, after=0)
        await socket.data()


def _serves(up: running_system) -> bool:
    try:
        return httpx.get(f"{up.query_url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


async def test_a_client_that_vanishes_leaves_nothing_behind(up: running_system, learner: str) -> None:
    async with GraphQLSocket(up.query_url) as socket:
        await socket.subscribe(PROGRESS, user=learner)
        await until(lambda: _operations(up, 1))
    await until(lambda: _operations(up, 0))
    with pytest.raises(Closed):
        await socket.receive()


async def _operations(up: running_system, number: int) -> bool:
    return await asyncio.to_thread(metric, up, "progress_live_operations") == number
