"""Rebuilds that are killed at any stage, swaps under live work, snapshots, events that nobody can take."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from progress_context.engine import builds, parking, shadow, snapshots, swap
from progress_context.engine import rebuild as engine
from progress_context.engine import versions as books
from progress_context.engine.active import active
from progress_context.engine.bind import EVERYONE
from progress_context.engine.catalog import load
from progress_context.engine.history import History
from progress_context.engine.maintain import Maintainer
from progress_context.engine.rebuild import Progress, abandon, bring_up, plan_for, rebuild
from progress_context.errors import BuildLost, BuildUnderWay, EngineError, EventPoisoned, LogUnavailable
from progress_context.intake.cloudevents import decode_lines
from progress_context.log.event import NewEvent
from progress_context.simulator import Simulation, events
from waiting import until
from world import Rows, World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
OWN = """\
-- name:   minutes_read
-- kind:   fold
-- grain:  learner_key, learning_day
-- update: realtime
SELECT learner_key, learning_day, sum((data->>'minutes')::int) AS minutes
FROM   events
WHERE  type = 'app.PageRead'
GROUP  BY learner_key, learning_day
"""
OF_NOBODY = """\
-- name:   minutes_read
-- kind:   fold
-- grain:  book
-- update: realtime
SELECT data->>'book' AS book, sum((data->>'minutes')::int) AS minutes
FROM   events
WHERE  type = 'app.PageRead'
GROUP  BY book
"""


@cache
def simulated() -> list[NewEvent]:
    """Seven learners for two weeks: some 1,700 events, a few of them late."""
    lines = b"\n".join(events(Simulation(learners=7, days=14, items=30, end=date(2026, 10, 31))))
    return [event for event in decode_lines(lines, now=NOON) if isinstance(event, NewEvent)]


def read(number: int, minutes: object = 5, learner: str | None = "ada") -> NewEvent:
    data = json.dumps({"minutes": minutes, "book": "Emma"})
    return NewEvent("urn:app", f"page-{number}", "app.PageRead", 1, learner, NOON, None, data)


def voiding(target: NewEvent) -> NewEvent:
    data = json.dumps({"source": target.source, "id": target.id})
    return NewEvent(
        "urn:test", f"void-{target.id}", "learning.EventVoided", 1, target.learner_id, NOON, None, data,
        voids=(target.source, target.id),
    )  # fmt: skip


@pytest.fixture
async def world(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Small chunks and pages, so that there are many."""
    monkeypatch.setattr(engine, "CHUNK_EVENTS", 30)
    monkeypatch.setattr(shadow, "PAGE", 100)
    monkeypatch.setattr(swap, "CLOSE_ENOUGH", 20)
    world = await World(database_url).open()
    yield world
    await world.close()


async def truth(world: World) -> dict[str, Rows]:
    """Every stored read model as one SELECT over all events."""
    tables: dict[str, Rows] = {}
    async with world.pool.acquire() as connection:
        head = await connection.fetchval("SELECT position FROM log.head")
        for model in world.catalog.stored():
            records = await connection.fetch(History(world.catalog, EVERYONE, str(head)).query(model.name))
            tables[model.name] = {tuple(r[c] for c in model.grain): dict(r) for r in records}
    return tables


async def spoil(world: World) -> None:
    """Lose rows of the active tables, as a disk might: only a rebuild brings them back."""
    async with world.pool.acquire() as connection:
        for version in (await active(connection)).versions.values():
            await connection.execute(
                f"DELETE FROM {version.table} WHERE ctid IN (SELECT ctid FROM {version.table} LIMIT 3)"
            )


async def ask(world: World, sql: str, *arguments: object) -> Any:
    async with world.pool.acquire() as connection:
        return await connection.fetchval(sql, *arguments)


def names(world: World) -> list[str]:
    return [model.name for model in world.catalog.stored()]


async def cancel(_connection: asyncpg.Connection) -> None:
    raise asyncio.CancelledError


async def kill_backend(connection: asyncpg.Connection) -> None:
    await connection.execute("SET ROLE NONE; SELECT pg_terminate_backend(pg_backend_pid())")


Death = Callable[[asyncpg.Connection], Awaitable[None]]
STAGES = {
    "in the second chunk": (builds, "note_chunk", 2),
    "in the fourth chunk of those that were left": (builds, "note_chunk", 4),
    "when all is filled": (builds, "note_filled", 1),
    "while catching up": (shadow.Shadow, "advance_within", 2),
    "in the first page": (shadow.Shadow, "advance", 1),
    "before the swap": (swap, "change_places", 1),
    "in the swap": (books, "activate", 1),
    "before the swap is committed": (books, "retire", 2),
}


@asynccontextmanager
async def dying(monkeypatch: pytest.MonkeyPatch, stage: str, death: Death) -> AsyncGenerator[None]:
    """Whoever comes to this stage dies there."""
    owner, name, at = STAGES[stage]
    original = getattr(owner, name)
    calls = count(1)

    async def die(*arguments: Any) -> Any:
        if next(calls) == at:
            await death(next(a for a in arguments if hasattr(a, "fetchval")))
        return await original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        yield


@pytest.mark.parametrize("death", [cancel, kill_backend])
async def test_a_rebuild_that_dies_at_every_stage_goes_on_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, death: Death
) -> None:
    history = simulated()
    half, share = len(history) // 2, len(history) // 2 // len(STAGES)
    await world.append(history[:half])
    await world.catch_up()
    await world.run_batch()
    await spoil(world)
    for number, stage in enumerate(STAGES):
        async with dying(monkeypatch, stage, death):
            with pytest.raises((LogUnavailable, asyncio.CancelledError)):
                await rebuild(world.pool, world.catalog, names(world), shards=2)
        await world.append(history[half + number * share : half + (number + 1) * share])
        await world.catch_up()
    done = await ask(world, "SELECT count(*) FROM engine.build_chunks")
    swapped_at = await rebuild(world.pool, world.catalog, names(world), shards=2)
    assert swapped_at == await ask(world, "SELECT position FROM log.head")
    assert await ask(world, "SELECT count(*) FROM engine.build_chunks") == done
    assert await ask(world, "SELECT count(*) FROM engine.builds") == 2
    await world.run_batch()
    assert await world.tables() == await truth(world)


async def test_a_process_that_is_killed_hard_is_waited_out_and_its_chunks_are_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append(simulated())
    await world.catch_up()
    await world.run_batch()
    await spoil(world)
    owner = await asyncpg.connect(world.url)
    await owner.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;"
        "CREATE TRIGGER hold BEFORE INSERT ON engine.build_chunks FOR EACH ROW WHEN (NEW.chunk = 1)"
        " EXECUTE FUNCTION hold();"
        "SELECT pg_advisory_lock(1)"
    )
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [sys.executable, "-m", "progress_context", "rebuild", "--all", "--shards", "1"],
        env={"DATABASE_URL": world.url, "PYTHONPATH": ":".join(sys.path)},
    )
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    await until(lambda: owner.fetchval(waiting), seconds=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    await owner.execute("SELECT pg_advisory_unlock(1); DROP TRIGGER hold ON engine.build_chunks")
    await owner.close()
    assert await ask(world, "SELECT array_agg(chunk) FROM engine.build_chunks") == [0]
    monkeypatch.setattr(builds, "SILENCE", 2.0)
    await rebuild(world.pool, world.catalog, names(world))
    assert await ask(world, "SELECT count(*) FROM engine.builds") == 2
    await world.run_batch()
    assert await world.tables() == await truth(world)


async def test_a_second_rebuild_of_the_same_read_models_says_so_and_stops(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append(simulated()[:300])
    await world.catch_up()
    monkeypatch.setattr(builds, "BEAT", 0.02)
    monkeypatch.setattr(engine, "LOOK_AGAIN", 0.05)
    original, reached, go_on = builds.note_filled, asyncio.Event(), asyncio.Event()

    async def wait(*arguments: Any) -> None:
        reached.set()
        await go_on.wait()
        await original(*arguments)

    monkeypatch.setattr(builds, "note_filled", wait)
    first = asyncio.create_task(rebuild(world.pool, world.catalog, ["daily_stats"]))
    await reached.wait()
    with pytest.raises(BuildUnderWay, match="active_days, daily_stats"):
        await rebuild(world.pool, world.catalog, ["streak_runs"])
    assert await abandon(world.pool) == []
    go_on.set()
    await first
    assert await ask(world, "SELECT count(*) FROM engine.versions WHERE status = 'building'") == 0


async def test_a_process_that_was_taken_over_can_commit_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append(simulated()[:300])
    await world.catch_up()
    original = builds.note_chunk

    async def late(connection: Any, build: Any, chunk: int, events_done: int) -> None:
        if chunk == 1:
            async with world.pool.acquire() as other:
                await other.execute("UPDATE engine.builds SET token = token + 1")
        await original(connection, build, chunk, events_done)

    with monkeypatch.context() as patch:
        patch.setattr(builds, "note_chunk", late)
        with pytest.raises(BuildLost):
            await rebuild(world.pool, world.catalog, names(world))
    assert await ask(world, "SELECT max(chunk) FROM engine.build_chunks") == 0
    monkeypatch.setattr(builds, "SILENCE", 0.0)
    await rebuild(world.pool, world.catalog, names(world))
    await world.run_batch()
    assert await world.tables() == await truth(world)


@pytest.mark.parametrize("stage", ["when all is filled", "while catching up", "before the swap"])
async def test_a_process_that_was_taken_over_swaps_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    async def lose(_: asyncpg.Connection) -> None:
        async with world.pool.acquire() as other:
            await other.execute("UPDATE engine.builds SET token = token + 1")

    await world.append(simulated()[:300])
    await world.catch_up()
    if stage == "while catching up":
        async with dying(monkeypatch, "when all is filled", cancel):
            with pytest.raises(asyncio.CancelledError):
                await rebuild(world.pool, world.catalog, names(world))
        await world.append(simulated()[300:600])
        await world.catch_up()
        stage = "in the first page"
    before = await world.versions()
    async with dying(monkeypatch, stage, lose):
        with pytest.raises(BuildLost):
            await rebuild(world.pool, world.catalog, names(world))
    assert await world.versions() == before


async def test_an_interrupted_rebuild_is_dropped_when_the_definition_changed_or_on_demand(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own.sql").write_text(OWN)
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    await world.append([read(n) for n in range(50)])
    await world.catch_up()
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'read'"
    before = await ask(world, tables)
    async with dying(monkeypatch, "when all is filled", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(world.pool, world.catalog, ["minutes_read"])
    assert await ask(world, tables) == before + 1
    assert await abandon(world.pool) == ["minutes_read"]
    assert await ask(world, tables) == before
    async with dying(monkeypatch, "when all is filled", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(world.pool, world.catalog, ["minutes_read"])
    (tmp_path / "own.sql").write_text(OWN.replace("sum(", "10 * sum("))
    world.catalog = load(tmp_path)
    assert await bring_up(world.pool, world.catalog) == ["minutes_read"]
    assert [row["minutes"] for row in (await world.rows("minutes_read")).values()] == [2500]
    assert await ask(world, tables) == before + 1, "the former version stays, for a rollback"


async def test_the_swap_waits_for_a_page_that_is_being_folded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.append(simulated()[:300])
    await world.catch_up()
    await world.append(simulated()[300:310])
    head = await ask(world, "SELECT position FROM log.head")
    tries: list[int] = []
    tried_twice = asyncio.Event()
    original = swap.change_places

    async def count_tries(*arguments: Any) -> int | None:
        tries.append(1)
        if len(tries) == 2:
            tried_twice.set()
        return await original(*arguments)

    monkeypatch.setattr(swap, "change_places", count_tries)
    standing = await world.versions()
    maintainer = Maintainer(books.realtime(standing), world.catalog.policy, stored=standing)
    async with world.pool.acquire() as connection:
        after = (await books.checkpoints(connection, books.realtime(standing)))[0]
        async with connection.transaction():
            await maintainer.advance_within(connection, after, head)
            rebuilding = asyncio.create_task(rebuild(world.pool, world.catalog, names(world)))
            async with asyncio.timeout(30):
                await tried_twice.wait()
            assert not rebuilding.done()
    assert await rebuilding == head
    await world.run_batch()
    assert await world.tables() == await truth(world)


@pytest.mark.parametrize("learner", ["ada", None])
async def test_an_event_that_a_read_model_cannot_take_is_named_and_nothing_is_swapped(
    world: World, tmp_path: Path, learner: str | None
) -> None:
    (tmp_path / "own.sql").write_text(OWN if learner else OF_NOBODY)
    await world.append(simulated()[:200])
    await world.append([read(n, learner=learner) for n in range(10)])
    [bad] = await world.append([read(100, "five", learner)])
    await world.append([read(n, learner=learner) for n in range(10, 20)])
    await world.catch_up()
    before = await world.versions()
    with pytest.raises(EventPoisoned) as failure:
        await rebuild(world.pool, load(tmp_path), ["minutes_read"], shards=2)
    poison = failure.value
    key = await ask(world, "SELECT learner_key FROM log.learners WHERE learner_id = $1", learner)
    named = (poison.read_model, poison.position, poison.type, poison.learner_key)
    assert named == ("minutes_read", bad.position, "app.PageRead", key)
    assert "five" in str(poison)
    assert await world.versions() == before
    assert await ask(world, "SELECT count(*) FROM engine.builds") == 1
    await world.append(simulated()[200:300])
    await world.catch_up()
    await world.run_batch()
    assert await world.tables() == await truth(world)


async def test_an_event_that_comes_while_it_catches_up_is_named_too(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own.sql").write_text(OWN)
    await world.append([read(n) for n in range(30)])
    await world.catch_up()
    async with dying(monkeypatch, "when all is filled", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(world.pool, load(tmp_path), ["minutes_read"])
    await world.append([read(100 + n) for n in range(40)])
    await world.append([read(200, "five"), read(201)])
    await world.catch_up()
    with pytest.raises(EventPoisoned, match="minutes_read cannot take the event at position 71"):
        await rebuild(world.pool, load(tmp_path), ["minutes_read"])


@pytest.fixture
async def past(world: World) -> World:
    """A snapshot in the middle; since then an event before it was voided, and a parked learner went on."""
    history = simulated()
    await world.append(history[:700])
    await world.catch_up()
    await world.run_batch()
    key = await ask(world, "SELECT max(learner_key) FROM log.learners")
    parked = await ask(world, "SELECT learner_id FROM log.learners WHERE learner_key = $1", key)
    park = "INSERT INTO engine.parked (position, learner_key, type, reason) VALUES (701, $1, 'a', 'b')"
    await ask(world, park, key)
    await world.append(history[700:900])
    await world.catch_up()
    assert await snapshots.take(world.pool, world.catalog) is not None
    await world.append(history[900:])
    judged = next(e for e in history if e.type == "learning.CorrectnessJudged" and e.learner_id != parked)
    await world.append([voiding(judged)])
    await world.catch_up()
    await world.run_batch()
    await spoil(world)
    return world


@pytest.mark.parametrize("from_snapshot", [True, None])
async def test_a_rebuild_from_a_snapshot_equals_one_from_all_events(
    past: World, from_snapshot: bool | None
) -> None:
    await rebuild(past.pool, past.catalog, ["daily_stats"], shards=2, from_snapshot=from_snapshot)
    assert await ask(past, "SELECT base_position IS NOT NULL FROM engine.builds WHERE build_id = 2")
    rebuilt = {m.name for m in (await plan_for(past.pool, past.catalog, ["daily_stats"])).selection.models}
    assert {"daily_stats", "item_progress", "streak_runs", "item_catalogue"} < rebuilt
    tables, expected = await past.tables(), await truth(past)
    assert [name for name in rebuilt if tables[name] != expected[name]] == []
    assert tables["learner_calendar"] != expected["learner_calendar"], "it was left as it was"


async def test_of_a_snapshot_only_what_is_still_defined_so_is_taken(past: World, tmp_path: Path) -> None:
    text = next(m for m in past.catalog if m.name == "daily_stats").text
    (tmp_path / "own.sql").write_text(
        text.replace("daily_stats", "doubled").replace("weight, 1,", "weight, 2,")
    )
    past.catalog = load(tmp_path)
    await rebuild(past.pool, past.catalog, names(past), from_snapshot=True)
    await past.run_batch()
    assert await past.tables() == await truth(past)


async def test_a_damaged_snapshot_is_refused_or_passed_over(past: World) -> None:
    table = await ask(
        past, "SELECT table_name FROM engine.snapshot_tables WHERE read_model = 'item_progress'"
    )
    await ask(past, f"UPDATE snapshot.{table} SET reviews = reviews + 1")
    with pytest.raises(EngineError, match="no sound snapshot"):
        await rebuild(past.pool, past.catalog, names(past), from_snapshot=True)
    await rebuild(past.pool, past.catalog, names(past))
    await past.run_batch()
    assert await past.tables() == await truth(past)


async def test_a_snapshot_that_vanishes_meanwhile_is_done_without(
    past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = builds.note_chunk

    async def throw_away(connection: Any, build: Any, chunk: int, done: int) -> None:
        await original(connection, build, chunk, done)
        if chunk == 3:
            for record in await connection.fetch("DELETE FROM engine.snapshot_tables RETURNING table_name"):
                await connection.execute(f"DROP TABLE snapshot.{record['table_name']}")

    monkeypatch.setattr(builds, "note_chunk", throw_away)
    await rebuild(past.pool, past.catalog, names(past))
    assert await ask(past, "SELECT max(chunk) FROM engine.build_chunks") > 3
    await past.run_batch()
    assert await past.tables() == await truth(past)


async def test_a_rebuild_from_all_events_does_not_go_on_with_one_from_a_snapshot(
    past: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with dying(monkeypatch, "in the second chunk", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(past.pool, past.catalog, names(past))
    await rebuild(past.pool, past.catalog, names(past), from_snapshot=False)
    assert await ask(past, "SELECT array_agg(build_id) FROM engine.builds") == [1, 3]
    await past.run_batch()
    assert await past.tables() == await truth(past)


async def test_the_bar_moves_from_nothing_to_everything(world: World) -> None:
    await world.append(simulated())
    await world.catch_up()
    seen: list[Progress] = []
    position = await rebuild(world.pool, world.catalog, names(world), shards=2, report=seen.append)
    filled = [step.done for step in seen if not step.catching_up]
    assert filled == sorted(filled)
    assert (filled[0], filled[-1], len(filled)) == (0, position, 9)
    assert {step.total for step in seen} == {position}


async def test_a_learner_who_goes_on_while_it_catches_up_is_complete(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await world.append([read(n, learner=f"l{n % 3}") for n in range(30)])
    await world.catch_up()
    (tmp_path / "own.sql").write_text(OWN)
    world.catalog = load(tmp_path)
    async with dying(monkeypatch, "when all is filled", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(world.pool, world.catalog, ["minutes_read"])
    await ask(world, "INSERT INTO engine.parked VALUES (31, 1, 'a', 'b')")
    await world.append([read(n, learner=f"l{n % 3}") for n in range(30, 330)])
    await world.catch_up()
    async with dying(monkeypatch, "before the swap", cancel):
        with pytest.raises(asyncio.CancelledError):
            await rebuild(world.pool, world.catalog, ["minutes_read"])
    assert await parking.retry(world.pool, 31, 1)
    await rebuild(world.pool, world.catalog, ["minutes_read"])
    assert await world.rows("minutes_read") == (await truth(world))["minutes_read"]
