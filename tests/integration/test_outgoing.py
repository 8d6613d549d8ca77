"""Events of our own: exactly once, whatever crashes; never from a rebuild or old history; never about themselves."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from oracle.streaks import find_runs
from ports import free_port
from progress_context.engine.catalog import load
from progress_context.errors import CheckpointLost, LogUnavailable
from progress_context.intake.catalogue import OWN_SOURCE, SENT
from progress_context.intake.cloudevents import decode_lines
from progress_context.log.database import Connection
from progress_context.log.event import NewEvent, StoredEvent
from progress_context.news import follower as following
from progress_context.news import report
from progress_context.news.follower import Follower, Told
from progress_context.simulator import Simulation, events
from waiting import until
from world import World

NOW = datetime.now(UTC)
TWO_DAYS = timedelta(hours=48)
EVER = timedelta(days=20_000)
STREAK, MILESTONE = "progress.StreakUpdated", "progress.MilestoneAchieved"
WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

serial = count(1)


def active(days_ago: int, learner: str = "ada") -> NewEvent:
    """Something learned on a day."""
    at = NOW - timedelta(days=days_ago)
    data = '{"activity_id":"a","verb":"read"}'
    return NewEvent("urn:t", f"e{next(serial)}", "learning.ActivityRecorded", 1, learner, at, None, data)


def completed(days_ago: int, learner: str = "ada") -> NewEvent:
    """A session completed on a day."""
    at = NOW - timedelta(days=days_ago)
    data = f'{{"session_id":"s{next(serial)}"}}'
    return NewEvent("urn:t", f"e{next(serial)}", "learning.SessionCompleted", 1, learner, at, None, data)


def voided(event: NewEvent) -> NewEvent:
    """The correction that takes an event back."""
    data = json.dumps({"source": event.source, "id": event.id})
    name = (event.source, event.id)
    number = next(serial)
    return NewEvent(
        "urn:t", f"v{number}", "learning.EventVoided", 1, event.learner_id, NOW, None, data, voids=name
    )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


def teller(world: World, max_age: timedelta = TWO_DAYS, page_events: int = 5_000) -> Follower:
    return Follower(world.pool, load(), max_age=max_age, page_events=page_events)


async def tell_all(follower: Follower, token: int | None = None) -> None:
    while await follower.tell(token) is not None:
        pass


async def happens(world: World, happened: Sequence[NewEvent], **options: Any) -> list[tuple[Any, ...]]:
    """Append, fold, tell; the news this brought."""
    before = len(await news(world))
    await world.append(happened)
    await world.catch_up()
    await tell_all(teller(world, **options))
    return (await news(world))[before:]


async def own_events(world: World) -> list[StoredEvent]:
    query = "SELECT * FROM log.events WHERE source = $1 ORDER BY position"
    async with world.pool.acquire() as connection:
        return [StoredEvent(**row) for row in await connection.fetch(query, OWN_SOURCE)]


async def news(world: World) -> list[tuple[Any, ...]]:
    """(current, previous, longest) of streaks, (type, threshold) of milestones, in the order of the log."""
    return [_in_short(event) for event in await own_events(world)]


def _in_short(event: StoredEvent) -> tuple[Any, ...]:
    data = json.loads(event.data)
    if event.type == STREAK:
        return (data["current"], data["previous"], data["longest"])
    return (data["type"], data["details"]["threshold"])


async def execute(world: World, *statements: str) -> None:
    connection = await asyncpg.connect(world.url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_a_streak_that_grows_and_a_first_session_are_told_once(world: World) -> None:
    assert await happens(world, [active(1)]) == [(1, 0, 1)]
    assert await happens(world, [completed(0)]) == [(2, 1, 2), ("FIRST_SESSION", 1)]
    assert await happens(world, [completed(0), active(0)]) == []


async def test_what_is_sent_has_its_name_its_day_and_its_declared_shape(world: World) -> None:
    await happens(world, [completed(1)])
    streak, milestone = await own_events(world)
    assert (streak.id, milestone.id) == ("streak:1:1", "milestone:1:FIRST_SESSION:1")
    yesterday = (NOW - timedelta(days=1)).date()
    assert (streak.learning_day, milestone.learning_day) == (yesterday, yesterday)
    assert streak.occurred_at == (await world.events())[0].recorded_at
    for event in (streak, milestone):
        SENT[event.type, event.version].decode(event.data.encode())
    details = {"threshold": 1, "achieved_on": yesterday.isoformat()}
    assert json.loads(milestone.data) == {"type": "FIRST_SESSION", "details": details}


async def test_a_late_event_repairs_the_streak_and_may_bring_the_milestone_of_today(world: World) -> None:
    await happens(world, [active(n) for n in (6, 5, 4, 2, 1, 0)])
    assert await happens(world, [active(3)]) == [(7, 3, 7), ("CONSECUTIVE_DAYS", 7)]


async def test_a_correction_shortens_the_streak(world: World) -> None:
    last = active(0)
    assert await happens(world, [active(2), active(1), last]) == [(3, 0, 3)]
    assert await happens(world, [voided(last)]) == [(2, 3, 2)]


async def test_a_streak_that_is_taken_back_as_a_whole_is_told_as_nothing(world: World) -> None:
    only = active(0)
    await happens(world, [only])
    assert await happens(world, [voided(only)]) == [(0, 1, 0)]
    assert await happens(world, [active(0)]) == [(1, 0, 1)]


async def test_a_milestone_that_is_taken_back_and_reached_again_is_told_once(world: World) -> None:
    session = completed(0)
    assert ("FIRST_SESSION", 1) in await happens(world, [session])
    await happens(world, [voided(session)])
    assert await happens(world, [completed(0)]) == [(1, 0, 1)]
    assert (await news(world)).count(("FIRST_SESSION", 1)) == 1


async def test_a_milestone_is_told_at_once_though_the_day_was_active_before(world: World) -> None:
    def mastered(item: int) -> NewEvent:
        data = f'{{"item_id":"i{item}","mastery_level":1,"mastered":true}}'
        return NewEvent("urn:t", f"m{item}", "learning.ItemMasteryUpdated", 1, "ada", NOW, None, data)

    def studied(session: int) -> NewEvent:
        data = f'{{"session_id":"long-{session}","duration_seconds":14400}}'
        return NewEvent("urn:t", f"l{session}", "learning.SessionCompleted", 1, "ada", NOW, None, data)

    await happens(world, [*(mastered(item) for item in range(99)), studied(1), studied(2)])
    assert await happens(world, [mastered(99)]) == [("ITEMS_MASTERED", 100)]
    assert await happens(world, [studied(3)]) == [("STUDY_HOURS", 10)]


async def test_a_new_streak_of_the_same_length_is_told(world: World) -> None:
    assert await happens(world, [active(2)], max_age=timedelta(days=4)) == [(1, 0, 1)]
    assert await happens(world, [active(0)]) == [(1, 1, 1)]


async def test_old_history_is_not_told_and_does_not_keep_today_from_being_told(world: World) -> None:
    assert await happens(world, [completed(n) for n in range(400, 100, -1)]) == []
    assert await happens(world, [completed(0)]) == [(1, 0, 300)]


async def test_a_service_that_was_down_tells_what_it_missed(world: World) -> None:
    """The age counts from the moment the log received an event, whenever it is looked at."""
    await world.append([completed(0)])
    await execute(
        world,
        "ALTER TABLE log.events DISABLE TRIGGER refuse_change",
        "UPDATE log.events SET recorded_at = recorded_at - interval '9 days', occurred_at = occurred_at - interval"
        " '9 days', learning_day = learning_day - 9",
        "ALTER TABLE log.events ENABLE TRIGGER refuse_change",
    )
    assert await happens(world, []) == [(1, 0, 1), ("FIRST_SESSION", 1)]


async def test_our_own_events_change_no_read_model_and_bring_no_news(world: World) -> None:
    await happens(world, [completed(1), completed(0)])
    before = await world.tables()
    assert await happens(world, []) == []
    assert await world.tables() == before
    assert await teller(world).tell() is None


async def test_a_rebuild_brings_no_news(world: World) -> None:
    await happens(world, [completed(n) for n in (2, 1, 0)])
    await world.rebuild(shards=2)
    assert await happens(world, []) == []


async def test_what_was_received_before_this_was_installed_is_no_news(world: World) -> None:
    await world.append([completed(0)])
    await execute(world, "UPDATE ops.news SET position = (SELECT position FROM log.head)")
    assert await happens(world, []) == []


async def test_a_crash_before_anything_is_sent_loses_nothing(world: World) -> None:
    class Dying(Follower):
        async def _news(self, connection: Connection, after: int, upto: int) -> list[asyncpg.Record]:
            await super()._news(connection, after, upto)
            raise KeyboardInterrupt

    await world.append([completed(0)])
    await world.catch_up()
    with pytest.raises(KeyboardInterrupt):
        await Dying(world.pool, load(), max_age=TWO_DAYS).tell()
    assert await news(world) == []
    assert await happens(world, []) == [(1, 0, 1), ("FIRST_SESSION", 1)]


async def test_a_crash_in_the_middle_of_the_append_leaves_nothing_behind(world: World) -> None:
    await world.append([completed(0)])
    await world.catch_up()
    owner = await asyncpg.connect(world.url)
    holding = owner.transaction()
    await holding.start()
    await owner.execute("SELECT FROM log.head FOR UPDATE")
    telling = asyncio.create_task(teller(world).tell())

    async def waits() -> bool:
        return await owner.fetchval(WAITING) is not None

    await until(waits)
    await owner.execute(f"SELECT pg_terminate_backend(pid) FROM ({WAITING}) AS waiting")
    with pytest.raises(LogUnavailable):
        await telling
    await holding.rollback()
    assert await news(world) == []
    assert await owner.fetchval("SELECT count(*) FROM ops.told") == 0
    await owner.close()
    assert await happens(world, []) == [(1, 0, 1), ("FIRST_SESSION", 1)]


async def test_when_the_notes_are_lost_the_log_itself_refuses_to_be_told_twice(world: World) -> None:
    told = await happens(world, [completed(1), completed(0)])
    assert len(told) == 2
    await execute(world, "UPDATE ops.news SET position = 0", "DELETE FROM ops.told")
    assert await happens(world, []) == []
    assert await news(world) == told


async def test_two_that_tell_at_once_tell_once(world: World) -> None:
    await world.append([completed(0, f"learner-{n}") for n in range(50)])
    await world.catch_up()
    tellers = [teller(world) for _ in range(3)]
    ended = await asyncio.gather(*(each.tell() for each in tellers), return_exceptions=True)
    assert {type(end) for end in ended} <= {Told, CheckpointLost, type(None)}
    await happens(world, [])
    assert Counter(await news(world)) == {(1, 0, 1): 50, ("FIRST_SESSION", 1): 50}


async def test_a_holder_whose_lease_was_taken_tells_nothing(world: World) -> None:
    await execute(world, "INSERT INTO engine.leases (name, holder, token) VALUES ('news', 'another', 5)")
    await world.append([completed(0)])
    await world.catch_up()
    with pytest.raises(CheckpointLost):
        await teller(world).tell(4)
    assert await news(world) == []
    await tell_all(teller(world), 5)
    assert len(await news(world)) == 2


async def test_the_role_of_the_projection_service_can_append_nothing_else(world: World) -> None:
    columns = "ARRAY['x'], ARRAY[$1::text], ARRAY[1::bigint], ARRAY[now()], ARRAY[current_date], ARRAY['{}']"
    async with world.pool.acquire() as connection:
        with pytest.raises(asyncpg.PostgresError, match="only events of type progress"):
            await connection.fetch(f"SELECT log.append_own({columns})", "learning.ActivityRecorded")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO log.learners (learner_id) VALUES ('eve')")
    async with world.log_pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT log.append_own({columns})", STREAK)


async def test_reports_that_are_made_at_once_are_made_once(world: World) -> None:
    await happens(world, [active(40, f"learner-{n}") for n in range(30)])
    period = report.period_of("monthly", (NOW - timedelta(days=40)).date())
    learners = list(range(1, 31))

    async def make() -> list[report.Report]:
        async with world.pool.acquire() as connection:
            return await report.make(connection, period, learners, NOW)

    made = [each for reports in await asyncio.gather(make(), make(), make()) for each in reports]
    assert Counter(each.made for each in made) == {True: 30, False: 60}
    assert len({each.position for each in made}) == 30
    for event in await own_events(world):
        SENT[event.type, event.version].decode(event.data.encode())


async def test_one_that_is_late_neither_tells_nor_moves_back(world: World) -> None:
    class Overtaken(Follower):
        async def _news(self, connection: Connection, after: int, upto: int) -> list[asyncpg.Record]:
            found = await super()._news(connection, after, upto)
            await happens(world, [active(0)])
            return found

    await world.append([active(1)])
    await world.catch_up()
    with pytest.raises(CheckpointLost):
        await Overtaken(world.pool, load(), max_age=TWO_DAYS).tell()
    assert await happens(world, []) == []
    assert await news(world) == [(2, 0, 2)]


def simulated(count_at_once: int) -> Iterable[list[NewEvent]]:
    """Four months of six learners."""
    lines = events(Simulation(learners=6, days=120, seed=3, end=NOW.date()))
    while batch := list(islice(lines, count_at_once)):
        parsed = decode_lines(b"\n".join(batch), now=NOW)
        yield [event for event in parsed if isinstance(event, NewEvent)]


@pytest.mark.parametrize(("appended", "page_events"), [(500, 5_000), (100_000, 37)])
async def test_everything_that_is_achieved_is_told_and_streaks_form_a_chain(
    world: World, appended: int, page_events: int
) -> None:
    """Whether told as it happens, or page by page when the read models are far ahead."""
    for batch in simulated(appended):
        await happens(world, batch, max_age=EVER, page_events=page_events)
    sent = await own_events(world)
    learners = {event.learner_key for event in sent if event.learner_key is not None}
    assert len(learners) == 6
    for learner in learners:
        own = [event for event in sent if event.learner_key == learner]
        assert_chain(own, await active_days(world, learner))
        assert milestones_in(own) == await achieved(world, learner)


@asynccontextmanager
async def service(database_url: str, log: Path) -> AsyncGenerator[Process]:
    """One `serve projection`."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PROGRESS_PROJECTION_PORT": str(free_port()),
        "PROGRESS_HOST": "0.0.0.0",  # a name of its own for each start, as in a container
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "progress_context", "serve", "projection",
            env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_when_the_service_that_tells_is_killed_another_goes_on_where_it_stopped(
    world: World, tmp_path: Path
) -> None:
    learners = [f"learner-{n}" for n in range(40)]

    async def told_up_to(days: int) -> None:
        async def all_told() -> bool:
            return Counter(await news(world))[days, days - 1, days] == len(learners)

        await until(all_told, seconds=30)

    async with service(world.url, tmp_path / "one.log") as one:
        await world.append([active(2, learner) for learner in learners])
        await told_up_to(1)
        async with service(world.url, tmp_path / "two.log"):
            for part in (learners[:20], learners[20:]):
                await world.append([active(1, learner) for learner in part])
                if one.returncode is None:
                    one.kill()
                    await one.wait()
            await told_up_to(2)
            await world.append([completed(0, learner) for learner in learners])
            await told_up_to(3)
    expected = [(1, 0, 1), (2, 1, 2), (3, 2, 3), ("FIRST_SESSION", 1)]
    assert Counter(await news(world)) == dict.fromkeys(expected, len(learners))


def assert_chain(own: Iterable[StoredEvent], days: list[date]) -> None:
    streaks = [json.loads(event.data) for event in own if event.type == STREAK]
    assert streaks[0]["previous"] == 0
    assert all(after["previous"] == before["current"] for before, after in pairwise(streaks))
    runs = [row for _, row in find_runs(days, streak_grace=False)]
    assert (streaks[-1]["current"], streaks[-1]["day"]) == (runs[-1]["days"], str(runs[-1]["last_day"]))


def milestones_in(own: Iterable[StoredEvent]) -> Counter[tuple[str, int]]:
    data = [json.loads(event.data) for event in own if event.type == MILESTONE]
    return Counter((each["type"], each["details"]["threshold"]) for each in data)


async def active_days(world: World, learner: int) -> list[date]:
    return sorted(day for key, day in await world.rows("active_days") if key == learner)


async def achieved(world: World, learner: int) -> Counter[tuple[str, int]]:
    rows = await world.ask("milestones", learner, NOW, NOW.date())
    return Counter((row["type"], row["threshold"]) for row in rows.values() if row["achieved"])


async def test_news_that_cannot_be_told_are_counted_and_told_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "PAUSE_AFTER_FAILURE", 0.01)
    await world.append([active(0)])
    await world.catch_up()
    owner = await asyncpg.connect(world.url)
    await owner.execute("ALTER TABLE ops.news RENAME TO away")
    before = failures()
    task = asyncio.create_task(teller(world).run())

    async def tried_again() -> bool:
        return failures() >= before + 3

    async def told() -> bool:
        return await news(world) == [(1, 0, 1)]

    await until(tried_again)
    await owner.execute("ALTER TABLE ops.away RENAME TO news")
    await owner.close()
    await until(told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def failures() -> float:
    return REGISTRY.get_sample_value("progress_news_failures_total") or 0
