"""Identity and durability: the same event again, another under its name, a commit of unknown outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from progress_context.errors import AppendQueueFull, LogUnavailable
from progress_context.intake.learning_day import learning_day_in
from progress_context.log import read
from progress_context.log.append import Appender
from progress_context.log.database import Pool, open_pool
from progress_context.log.event import NewEvent, Outcome, ProfileChange
from progress_context.log.group_commit import GroupCommit
from progress_context.log.profiles import Calendar

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 20, tzinfo=UTC)
EVENT = NewEvent("urn:test", "1", "learning.SessionStarted", 1, "ada", NOON, None, '{"session_id": "s"}')


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    pool = await open_pool(database_url, "progress_command", size=6)
    yield pool
    pool.terminate()


@pytest.fixture
def appender(pool: Pool) -> Appender:
    return Appender(pool, learning_day_in, Calendar("UTC", 0))


def changed(**changes: Any) -> NewEvent:
    return msgspec.structs.replace(EVENT, **changes)


async def test_the_same_event_again_is_a_duplicate_at_its_first_position(appender: Appender) -> None:
    assert await appender.append([EVENT]) == [Outcome("stored", 1)]
    assert await appender.append([EVENT]) == [Outcome("duplicate", 1)]
    assert await appender.append([changed(id="2"), EVENT, changed(id="2")]) == [
        Outcome("stored", 2),
        Outcome("duplicate", 1),
        Outcome("duplicate", 2),
    ]


async def test_the_order_and_spacing_of_json_members_is_not_content(appender: Appender) -> None:
    one, other = changed(data='{"session_id": "s", "n": 3}'), changed(data='{"n":3.0,"session_id":"s"}')
    assert [o.status for o in await appender.append([one, other])] == ["stored", "duplicate"]
    assert [o.status for o in await appender.append([other])] == ["duplicate"]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("type", {"type": "learning.SessionCompleted"}),
        ("version", {"version": 2}),
        ("subject", {"learner_id": "bob"}),
        ("time", {"occurred_at": EVENING}),
        ("data", {"data": '{"session_id": "t"}'}),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["later", "in one batch"])
async def test_another_event_under_a_known_name_is_a_conflict_and_changes_nothing(
    pool: Pool, appender: Appender, path: str, change: dict[str, Any], together: bool
) -> None:
    other = changed(**change)
    if together:
        _, outcome = await appender.append([EVENT, other])
    else:
        await appender.append([EVENT])
        [outcome] = await appender.append([other])
    assert (outcome.status, outcome.path, outcome.position) == ("conflict", path, None)
    async with pool.acquire() as connection:
        [stored] = await read.page(connection)
        assert (stored.type, stored.data, stored.occurred_at) == (EVENT.type, EVENT.data, EVENT.occurred_at)


async def test_two_services_sending_the_same_events_store_each_once(pool: Pool) -> None:
    appenders = [Appender(pool, learning_day_in, Calendar("UTC", 0)) for _ in range(5)]
    events = [changed(id=str(i)) for i in range(40)]
    answers = await asyncio.gather(*(appender.append(events) for appender in appenders))
    for outcomes in zip(*answers, strict=True):
        assert sorted(outcome.status for outcome in outcomes) == ["duplicate"] * 4 + ["stored"]
        assert len({outcome.position for outcome in outcomes}) == 1


async def test_an_event_postgresql_cannot_hold_is_set_apart_from_its_batch(appender: Appender) -> None:
    outcomes = await appender.append([changed(id="a"), changed(id="b", data='"\\u0000"'), changed(id="c")])
    assert [outcome.status for outcome in outcomes] == ["stored", "invalid", "stored"]
    assert [outcome.position for outcome in outcomes] == [1, None, 2]


class BreaksAfterCommit(Appender):
    """Loses its connection just after the commit, before the answer arrives."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.broken = 0

    async def _append(self, events: Sequence[NewEvent], before: int | None) -> list[Outcome]:
        outcomes = await super()._append(events, before)
        if not self.broken:
            self.broken += 1
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return outcomes


async def test_a_commit_of_unknown_outcome_is_read_back_not_guessed(pool: Pool) -> None:
    appender = BreaksAfterCommit(pool, learning_day_in, Calendar("UTC", 0))
    outcomes = await appender.append([EVENT, changed(id="2"), EVENT])
    assert outcomes == [Outcome("stored", 1), Outcome("stored", 2), Outcome("duplicate", 1)]
    assert appender.broken == 1


async def test_a_connection_cut_within_the_append_loses_and_doubles_nothing(
    database_url: str, appender: Appender
) -> None:
    slow, onlooker = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    await slow.execute("BEGIN; SELECT FROM log.head FOR UPDATE")
    pending = asyncio.create_task(appender.append([EVENT, changed(id="2")]))
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while not (pid := await onlooker.fetchval(waiting)):
        assert not pending.done()
    await onlooker.execute("SELECT pg_terminate_backend($1)", pid)
    await slow.execute("COMMIT")
    assert [outcome.status for outcome in await pending] == ["stored", "stored"]
    assert await onlooker.fetchval("SELECT count(*) FROM log.events") == 2
    await slow.close()
    await onlooker.close()


async def days_of(pool: Pool) -> list[date | None]:
    async with pool.acquire() as connection:
        return [event.learning_day for event in await read.page(connection)]


async def test_the_learning_day_follows_the_profile_in_force_when_it_happened(
    pool: Pool, appender: Appender
) -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    to_tokyo = changed(
        id="p", type="user.PreferencesUpdated", profile=ProfileChange("Asia/Tokyo"), occurred_at=NOON
    )
    await appender.append([changed(id="before", occurred_at=late)])
    await appender.append([to_tokyo, changed(id="after", occurred_at=late)])
    await appender.append([changed(id="own zone", occurred_at=late, zone="America/New_York")])
    assert await days_of(pool) == [
        date(2026, 11, 23),  # nothing known yet: the default, UTC
        date(2026, 11, 23),  # the profile event itself, 21:00 in Tokyo
        date(2026, 11, 24),  # 08:30 in Tokyo
        date(2026, 11, 23),  # 18:30 in New York, as the event says
    ]


async def test_a_profile_stored_by_another_service_is_known_at_once(pool: Pool) -> None:
    one, other = (Appender(pool, learning_day_in, Calendar("UTC", 0)) for _ in range(2))
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    await one.append([changed(id="a", occurred_at=late)])
    await other.append(
        [changed(id="p", type="user.UserCreated", profile=ProfileChange("UTC", 4), occurred_at=NOON)]
    )
    await one.append([changed(id="b", occurred_at=datetime(2026, 11, 24, 3, 59, tzinfo=UTC))])
    assert (await days_of(pool))[2] == date(2026, 11, 23)


async def test_a_profile_event_refused_as_conflict_moves_no_day(pool: Pool, appender: Appender) -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    await appender.append([EVENT])
    impostor = changed(type="user.UserCreated", profile=ProfileChange("Asia/Tokyo"), occurred_at=NOON)
    refused, stored = await appender.append([impostor, changed(id="2", occurred_at=late)])
    assert (refused.status, stored.status) == ("conflict", "stored")
    assert (await days_of(pool))[1] == date(2026, 11, 23)


async def test_a_full_queue_refuses_at_once_and_a_stopped_one_refuses_what_waits() -> None:
    release = asyncio.Event()

    async def slow(events: Sequence[NewEvent]) -> list[Outcome]:
        await release.wait()
        return [Outcome("stored", 1)] * len(events)

    commits = GroupCommit(slow, group_events=10, waiting_events=20, waiting_bytes=1_000)
    running = asyncio.create_task(commits.run())
    first = asyncio.create_task(commits.submit([EVENT] * 15, 10))
    await asyncio.sleep(0)
    with pytest.raises(AppendQueueFull):
        await commits.submit([EVENT] * 6, 10)
    with pytest.raises(AppendQueueFull):
        await commits.submit([EVENT], 1_000)
    second = asyncio.create_task(commits.submit([EVENT] * 5, 10))
    await asyncio.sleep(0)
    release.set()
    assert len(await first) == 15
    assert len(await second) == 5
    release.clear()
    third = asyncio.create_task(commits.submit([EVENT], 10))
    fourth = asyncio.create_task(commits.submit([EVENT], 10))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for waiting in (third, fourth):
        with pytest.raises(LogUnavailable):
            await waiting
