"""The law of the plan: what PostgreSQL writes in one statement is what graphql-core says, byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from graphql import (
    REMOVE,
    ArgumentNode,
    DocumentNode,
    IntValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    Visitor,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import Mode, nodes, queries
from prometheus_client import REGISTRY

from graphql_requests import Request, requests
from progress_context.engine.batch import run_batch
from progress_context.feeding.simulated import to_log
from progress_context.log.database import open_pool
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from progress_context.query.floats import float_text
from progress_context.query.limits import Limits
from progress_context.query.positions import Positions
from progress_context.query.roots import OPERATORS
from progress_context.settings import Settings
from progress_context.simulator import Simulation
from world import World

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
LIMITS = Limits(cost=100_000, aliases=1_000)
EXAMPLES = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


SCALARS = {
    "Date": st.dates(date(2026, 1, 1), date(2026, 6, 2)).map(lambda day: nodes.String(day.isoformat())),
    "DateTime": st.datetimes(datetime(2026, 1, 1), datetime(2026, 6, 2)).map(
        lambda at: nodes.String(f"{at.isoformat(timespec='seconds')}Z")
    ),
    "Position": st.integers(0, 3_000).map(nodes.Int),
}


class Both:
    """The same read models, asked with plans and without."""

    def __init__(self, world: World, planned: Executor, stock: Executor, learners: list[str]) -> None:
        self.world = world
        self.planned = planned
        self.stock = stock
        self.learners = learners

    async def same(self, request: Request) -> bytes:
        """The answer that both give."""
        planned = await self.planned.respond(request.query, request.variables)
        stock = await self.stock.respond(request.query, request.variables)
        assert planned == stock, request
        return planned.body


@pytest.fixture(scope="module")
async def both(module_database_url: str) -> AsyncIterator[Both]:
    world = await World(module_database_url).open()
    simulation = Simulation(learners=3, days=120, end=date(2026, 5, 31), seed=11, items=120)
    await to_log(simulation, Settings(database_url=module_database_url), lambda _: None)
    await world.catch_up([5_000] * 20)
    async with world.pool.acquire() as connection:
        await run_batch(connection)
    pool = await open_pool(module_database_url, "progress_query", size=4)
    async with pool.acquire() as connection:
        learners = [
            row["learner_id"] for row in await connection.fetch("SELECT learner_id FROM log.learners")
        ]
    args = (pool, world.catalog, Calendar("Asia/Tokyo", 4), Positions(pool), lambda: NOW)
    yield Both(world, Executor(*args, limits=LIMITS), Executor(*args, limits=LIMITS, planned=False), learners)
    pool.terminate()
    await world.close()


@EXAMPLES
@given(data=st.data())
async def test_both_executors_answer_the_same_bytes(both: Both, data: st.DataObject) -> None:
    schema = (await both.planned.served()).schema
    request = data.draw(requests(schema, both.learners, sorted(both.world.catalog.models)))
    await both.same(request)


@settings(EXAMPLES, max_examples=50)
@given(data=st.data(), mode=st.sampled_from([Mode.POSITIVE, Mode.POSITIVE, Mode.NEGATIVE]))
async def test_so_they_do_for_queries_that_know_nothing_of_us(
    both: Both, data: st.DataObject, mode: Mode
) -> None:
    """Valid by the schema, or with one mistake; learners of the log in place of most of those made up."""

    def printed(document: DocumentNode) -> str:
        return print_ast(visit(document, Acquainted(both.learners, models)))

    served, models = await both.planned.served(), sorted(both.world.catalog.models)
    asked = queries(
        served.schema,
        fields=sorted(served.schema.query_type.fields.keys() - OPERATORS),  # type: ignore[union-attr]
        custom_scalars=SCALARS,
        print_ast=printed,
        allow_x00=False,
        mode=mode,
    )
    answer = await both.same(Request(str(data.draw(asked)), {}))
    event("with data" if b'"data":{' in answer else "refused")


async def test_every_field_is_planned(both: Both) -> None:
    """Each field of Query with all there is below it: no error, and no need for graphql-core."""
    schema: Any = (await both.planned.served()).schema
    planned = answers_by_plan()
    for name, definition in schema.type_map["Query"].fields.items():
        if name in OPERATORS:
            continue
        for arguments in _arguments(name, both):
            request = Request(f"{{ {name}{arguments} {_everything(definition.type)} }}", {})
            answer = msgspec.json.decode(await both.same(request))
            assert "errors" not in answer, answer
            planned += 1
            assert answers_by_plan() == planned, name


@given(st.floats(-(2.0**53), 2.0**53))
async def test_floats_are_written_as_postgresql_writes_them(both: Both, number: float) -> None:
    async with both.world.pool.acquire() as connection:
        assert float_text(number) == await connection.fetchval("SELECT $1::float8::text", number)


class Acquainted(Visitor):
    """Most arguments as who knows us would have them: learners, read models, sizes, one moment instead of three."""

    def __init__(self, learners: list[str], models: list[str]) -> None:
        super().__init__()
        self._names = {"userId": learners, "name": models}

    def enter_argument(self, node: ArgumentNode, *_: object) -> Any:
        name, value = node.name.value, node.value
        if name in self._names and isinstance(value, StringValueNode):
            known, choice = self._names[name], len(value.value)
            if choice % 4 == 3:
                return None
            return ArgumentNode(name=node.name, value=StringValueNode(value=known[choice % len(known)]))
        if name in ("first", "weeks", "months") and isinstance(value, IntValueNode):
            return ArgumentNode(name=node.name, value=IntValueNode(value=str(1 + int(value.value) % 110)))
        if name == "asOf" and isinstance(value, ObjectValueNode):
            moments = tuple(each for each in value.fields if not isinstance(each.value, NullValueNode))[:1]
            return ArgumentNode(name=node.name, value=ObjectValueNode(fields=moments)) if moments else REMOVE
        return None


def answers_by_plan() -> float:
    return REGISTRY.get_sample_value("progress_graphql_answers_total", {"executor": "planned"}) or 0


def _arguments(name: str, both: Both) -> list[str]:
    user = f'userId: "{both.learners[0]}"'
    if name == "learners":
        return ["", '(search: "1")']
    if name == "readModel":
        return [f'(name: "{model}", {user}, first: 5)' for model in both.world.catalog.models]
    if name == "categoryProgress":
        return [f"({user}, categoryType: {kind})" for kind in ("DOMAIN", "LEVEL")]
    return [f"({user})"]


def _everything(type_: Any) -> str:
    while hasattr(type_, "of_type"):
        type_ = type_.of_type
    if hasattr(type_, "types"):
        rows = (f"... on {row.name} {{ {_columns(row)} }}" for row in type_.types)
        return f"{{ __typename {' '.join(rows)} }}"
    if not hasattr(type_, "fields"):
        return ""
    return f"{{ {' '.join(f'{name} {_everything(f.type)}' for name, f in type_.fields.items())} }}"


def _columns(row: Any) -> str:
    return " ".join(f"{row.name}_{column}: {column}" for column in row.fields)
