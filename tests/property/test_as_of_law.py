"""The law of the past: what a read model showed at a moment, it shows for that moment for ever."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.compare import differences
from oracle.counted import VOID
from oracle.decoded import decode
from oracle.histories import histories
from oracle.recount import Policy as OraclePolicy
from oracle.recount import Recount, recount
from progress_context.engine import snapshots
from progress_context.engine.as_of import AsOf, HappenedBy, KnownAt, Moment, Position
from progress_context.engine.definition import Policy
from progress_context.log import read
from progress_context.log.database import Pool, open_pool
from progress_context.log.event import NewEvent, StoredEvent
from progress_context.log.profiles import Calendar
from progress_context.query.asked import as_of, asked
from world import Rows, World

HOME = Calendar("Asia/Tokyo", 3)  # of learners who name none: not the server's, so a mix-up shows
POLICY = OraclePolicy(streak_grace=True)
KNOWN_TO_THE_ORACLE = [field.name for field in fields(Recount)]
COMPUTED_WHEN_ASKED = ("accuracy", "incorrect", "average_response_time_ms")
EXAMPLES = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)

Table = tuple[str, int | None]  # a read model of a learner


@st.composite
def histories_taken_back(draw: st.DrawFn) -> list[NewEvent]:
    """A history at whose end some of its events are voided, so that snapshots within it become useless."""
    history = draw(histories())
    voidable = [event for event in history if event.learner_id is not None and event.type != VOID]
    targets = draw(st.lists(st.sampled_from(voidable), max_size=3)) if voidable else []
    return [*history, *(voiding(target, number) for number, target in enumerate(targets))]


def voiding(target: NewEvent, number: int) -> NewEvent:
    data = json.dumps({"source": target.source, "id": target.id})
    voids = (target.source, target.id)
    return NewEvent(
        "urn:void", f"v{number}", VOID, 1, target.learner_id, target.occurred_at, None, data, voids=voids
    )


def percent(of: Sequence[Any], share: int) -> int:
    return len(of) * share // 100


class Past:
    """A world that can be asked about its past, with the rights of the query service."""

    def __init__(self, world: World, pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.as_of: AsOf = as_of(world.catalog, HOME)

    async def clear(self) -> None:
        await self.world.clear()
        await snapshots.prune(self.world.pool, 0)

    async def tell(self, history: Sequence[NewEvent]) -> int:
        """Append, bring everything up to date, and return the position."""
        await self.world.append(history)
        await self.world.catch_up()
        await self.world.run_batch()
        async with self.pool.acquire() as connection:
            return await read.head(connection)

    async def learners(self) -> list[int]:
        async with self.pool.acquire() as connection:
            return [r["learner_key"] for r in await connection.fetch("SELECT learner_key FROM log.learners")]

    async def rows(self, table: Table, moment: Moment) -> Rows:
        name, learner = table
        grain = self.world.catalog[name].grain
        async with self.pool.acquire() as connection:
            records = await self.as_of.rows(connection, name, learner, moment)
        rows = {tuple(record[c] for c in grain): dict(record) for record in records}
        assert len(rows) == len(records)
        return rows

    def tables(self, learners: Sequence[int], names: Sequence[str] | None = None) -> list[Table]:
        models = [m for m in self.world.catalog if names is None or m.name in names]
        return [(m.name, learner) for m in models for learner in (learners if m.by_learner else [None])]

    async def shown_now(self) -> dict[Table, Rows]:
        """What every read model shows at the head of the log: stored rows, or computed when asked."""
        shown: dict[Table, Rows] = {}
        async with self.pool.acquire() as connection:
            at = (await self.as_of.find(connection, Position(await read.head(connection)))).at
        for model in self.world.catalog.stored():
            for grain, row in (await self.world.rows(model.name)).items():
                table = (model.name, row["learner_key"] if model.by_learner else None)
                shown.setdefault(table, {})[grain] = row
        for model in self.world.catalog:
            for learner in [] if model.stored else await self.learners():
                today = await self._today(learner, at)
                shown[model.name, learner] = await self.world.ask(model.name, learner, at, today)
        return shown

    async def _today(self, learner: int, at: datetime) -> object:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(asked(HOME, "$1::bigint", "$2"), learner, at)
            assert row is not None
            return row["today"]


@pytest.fixture(scope="module")
async def past(module_database_url: str) -> AsyncIterator[Past]:
    world = await World(module_database_url, Policy(streak_grace=True)).open()
    pool = await open_pool(module_database_url, "progress_query", size=2)
    yield Past(world, pool)
    pool.terminate()
    await world.close()


@settings(EXAMPLES, max_examples=16)
@given(
    history=histories_taken_back(),
    cuts=st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=3).map(sorted),
)
async def test_what_was_shown_at_a_position_is_shown_for_it_later(
    past: Past, history: list[NewEvent], cuts: list[tuple[int, bool]]
) -> None:
    await past.clear()
    shown: dict[int, dict[Table, Rows]] = {}
    told = 0
    for share, with_snapshot in [*cuts, (100, False)]:
        upto = percent(history, share)
        position = await past.tell(history[told:upto])
        told = upto
        shown[position] = await past.shown_now()
        if with_snapshot:
            taken = await snapshots.take(past.world.pool, past.world.catalog)
            assert (taken is None) == (position == 0)
    for position, tables in shown.items():
        for table in past.tables(await past.learners()):
            assert await past.rows(table, Position(position)) == tables.get(table, {}), (position, table)


@settings(EXAMPLES, max_examples=8)
@given(history=histories_taken_back(), share=st.integers(0, 99), of=st.integers(0, 5))
async def test_at_every_position_the_rows_equal_a_recount_of_the_events_up_to_it(
    past: Past, history: list[NewEvent], share: int, of: int
) -> None:
    cut = percent(history, share)
    await past.clear()
    await past.tell(history[:cut])
    await snapshots.take(past.world.pool, past.world.catalog)
    await past.tell(history[cut:])
    learners = await past.learners()
    tables = past.tables(learners[of : of + 1] or learners[:1], KNOWN_TO_THE_ORACLE)
    log = await past.world.events()
    for position in range(len(log) + 1):
        assert await wrong(past, tables, Position(position), log[:position]) == [], position


@settings(EXAMPLES, max_examples=16)
@given(history=histories_taken_back(), share=st.integers(0, 99), chosen=st.integers(0, 60))
async def test_what_had_happened_is_a_recount_of_what_is_known_now(
    past: Past, history: list[NewEvent], share: int, chosen: int
) -> None:
    cut = percent(history, share)
    await past.clear()
    await past.tell(history[:cut])
    await snapshots.take(past.world.pool, past.world.catalog)
    await past.tell(history[cut:])
    log = await past.world.events()
    if log:
        moment = log[chosen % len(log)].occurred_at
        happened = [event for event in log if event.occurred_at <= moment or event.type == VOID]
        tables = past.tables(await past.learners(), KNOWN_TO_THE_ORACLE)
        assert await wrong(past, tables, HappenedBy(moment), happened) == []


@settings(EXAMPLES, max_examples=16)
@given(history=histories_taken_back(), share=st.integers(0, 99))
async def test_what_was_known_is_what_had_been_recorded(
    past: Past, history: list[NewEvent], share: int
) -> None:
    cut = percent(history, share)
    await past.clear()
    await past.tell(history[:cut])
    await past.tell(history[cut:])
    log = await past.world.events()
    for position in {1, cut, len(log)} & {event.position for event in log}:
        moment = log[position - 1].recorded_at
        known = [event for event in log if event.recorded_at <= moment]
        tables = past.tables(await past.learners(), ["daily_stats", "item_catalogue"])
        assert await wrong(past, tables, KnownAt(moment), known) == []


async def wrong(past: Past, tables: Sequence[Table], moment: Moment, log: Sequence[StoredEvent]) -> list[str]:
    """Where the rows at a moment differ from a recount of `log`."""
    truth = recount(log, POLICY)
    found: list[str] = []
    for name, learner in tables:
        expected: dict[Any, Any] = getattr(truth, name)
        if learner is not None:
            expected = {grain: row for grain, row in expected.items() if grain[0] == learner}
        rows = decode(name, await past.rows((name, learner), moment), POLICY)
        found += [f"{name} {text}" for text in differences(expected, rows, leave_out=COMPUTED_WHEN_ASKED)]
    return found
