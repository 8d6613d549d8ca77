"""`system` and `events`: how everything stands and what the log holds, through the API, for operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from desk import NOW, Desk, desk_at, event, judged
from progress_context.engine.health import standing
from progress_context.log.database import connect
from progress_context.log.dead_letters import DeadLetter, bury
from progress_context.principal import Principal, Role

TRACE = "0af7651916cd43dd8448eb211c80319c"
SYSTEM = """{ system {
  at healthy problems { code message } head recordedAt appendRate workers
  readModels { name update version position movedAt lagEvents lagSeconds } shards { shard position lagEvents }
  leases { name holder held } builds { build } snapshots { count damaged position takenAt }
  relays { topic } newsLagEvents parkedCount parked { position userId type reason attempts parkedAt }
  deadLetterCount deadLetters { letter subscription code path attempts size messageId firstSeenAt lastSeenAt }
} }"""
EVENTS = """query ($userId: ID, $type: String, $before: Position, $recordedBy: DateTime, $first: Int) {
  events(userId: $userId, type: $type, before: $before, recordedBy: $recordedBy, first: $first) {
    position source id type version userId occurredAt learningDay recordedAt data context traceId voided
  }
}"""


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        yield desk


async def positions(desk: Desk, **which: Any) -> list[int]:
    return [each["position"] for each in (await desk.ask(EVENTS, **which))["events"]]


async def test_the_system_is_what_status_says(desk: Desk) -> None:
    await desk.tell(judged(1), judged(2))
    await desk.world.append([judged(3)])
    system = (await desk.ask(SYSTEM))["system"]
    connection = await connect(desk.world.url, "progress_query")
    now = await standing(connection)
    await connection.close()
    assert system["head"] == 3
    assert system["workers"] == now.workers
    found = [
        (m["name"], m["update"], m["version"], m["position"], m["lagEvents"]) for m in system["readModels"]
    ]
    assert found == [(m.name, m.update, m.version, m.position, m.lag_events) for m in now.read_models]
    assert {model["lagEvents"] for model in system["readModels"] if model["update"] == "realtime"} == {1}
    assert system["shards"] == [{"shard": 0, "position": 2, "lagEvents": 1}]
    assert system["appendRate"] == pytest.approx(3 / 60)
    assert not system["healthy"]
    assert "no-worker" in [problem["code"] for problem in system["problems"]]


async def test_what_waits_is_listed_without_what_it_holds(desk: Desk) -> None:
    await desk.tell(judged(1))
    connection = await connect(desk.world.url)
    letter = DeadLetter(
        channel="pull", subscription="projects/p/subscriptions/s", message_id="m1", ordering_key="", published_at=None,
        wrapped=False, attributes={}, payload=b"secret", code="invalid_event", path="data.item_id", reason="secret",
    )  # fmt: skip
    await bury(connection, [letter])
    await connection.execute(
        "INSERT INTO engine.parked (position, learner_key, type, reason)"
        " SELECT position, learner_key, type, 'too large' FROM log.events"
    )
    await connection.close()
    system = (await desk.ask(SYSTEM))["system"]
    [waiting], [parked] = system["deadLetters"], system["parked"]
    assert (system["deadLetterCount"], waiting["code"], waiting["path"]) == (
        1,
        "invalid_event",
        "data.item_id",
    )
    assert "secret" not in str(system)
    assert system["parkedCount"] == 1
    assert (parked["position"], parked["userId"], parked["reason"]) == (1, "ada", "too large")
    assert {"events-parked", "dead-letters"} <= {problem["code"] for problem in system["problems"]}


async def test_events_come_the_latest_first_and_page_by_position(desk: Desk) -> None:
    await desk.tell(*(judged(number, learner=f"l{number % 2}") for number in range(1, 8)))
    assert await positions(desk, first=3) == [7, 6, 5]
    assert await positions(desk, first=3, before=5) == [4, 3, 2]
    assert await positions(desk, userId="l0") == [6, 4, 2]
    assert await positions(desk, userId="l0", before=6, first=1) == [4]
    assert await positions(desk, userId="nobody") == []
    assert await positions(desk, first=0) == []


async def test_events_are_found_by_type_with_and_without_a_learner(desk: Desk) -> None:
    started = event(9, "learning.SessionStarted", {"session_id": "s"})
    await desk.tell(judged(1), started, judged(2, learner="bob"))
    assert await positions(desk, type="learning.SessionStarted") == [2]
    assert await positions(desk, type="learning.CorrectnessJudged") == [3, 1]
    assert await positions(desk, type="learning.CorrectnessJudged", userId="ada") == [1]


async def test_events_are_found_by_when_they_were_recorded(desk: Desk) -> None:
    await desk.tell(judged(1))
    await desk.tell(judged(2))
    second, first = (await desk.ask(EVENTS))["events"]
    assert await positions(desk, recordedBy=first["recordedAt"]) == [1]
    assert await positions(desk, recordedBy=second["recordedAt"], before=2) == [1]
    assert await positions(desk, recordedBy="2020-01-01T00:00:00Z") == []


async def test_an_event_tells_all_of_itself(desk: Desk) -> None:
    context = f'{{"traceparent": "00-{TRACE}-b7ad6b7169203331-01"}}'
    told = judged(1, at=NOW - timedelta(hours=1), context=context)
    taken_back = event(
        2, "learning.EventVoided", {"source": "urn:test", "id": "e1"}, voids=("urn:test", "e1")
    )
    await desk.tell(told, taken_back)
    later, earlier = (await desk.ask(EVENTS))["events"]
    assert earlier["data"] == {"item_id": "apple", "judgment": "AutoConfirmed", "response_time_ms": 1001}
    assert earlier | {"data": None, "recordedAt": None} == {
        "position": 1, "source": "urn:test", "id": "e1", "type": "learning.CorrectnessJudged", "version": 1,
        "userId": "ada", "occurredAt": "2026-11-23T11:00:00Z", "learningDay": "2026-11-23", "recordedAt": None,
        "data": None, "context": {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}, "traceId": TRACE, "voided": True,
    }  # fmt: skip
    assert (later["voided"], later["traceId"]) == (False, None)


async def test_a_page_of_events_has_its_limits(desk: Desk) -> None:
    await desk.tell(judged(1))
    code, message = await desk.refused("{ events(first: 501) { position } }")
    assert (code, "0 to 500" in message) == ("BAD_USER_INPUT", True)


@pytest.mark.parametrize("role", ["learner", "coach", "service"])
@pytest.mark.parametrize("query", ["{ system { head } }", "{ events { position } }"])
async def test_only_operators_may_ask(desk: Desk, query: str, role: Role) -> None:
    await desk.tell(judged(1))
    answer = await desk.executor.answer(query, reader=Principal(role, "ada", learners=frozenset({"ada"})))
    assert answer["data"] is None
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_every_look_is_a_new_one(desk: Desk) -> None:
    await desk.tell(judged(1))
    assert (await desk.ask("{ system { head } events { position } }"))["system"]["head"] == 1
    await desk.tell(judged(2))
    answer = await desk.ask("{ system { head } events { position } }")
    assert (answer["system"]["head"], len(answer["events"])) == (2, 2)
