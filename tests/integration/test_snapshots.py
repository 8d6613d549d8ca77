"""Snapshots on a real database: taken beside live work, trusted only while sound, thrown away without harm."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from progress_context.cli import app
from progress_context.engine import snapshots
from progress_context.engine import versions as books
from progress_context.engine.as_of import Answer, HappenedBy, KnownAt, Moment, Position
from progress_context.engine.bind import Scope
from progress_context.engine.catalog import load
from progress_context.engine.history import History
from progress_context.engine.maintain import Maintainer
from progress_context.engine.rebuild import bring_up
from progress_context.engine.shards import reshard
from progress_context.engine.snapshots import SnapshotKeeper, copied, newest, newest_sound, prune, surplus
from progress_context.engine.snapshots import take as take_snapshot
from progress_context.errors import EngineError, LogUnavailable, ProgressError, QueryError, SettingsError
from progress_context.log.database import open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar
from progress_context.query.asked import as_of
from world import World

SEQ_SCAN = re.compile(r"Seq Scan on (\w+)")
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
DAILY_REVIEWS = """\
-- name:   reviews_by_hour
-- kind:   fold
-- grain:  learner_key, hour
-- update: realtime
SELECT learner_key, extract(hour FROM occurred_at)::int AS hour, count(*) AS reviews
FROM   events
WHERE  type = 'learning.CorrectnessJudged'
GROUP  BY learner_key, hour
"""


def judged(number: int, *, learner: str = "ada", day: int = 0) -> NewEvent:
    data = json.dumps({"item_id": f"i{number % 7}", "judgment": "AutoConfirmed", "session_id": f"s{day}"})
    at = NOON + timedelta(days=day, minutes=number)
    return NewEvent(
        "urn:test", f"{learner}-{number}", "learning.CorrectnessJudged", 1, learner, at, None, data
    )


def voiding(number: int, target: NewEvent) -> NewEvent:
    data = json.dumps({"source": target.source, "id": target.id})
    return NewEvent(
        "urn:test", f"void-{number}", "learning.EventVoided", 1, target.learner_id, NOON, None, data,
        voids=(target.source, target.id),
    )  # fmt: skip


def published(number: int, spelling: str) -> NewEvent:
    data = json.dumps({"item_id": f"i{number % 7}", "spelling": spelling, "level": "A1"})
    return NewEvent("urn:v", f"v{number}", "vocabulary.ItemPublished", 1, None, NOON, None, data)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


async def told(world: World, events: Sequence[NewEvent]) -> None:
    """Append and fold."""
    await world.append(events)
    await world.catch_up()


async def take(world: World) -> int:
    snapshot_id = await take_snapshot(world.pool, world.catalog)
    assert snapshot_id is not None
    return snapshot_id


async def asked(world: World, name: str, moment: Moment, *, learner: int = 1) -> Answer:
    past = as_of(world.catalog, Calendar("UTC", 0))
    async with world.pool.acquire() as connection:
        point = await past.find(connection, moment)
        return await past.answer(connection, f"SELECT * FROM {name}", [name], learner, point)


async def reviews(world: World, position: int, *, learner: int = 1) -> tuple[int, int | None]:
    """How many reviews a learner had at a position, and the position of the snapshot that was used."""
    answer = await asked(world, "daily_stats", Position(position), learner=learner)
    return sum(int(row["reviews"]) for row in answer.rows), answer.snapshot


async def execute(world: World, sql: str, *arguments: object) -> list[asyncpg.Record]:
    async with world.pool.acquire() as connection:
        return await connection.fetch(sql, *arguments)


async def tables(world: World) -> list[str]:
    rows = await execute(world, "SELECT tablename FROM pg_tables WHERE schemaname = 'snapshot' ORDER BY 1")
    return [row["tablename"] for row in rows]


# --- taking


async def test_a_snapshot_holds_what_is_kept_by_changes_as_it_was(world: World) -> None:
    await told(world, [published(0, "apple"), *(judged(i, day=i % 3) for i in range(20))])
    then = await world.tables()
    snapshot_id = await take(world)
    await told(world, [judged(i) for i in range(20, 30)])
    async with world.pool.acquire() as connection:
        base = await newest(connection, world.catalog, 100)
        assert base is not None
        assert (base.snapshot_id, base.position) == (snapshot_id, 21)
        assert set(base.versions) == {model.name for model in copied(world.catalog)}
        for name, version in base.versions.items():
            grain = world.catalog[name].grain
            records = await connection.fetch(f"SELECT * FROM {version.table}")
            assert {tuple(record[c] for c in grain): dict(record) for record in records} == then[name]
    assert {"item_progress", "sessions", "daily_stats", "item_catalogue", "active_days"} <= set(base.versions)
    assert not {"streak_runs", "weekly_totals", "level_items", "streak"} & set(base.versions)


async def test_live_work_goes_on_while_a_snapshot_is_being_taken(world: World) -> None:
    await told(world, [judged(i) for i in range(10)])
    async with (
        world.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        await snapshots.take_within(connection, world.catalog)
        await told(world, [judged(i) for i in range(10, 20)])  # would wait for ever behind a lock
        [row] = (await world.rows("daily_stats")).values()
        assert row["reviews"] == 20
    assert await reviews(world, 15) == (15, 10)


async def test_a_snapshot_that_was_interrupted_leaves_nothing(world: World) -> None:
    await told(world, [judged(i) for i in range(10)])
    with suppress(asyncio.CancelledError):
        async with (
            world.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            await snapshots.take_within(connection, world.catalog)
            raise asyncio.CancelledError
    assert await tables(world) == []
    assert await reviews(world, 10) == (10, None)


async def test_an_empty_log_gives_no_snapshot(world: World) -> None:
    assert await take_snapshot(world.pool, world.catalog) is None
    assert await tables(world) == []


async def test_shards_that_are_apart_give_none_and_together_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PAUSE", 0.0)
    await reshard(world.pool, 2)
    await world.append([judged(i, learner=f"l{i % 4}") for i in range(20)])
    versions = await world.versions()
    shards = [
        Maintainer(books.realtime(versions), world.catalog.policy, stored=versions, shard=shard, shards=2)
        for shard in range(2)
    ]
    async with world.pool.acquire() as connection:
        await shards[0].advance(connection, 0, 20)
    with capture_logs() as logs:
        assert await take_snapshot(world.pool, world.catalog) is None
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("snapshot_skipped", "warning")]
    assert "0, 20" in logs[0]["reason"]
    async with world.pool.acquire() as connection:
        await shards[1].advance(connection, 0, 20)
    await take(world)
    assert await reviews(world, 20) == (5, 20)


# --- using


async def test_the_newest_snapshot_before_a_position_serves_it(world: World) -> None:
    for part in range(3):
        await told(world, [judged(i) for i in range(part * 10, part * 10 + 10)])
        await take(world)
    found = [await reviews(world, position) for position in (9, 10, 15, 20, 29, 30)]
    assert found == [(9, None), (10, 10), (15, 10), (20, 20), (29, 20), (30, 30)]


async def test_a_snapshot_from_before_a_voided_event_is_used_and_one_from_after_it_is_not(
    world: World,
) -> None:
    events = [judged(i) for i in range(20)]
    for part in range(2):
        await told(world, [*events[part * 10 : part * 10 + 10], judged(part, learner="bob")])
        await take(world)  # at positions 11 and 22
    await told(world, [voiding(0, events[15])])
    assert await reviews(world, 22) == (20, 22)
    assert await reviews(world, 23) == (19, 11)
    await told(world, [voiding(1, events[5])])
    assert await reviews(world, 24) == (18, None)
    assert await reviews(world, 24, learner=2) == (2, 22)


async def test_rows_of_a_parked_learner_are_not_taken_from_a_snapshot(world: World) -> None:
    await told(world, [judged(i, learner=f"l{i % 2}") for i in range(10)])
    await execute(
        world, "INSERT INTO engine.parked (position, learner_key, type, reason) VALUES (10, 2, 'x', 'y')"
    )
    await told(world, [judged(i, learner=f"l{i % 2}") for i in range(10, 20)])
    await take(world)
    assert await reviews(world, 20, learner=1) == (10, 20)
    assert await reviews(world, 20, learner=2) == (10, None)


async def test_no_snapshot_is_taken_while_an_event_of_no_learner_is_parked(world: World) -> None:
    await told(world, [judged(1)])
    await execute(world, "INSERT INTO engine.parked (position, type, reason) VALUES (1, 'x', 'y')")
    with capture_logs() as logs:
        assert await take_snapshot(world.pool, world.catalog) is None
    assert [entry["event"] for entry in logs] == ["snapshot_skipped"]


async def test_a_new_read_model_is_computed_from_the_events_until_a_snapshot_holds_it(
    world: World, tmp_path: Path
) -> None:
    await told(world, [judged(i) for i in range(10)])
    await take(world)
    (tmp_path / "reviews_by_hour.sql").write_text(DAILY_REVIEWS)
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    answer = await asked(world, "reviews_by_hour", Position(10))
    assert [row["reviews"] for row in answer.rows] == [10]
    assert await reviews(world, 10) == (10, 10)


async def test_a_snapshot_dropped_between_choosing_and_reading_costs_time_only(world: World) -> None:
    await told(world, [judged(i) for i in range(10)])
    await take(world)
    await execute(world, "DROP TABLE snapshot.daily_stats__1")
    past = as_of(world.catalog, Calendar("UTC", 0))
    async with (
        world.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        rows = await past.rows(connection, "daily_stats", 1, Position(10))
        assert [row["reviews"] for row in rows] == [10]
        assert await connection.fetchval("SELECT 1") == 1


async def test_the_query_service_may_ask_about_the_past(world: World, database_url: str) -> None:
    await told(world, [judged(i) for i in range(10)])
    await take(world)
    pool = await open_pool(database_url, "progress_query", size=1)
    past = as_of(world.catalog, Calendar("UTC", 0))
    async with pool.acquire() as connection:
        for moment in (Position(10), Position(5), KnownAt(datetime.now(UTC)), HappenedBy(NOON)):
            for model in world.catalog:
                await past.rows(connection, model.name, 1 if model.by_learner else None, moment)
    pool.terminate()


async def test_moments_are_found_in_the_log(world: World) -> None:
    await told(world, [judged(0)])
    await told(world, [judged(1)])
    past = as_of(world.catalog, Calendar("UTC", 0))
    recorded = [event.recorded_at for event in await world.events()]
    instant = timedelta(microseconds=1)
    async with world.pool.acquire() as connection:
        found = [
            (await past.find(connection, moment)).position
            for moment in (
                KnownAt(recorded[0] - instant),
                KnownAt(recorded[0]),
                KnownAt(recorded[1] - instant),
                KnownAt(recorded[1] + timedelta(days=1)),
                HappenedBy(NOON - timedelta(days=9)),
                Position(0),
            )
        ]
        assert found == [0, 1, 1, 2, 2, 0]
        assert (await past.find(connection, Position(2))).at == recorded[1]
        for beyond in (3, -1):
            with pytest.raises(QueryError, match=f"no position {beyond}: the log ends at 2") as raised:
                await past.find(connection, Position(beyond))
            assert raised.value.code == "POSITION_UNKNOWN"
    assert (await asked(world, "daily_stats", Position(0))).rows == []
    assert (await asked(world, "daily_stats", HappenedBy(NOON - timedelta(days=9)))).rows == []


async def test_no_question_about_a_learner_scans_the_log_or_the_rows_of_others(world: World) -> None:
    await told(
        world, [published(i, "x") if i % 9 == 0 else judged(i, learner=f"l{i % 20}") for i in range(300)]
    )
    await take(world)
    scope = Scope("{relation}.learner_key = 1")
    async with world.pool.acquire() as connection, connection.transaction():
        base = await newest(connection, world.catalog, 300, 1)
        assert base is not None
        shared = {v.table_name for v in base.versions.values() if not v.model.by_learner}
        await connection.execute("SET LOCAL enable_seqscan = off")
        for history in (History(world.catalog, scope, "300", base=base) for base in (None, base)):
            for model in world.catalog:
                plan = await connection.fetch(f"EXPLAIN {history.query(model.name)}")
                scans = {found[1] for row in plan if (found := SEQ_SCAN.search(row[0]))}
                assert scans <= shared, model.name


# --- trusting


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE snapshot.daily_stats__1 SET reviews = reviews + 1",
        "DELETE FROM snapshot.daily_stats__1",
        "INSERT INTO snapshot.daily_stats__1 SELECT 9, learning_day, row_count FROM snapshot.daily_stats__1",
        "DROP TABLE snapshot.daily_stats__1",
    ],
    ids=["changed", "lost", "added", "gone"],
)
async def test_a_damaged_copy_is_found_and_its_snapshot_not_used_again(world: World, damage: str) -> None:
    await told(world, [judged(i) for i in range(10)])
    first = await take(world)
    assert await snapshots.verify(world.pool, first) == []
    await execute(world, damage)
    with capture_logs() as logs:
        assert await snapshots.verify(world.pool, first) == ["daily_stats"]
    assert [(e["event"], e["log_level"], e["read_model"]) for e in logs] == [
        ("snapshot_damaged", "warning", "daily_stats")
    ]
    assert await reviews(world, 10) == (10, None)
    second = await take(world)
    assert await reviews(world, 10) == (10, 10)
    assert await prune(world.pool) == [first]
    async with world.pool.acquire() as connection:
        assert [s.snapshot_id for s in await snapshots.listed(connection)] == [second]
    assert len(await tables(world)) == len(copied(world.catalog))


async def test_what_must_be_sound_is_verified_before_use(world: World) -> None:
    for part in range(2):
        await told(world, [judged(i) for i in range(part * 10, part * 10 + 10)])
        await take(world)
    await execute(world, "UPDATE snapshot.sessions__2 SET reviews = 0")
    base = await newest_sound(world.pool, world.catalog, 20)
    assert base is not None
    assert base.position == 10
    await execute(world, "DELETE FROM snapshot.sessions__1")
    assert await newest_sound(world.pool, world.catalog, 20) is None
    with pytest.raises(EngineError, match="no snapshot 77"):
        await snapshots.verify(world.pool, 77)


# --- keeping


@pytest.mark.parametrize(
    ("newest_at", "hours_ago", "is_due"),
    [
        (1000, 30, False),  # nothing came since
        (999, 30, True),  # a day has passed, and an event came
        (999, 1, False),
        (905, 1, False),  # 95 events are enough, but less than a tenth of the log
        (895, 1, True),
        (None, 0, True),
    ],
)
async def test_a_snapshot_is_due_after_events_or_a_day(
    world: World, newest_at: int | None, hours_ago: int, is_due: bool
) -> None:
    await world.append([judged(i) for i in range(1000)])
    async with world.pool.acquire() as connection:
        if newest_at is not None:
            taken_at = datetime.now(UTC) - timedelta(hours=hours_ago)
            await connection.execute(
                "INSERT INTO engine.snapshots (position, taken_at, parked) VALUES ($1, $2, '{}')",
                newest_at,
                taken_at,
            )
        assert await snapshots.due(connection, every_events=95, every=timedelta(days=1)) is is_due


async def test_a_short_log_waits_a_day_for_its_first_snapshot(world: World) -> None:
    async with world.pool.acquire() as connection:
        assert not await snapshots.due(connection)
        await world.append([judged(1)])
        assert not await snapshots.due(connection)
        assert await snapshots.due(connection, every=timedelta(0))


async def test_the_keeper_takes_when_due_and_keeps_few(world: World) -> None:
    keeper = SnapshotKeeper(world.pool, world.catalog, every_events=10, keep=2)
    taken: list[Any] = []
    for part in range(8):
        await told(world, [judged(i) for i in range(part * 5, part * 5 + 5)])
        await keeper.look()
        async with world.pool.acquire() as connection:
            taken.append([s.position for s in await snapshots.listed(connection)])
    assert taken == [[], [10], [10], [20, 10], [20, 10], [30, 20], [30, 20], [40, 20]]
    assert len(await tables(world)) == 2 * len(copied(world.catalog))


async def test_the_keeper_goes_on_after_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    looked_again = asyncio.Event()

    async def fail_once(*_: object) -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise LogUnavailable("away")
        looked_again.set()
        return False

    monkeypatch.setattr(snapshots, "due", fail_once)
    with capture_logs() as logs:
        keeper = asyncio.create_task(SnapshotKeeper(world.pool, world.catalog, look_seconds=0.01).run())
        async with asyncio.timeout(10):
            await looked_again.wait()
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
    assert [(entry["event"], entry["error"]) for entry in logs] == [("snapshot_failed", "away")]


def test_those_kept_are_the_newest_and_others_spread_over_the_log() -> None:
    kept: list[tuple[int, int]] = []
    for number in range(1, 101):
        kept.append((number * 10, number))
        kept = [each for each in kept if each not in surplus(kept, 3)]
        assert kept[-1] == (number * 10, number)
    positions = [0, *(position for position, _ in kept)]
    assert max(b - a for a, b in pairwise(positions)) <= 500
    assert sorted(surplus(kept, 0)) == kept
    assert surplus([(5, 1), (5, 2)], 1) == [(5, 1)]


async def test_pruning_drops_copies_of_former_versions_and_tables_nobody_knows(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "reviews_by_hour.sql"
    file.write_text(DAILY_REVIEWS)
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    await told(world, [judged(i) for i in range(10)])
    await take(world)
    await execute(world, "CREATE TABLE snapshot.left_behind (x int)")
    file.write_text(DAILY_REVIEWS.replace("count(*)", "10 * count(*)"))
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    assert await prune(world.pool) == []
    assert {"left_behind", "reviews_by_hour__1"} & set(await tables(world)) == set()
    assert await reviews(world, 10) == (10, 10)


async def test_a_copy_that_is_being_read_is_dropped_the_next_time(world: World) -> None:
    await told(world, [judged(i) for i in range(10)])
    snapshot_id = await take(world)
    async with world.pool.acquire() as connection, connection.transaction():
        await connection.fetch("SELECT * FROM snapshot.sessions__1")
        assert await prune(world.pool, 0) == [snapshot_id]
        assert await tables(world) == ["sessions__1"]
    assert await prune(world.pool, 0) == []
    assert await tables(world) == []


# --- the commands


@pytest.fixture
async def learner_with_a_past(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", world.url)
    await told(world, [judged(i, day=i // 5) for i in range(10)])
    await take(world)
    await told(world, [judged(i, day=2) for i in range(10, 12)])


def run(*arguments: str) -> None:
    """What the command line does with these arguments."""
    app(arguments, result_action="return_none")


@pytest.mark.usefixtures("learner_with_a_past")
def test_show_prints_rows_of_the_past_and_says_where_they_come_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("show", "daily_stats", "--learner", "ada", "--position", "11", "--json")
    shown = capsys.readouterr()
    assert [(row["learning_day"], row["reviews"]) for row in json.loads(shown.out)] == [
        ("2026-11-02", 5), ("2026-11-03", 5), ("2026-11-04", 1),
    ]  # fmt: skip
    assert "as of position 11, recorded" in shown.err
    assert "from the snapshot at position 10 and the events since" in shown.err
    run("show", "active_days", "--learner", "ada", "--happened-by", "2026-11-03T00:00:00Z")
    shown = capsys.readouterr()
    assert "2026-11-02" in shown.out
    assert "2026-11-03" not in shown.out
    assert (
        "what had happened by 2026-11-03T00:00:00+00:00, known at position 12; from the events" in shown.err
    )


@pytest.mark.usefixtures("learner_with_a_past")
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ("nonsense --learner ada", SettingsError, "there are active_days, daily_stats"),
        ("streak", SettingsError, "--learner ID"),
        ("streak --learner nobody", QueryError, "no event of learner 'nobody' has been received"),
        ("streak --learner ada --position 13", QueryError, "there is no position 13: the log ends at 12"),
        ("streak --learner ada --known-at monday", SettingsError, "--known-at monday: not an RFC 3339 time"),
        ("streak --learner ada --position 1 --known-at 2026-01-01T00:00:00Z", SettingsError, "give one of"),
        ("streak --learner ada --limit 0", SettingsError, "--limit must be at least 1"),
    ],
)
def test_show_says_what_is_wrong_with_a_question(
    arguments: str, error: type[ProgressError], message: str
) -> None:
    with pytest.raises(error, match=message):
        run("show", *arguments.split())


@pytest.mark.usefixtures("learner_with_a_past")
def test_snapshots_can_be_listed_taken_verified_and_pruned(capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> str:
        run("snapshots", *arguments)
        shown = capsys.readouterr()
        return shown.out + shown.err

    assert "took snapshot 2\n" in said("take")
    assert said("verify") == "2: sound\n1: sound\n"
    listed = said("list").splitlines()[1:]
    assert [line.split()[:2] for line in listed] == [["2", "12"], ["1", "10"]]
    assert said("prune", "--keep", "1") == "dropped 1\n"
    assert said("prune") == "nothing to drop\n"
    with pytest.raises(EngineError, match="no snapshot 9"):
        run("snapshots", "verify", "9")
