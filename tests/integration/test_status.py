"""`status`: what it sees, what it calls ill, with services or with the database alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from rich.console import Console
from tests.conftest import answers

from ports import free_port
from progress_context.commands.status import Inside, Service, judged, look_inside
from progress_context.commands.status_screen import screen
from progress_context.engine import health, snapshots
from progress_context.engine.health import Edges, Standing
from progress_context.engine.leases import Leases
from progress_context.engine.shards import reshard
from progress_context.engine.standing_metrics import FRESH_SECONDS, StandingMetrics
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.log.database import Role, connect, open_pool
from progress_context.log.event import NewEvent
from waiting import eventually, until
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BATCH_SECONDS = 300.0


def reviewed(number: int) -> NewEvent:
    data = f'{{"item_id":"i{number % 11}","judgment":"AutoConfirmed"}}'
    at = NOON + timedelta(minutes=number)
    return NewEvent("urn:t", f"e{number}", "learning.CorrectnessJudged", 1, f"l{number % 7}", at, None, data)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


async def stands(world: World, role: Role | None = "progress_query") -> Standing:
    connection = await connect(world.url, role)
    try:
        return await health.standing(connection)
    finally:
        await connection.close()


async def edges(world: World, role: Role | None = "progress_query") -> Edges:
    connection = await connect(world.url, role)
    try:
        return await health.edges(connection)
    finally:
        await connection.close()


async def as_owner(world: World, *statements: str) -> None:
    connection = await asyncpg.connect(world.url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def codes(now: Standing) -> set[str]:
    return {problem.code for problem in health.problems(now, BATCH_SECONDS)}


def shown(inside: Inside, services: list[Service] | None = None) -> str:
    """The screen as text."""
    console = Console(width=160)
    with console.capture() as capture:
        console.print(screen(judged(inside, services, None, BATCH_SECONDS)))
    return capture.get()


async def test_lag_is_the_age_of_the_oldest_event_that_is_lacking(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    await world.catch_up()
    before = await stands(world)
    assert {
        m.name: (m.position, m.lag_events, m.lag_seconds)
        for m in before.read_models
        if m.update == "realtime"
    } == {model.name: (30, 0, 0.0) for model in world.catalog.stored() if model.update == "realtime"}
    await world.append([reviewed(n) for n in range(30, 40)])
    await world.append([reviewed(n) for n in range(40, 45)])
    now = await stands(world)
    (daily,) = [m for m in now.read_models if m.name == "daily_stats"]
    oldest = (await world.events())[30].recorded_at
    assert (now.head, daily.position, daily.lag_events) == (45, 30, 15)
    assert daily.lag_seconds == pytest.approx((now.at - oldest).total_seconds(), abs=0.001)
    assert daily.version == world.catalog["daily_stats"].fingerprint[:6]
    assert [(s.shard, s.lag_events) for s in now.shards] == [(0, 15)]


async def test_a_read_model_is_where_its_slowest_shard_is(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    await world.catch_up()
    await reshard(world.pool, 2)
    behind = "UPDATE engine.checkpoints SET position = 10 WHERE shard = 1"
    await as_owner(world, behind)
    now = await stands(world)
    assert [(shard.position, shard.lag_events) for shard in now.shards] == [(30, 0), (10, 20)]
    (daily,) = [m for m in now.read_models if m.name == "daily_stats"]
    assert (daily.position, daily.lag_events) == (10, 20)


async def test_old_lag_and_much_lag_are_problems_of_realtime_read_models(world: World) -> None:
    await world.append([reviewed(n) for n in range(3)])
    assert codes(await stands(world)) == {"no-worker"}
    now = await stands(world)
    late = [model_with(m, lag_seconds=5.1 if m.update == "realtime" else 300.0) for m in now.read_models]
    assert codes(standing_with(now, read_models=late)) == {"no-worker", "lag-seconds"}
    many = [model_with(m, lag_events=1_001) for m in now.read_models]
    assert codes(standing_with(now, read_models=many)) == {"no-worker", "lag-events"}
    batches = [model_with(m, lag_seconds=901.0) for m in now.read_models if m.update == "batch"]
    assert codes(standing_with(now, read_models=batches)) == {"no-worker", "batch-lag"}
    assert codes(standing_with(now, read_models=[])) == {"no-worker", "read-models-missing"}


def model_with(model: health.ReadModel, **changes: Any) -> health.ReadModel:
    return health.ReadModel(**{name: getattr(model, name) for name in model.__struct_fields__} | changes)


def standing_with(now: Standing, **changes: Any) -> Standing:
    return Standing(**{name: getattr(now, name) for name in now.__struct_fields__} | changes)


async def test_a_shard_that_nobody_holds_is_a_problem(world: World) -> None:
    async def work(_token: int) -> None:
        await until(never, seconds=60)

    async def never() -> bool:
        return False

    leases = Leases(
        world.pool, shared={"shard 0": work, "shard 1": work}, single={"batch": work}, worker="me"
    )
    holding = asyncio.create_task(leases.run())
    try:

        async def all_held() -> bool:
            return not codes(await stands(world))

        await until(all_held)
        now = await stands(world)
        assert {lease.name: lease.holder for lease in now.leases} == {
            "shard 0": "me",
            "shard 1": "me",
            "batch": "me",
        }
        assert now.workers == 1
        await as_owner(world, "UPDATE engine.leases SET expires_at = now() WHERE name = 'shard 1'")
        assert "shard 1" in health.problems(await stands(world), BATCH_SECONDS)[0].message
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)
    assert codes(await stands(world)) == {"no-worker"}


async def test_what_is_parked_damaged_refused_or_dead_is_a_problem(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    await world.catch_up()
    taken = await snapshots.take(world.pool, world.catalog)
    sound = await stands(world)
    assert (sound.snapshots.count, sound.snapshots.damaged, sound.snapshots.position) == (1, 0, 30)
    await as_owner(
        world,
        "INSERT INTO engine.parked (position, learner_key, type, reason) VALUES (7, 1, 'a', 'b')",
        f"UPDATE engine.snapshot_tables SET damaged_at = now() WHERE snapshot_id = {taken}",
        "INSERT INTO ops.relays (topic, position) VALUES ('events', 20)",
        "INSERT INTO ops.unpublished (topic, position, type, reason) VALUES ('events', 9, 'a', 'too large')",
        "INSERT INTO ops.dead_letters (channel, subscription, message_id, code, path, reason, ordering_key, wrapped,"
        " size, attributes, payload) VALUES ('pull', 's', 'm', 'c', '', 'r', '', false, 1, '{}', 'x')",
    )
    now = await stands(world)
    assert codes(now) == {"no-worker", "events-parked", "snapshot-damaged"}
    assert (now.snapshots.position, now.parked.count) == (None, 1)
    for role in ("progress_query", "progress_projection", None):
        outside = await edges(world, role)
        assert [(r.topic, r.lag_events, r.unpublished, r.held) for r in outside.relays] == [
            ("events", 10, 1, False)
        ]
        assert outside.dead_letters.count == 1
        assert {p.code for p in health.problems_at_edges(outside)} <= {
            "relay-lag",
            "unpublished",
            "dead-letters",
        }
        assert {p.code for p in health.problems_at_edges(outside)} >= {"unpublished", "dead-letters"}
    text = shown(await look_inside(world.url))
    for part in (
        "events-parked",
        "snapshot-damaged",
        "unpublished",
        "dead-letters",
        "relay        events at 20",
    ):
        assert part in text


async def test_a_rebuild_that_was_left_is_shown_as_left(world: World) -> None:
    await world.append([reviewed(n) for n in range(100)])
    await world.catch_up()
    await as_owner(
        world,
        "INSERT INTO engine.builds (kind, upto, last_learner, chunk_learners, beat_at) VALUES ('rebuild', 100, 7, 2, '-infinity')",
        "INSERT INTO engine.versions (read_model, fingerprint, table_name, status, definition, build_id)"
        " SELECT 'daily_stats', 'f', 'daily_stats__x', 'building', '', max(build_id) FROM engine.builds",
        "INSERT INTO engine.checkpoints (version_id, position) SELECT max(version_id), 0 FROM engine.versions",
        "INSERT INTO engine.build_chunks SELECT max(build_id), 1, 40 FROM engine.builds",
        "INSERT INTO engine.build_chunks SELECT max(build_id), 2, 10 FROM engine.builds",
    )
    (build,) = (await stands(world)).builds
    assert (build.done, build.total, build.alive, build.catching_up) == (50, 100, False, False)
    assert build.read_models == ["daily_stats"]
    assert "50% filling, 50 of 100 events, no process is at it: daily_stats" in shown(
        await look_inside(world.url)
    )


async def test_the_append_rate_is_that_of_the_last_minute(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    connection = await connect(world.url)
    try:
        assert await health.append_rate(connection, await health.standing(connection)) == 0.5
    finally:
        await connection.close()


async def test_metrics_are_read_once_a_second_and_end_with_the_database(world: World) -> None:
    moment = 0.0
    pool = await open_pool(world.url, "progress_query", size=1)
    figures = StandingMetrics(pool, clock=lambda: moment)

    def head() -> float | None:
        found = {f.name: [s.value for s in f.samples] for f in figures.collect()}
        return found["progress_log_position"][0] if found["progress_database_up"] == [1.0] else None

    await figures.refresh()
    assert head() == 0
    await world.append([reviewed(1)])
    await figures.refresh()
    assert head() == 0
    moment += FRESH_SECONDS
    await figures.refresh()
    assert head() == 1
    pool.terminate()
    moment += FRESH_SECONDS
    await figures.refresh()
    assert head() is None
    assert {f.name for f in figures.collect()} == {"progress_database_up"}


def environment(url: str, **more: str) -> dict[str, str]:
    ports = {f"PROGRESS_{name}_PORT": str(free_port()) for name in ("COMMAND", "QUERY", "PROJECTION")}
    return {**os.environ, **ports, "DATABASE_URL": url, "COLUMNS": "160", **more}


def status(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "progress_context", "status", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def begun(*arguments: str, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "progress_context", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


async def test_with_the_services_down_the_database_tells_and_the_exit_code_is_one(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    await world.catch_up()
    env = environment(world.url)
    done = status(env=env)
    assert done.returncode == 1
    assert "service-down  progress-query-service: no answer" in done.stdout
    assert "position 30" in done.stdout
    assert "daily_stats" in done.stdout
    told = json.loads(status("--json", env=env).stdout)
    assert [(s["name"], s["state"]) for s in told["services"]] == [
        ("command", "no answer"), ("projection", "no answer"), ("query", "no answer"),
    ]  # fmt: skip
    assert {p["code"] for p in told["problems"]} == {"service-down", "no-worker"}
    assert told["standing"]["head"] == 30
    assert told["rates"]["daily_stats"] == 0.0
    assert set(told) == {"healthy", "problems", "services", "append_rate", "rates", "standing", "edges"}


async def test_a_worker_at_work_is_healthy_without_asking_services(world: World) -> None:
    await world.append([reviewed(n) for n in range(30)])
    port = free_port()
    env = environment(world.url, PROGRESS_PROJECTION_PORT=str(port))
    serving = begun("serve", "projection", env=env)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/readyz"), timeout=40)
        eventually(lambda: status("--no-services", env=env).returncode == 0, timeout=40)
        told = json.loads(status("--no-services", "--json", env=env).stdout)
        assert (told["healthy"], told["problems"], told["services"]) == (True, [], None)
        assert told["standing"]["workers"] == 1
        asked = json.loads(status("--json", env=env).stdout)
        assert {s["name"]: s["state"] for s in asked["services"]}["projection"] == "ready"
    finally:
        serving.terminate()
        serving.communicate(timeout=20)


def test_a_database_that_is_away_is_the_problem() -> None:
    env = environment(f"postgresql://nobody:geheim@127.0.0.1:{free_port()}/progress")
    done = status("--json", env=env)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert {p["code"] for p in told["problems"]} == {"service-down", "database-down"}
    assert told["standing"] is None
    assert "geheim" not in done.stdout + done.stderr


def test_a_database_without_our_schema_is_told(postgres: EmbeddedPostgres) -> None:
    done = status("--no-services", env=environment(postgres.url))
    assert done.returncode == 1
    assert "database-down" in done.stdout
    assert "progress-context migrate" in done.stdout
    assert done.stderr == ""


async def test_watching_goes_on_until_ctrl_c_and_shows_rates(world: World) -> None:
    env = environment(world.url)
    watching = begun("status", "--watch", "--json", "--every", "0.2", "--no-services", env=env)
    assert watching.stdout is not None
    first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
    watching.send_signal(signal.SIGINT)
    _, complaints = watching.communicate(timeout=20)
    assert (watching.returncode, complaints) == (0, "")
    assert (first["rates"], second["rates"]["daily_stats"]) == ({}, 0.0)


@pytest.mark.parametrize("arguments", [("--every", "0"), ("--every", "soon"), ("--nonsense",)])
def test_wrong_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    done = status(*arguments, env=environment("postgresql://nobody@127.0.0.1:9/none"))
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
