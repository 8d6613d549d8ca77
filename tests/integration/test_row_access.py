"""Row access is decided below the planner and the resolvers: whoever goes round them meets the same wall."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from desk import NOW, Desk, desk_at, judged
from progress_context import query
from progress_context.engine.as_of import Position
from progress_context.errors import QueryError
from progress_context.log.database import acquire
from progress_context.log.profiles import Calendar
from progress_context.principal import EVERYBODY, Principal
from progress_context.query import access
from progress_context.query.compiled import compiled
from progress_context.query.documents import Documents
from progress_context.query.door import Door, RateLimits
from progress_context.query.execute import Executor
from progress_context.query.http import GraphQLHttp, HttpOptions
from progress_context.query.limits import Limits
from progress_context.query.plan import Given
from progress_context.query.question import question
from progress_context.query.snapshot import snapshot

QUERIES = Path(query.__file__).parent
ADA = Principal("learner", "ada")
COACH = Principal("coach", "carl", frozenset({"bob"}), frozenset({"class"}))
LEARNERS = ("ada", "bob", "class/cleo", "class_cleo")
SEEN = {
    "ada": (ADA, {"ada"}),
    "coach": (COACH, {"bob", "class/cleo"}),
    "all": (EVERYBODY, set(LEARNERS)),
}
SUMMARY = "query($user: ID!) { userSummary(userId: $user) { reviews } }"


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        await desk.tell(*(judged(n, learner=learner) for n, learner in enumerate(LEARNERS)))
        yield desk


def test_one_module_knows_the_table_of_learners() -> None:
    """A statement that joins it by itself would hide nobody. What operators ask says so."""
    for_operators = {"events_of_learner.sql", "events_of_type.sql", "events_latest.sql"}
    found = {
        path.name
        for path in QUERIES.rglob("*")
        if path.suffix in (".py", ".sql") and re.search(r"\blearners\b.*\blearner_id\b|log\.learners", path.read_text("utf-8"))
    }  # fmt: skip
    questions = {"learners.sql"}  # reads the relation that access gives
    assert found - for_operators - questions == {"access.py"}


async def test_a_planned_statement_finds_only_who_may_be_seen(desk: Desk) -> None:
    """The statement itself, given the id of anybody."""
    served = await desk.executor.served()
    document = Documents(served.schema, Limits()).get(SUMMARY)
    for (reader, seen), learner in product(SEEN.values(), (*LEARNERS, "nobody", "%")):
        request = compiled(document, None, served).request({"user": learner})
        assert request.plan is not None
        async with acquire(desk.pool) as connection:
            values = request.plan.values(Given(request.complete, NOW, reader.sight))
            row = await connection.fetchrow(request.plan.sql, *values)
        assert row is not None
        assert row["known"] is (learner in seen)
        assert ('"reviews":1' in (row["data"] or "")) is (learner in seen)


async def test_a_question_without_a_resolver_finds_only_who_may_be_seen(desk: Desk) -> None:
    moments = (None, Position(4))
    for (reader, seen), moment, learner in product(SEEN.values(), moments, (*LEARNERS, "nobody")):
        async with snapshot(desk.pool, await desk.executor.served(), NOW, reader) as look:
            asking = look.rows(question("summary"), {}, learner, moment)
            if learner in seen:
                [row] = await asking
                assert row["reviews"] == 1
            else:
                with pytest.raises(QueryError, match=f"'{learner}'") as refused:
                    await asking
                assert refused.value.code == "LEARNER_UNKNOWN"


async def test_what_runs_over_all_learners_finds_only_those(desk: Desk) -> None:
    for reader, seen in SEEN.values():
        async with snapshot(desk.pool, await desk.executor.served(), NOW, reader) as look:
            rows = await look.rows(question("learners"), {"search": None, "first": 500}, None, None)
        assert {row["userId"] for row in rows} == seen
        async with acquire(desk.pool) as connection:
            told = await connection.fetch(access.learners("$1"), reader.sight)
        assert {row["learner_id"] for row in told} == seen


async def test_both_executors_answer_each_the_same(desk: Desk) -> None:
    for planned, (reader, seen) in product((True, False), SEEN.values()):
        executor = Executor(
            desk.pool, desk.world.catalog, Calendar("UTC", 0), desk.positions, lambda: NOW, planned=planned
        )
        answer = await executor.answer("{ learners { userId } }", reader=reader)
        assert {each["userId"] for each in answer["data"]["learners"]} == seen
        for learner in ("ada", "bob"):
            answer = await executor.answer(SUMMARY, {"user": learner}, reader=reader)
            assert ("errors" in answer) is (learner not in seen)


async def test_every_request_of_a_batch_counts(desk: Desk) -> None:
    door = Door(limits=RateLimits(anonymous=4))
    graphql = GraphQLHttp(desk.executor, HttpOptions(batch=3), door=door)
    transport = httpx.ASGITransport(Starlette(routes=graphql.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answers = [await client.post("/graphql", json=[{"query": "{ __typename }"}] * 3) for _ in range(2)]
        answers.append(await client.post("/graphql", json={"query": "{ __typename }"}))
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=1", "r=0", "r=0"]


async def test_an_index_finds_the_learner_as_before(desk: Desk) -> None:
    async with acquire(desk.pool) as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        lines = await connection.fetch(f"EXPLAIN {access.learner('$1', '$2')}", "ada", ["ada"])
    assert "Index" in lines[0][0]
