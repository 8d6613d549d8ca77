"""The response cache beside real servers: right at every moment, quick when it can be, never in the way."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from caching import CALENDAR, Copy, counted, redis_link
from desk import NOW, Desk, desk_at, event, judged
from faults import FaultyProxy
from ports import free_port
from progress_context.delivery.changes import Changes
from progress_context.engine import parking
from progress_context.local.valkey import EmbeddedValkey
from progress_context.principal import Principal
from progress_context.query.cache import Asked
from progress_context.query.cache_ahead import Ahead
from progress_context.query.cache_redis import SECONDS
from progress_context.query.cache_versions import Seen, Versions
from progress_context.query.http import GraphQLHttp, HttpOptions
from progress_context.query.responses import Reply
from property.test_interleaving_law import Interleaving
from property.test_plan_law import answers_by_plan
from waiting import until

REVIEWS = "query($u:ID!){userSummary(userId:$u){reviews}}"
ADA = {"u": "ada"}


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    async with desk_at(database_url) as desk:
        yield desk


@pytest.fixture(scope="module")
def valkey(scratch: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(scratch / "valkey-cache") as server:
        yield server


@pytest.fixture
async def proxy(valkey: EmbeddedValkey) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(valkey.port) as proxy, redis_link(valkey.url) as redis:
        await redis.flushall()
        yield proxy


def copy_at(desk: Desk, **options: Any) -> Copy:
    return Copy(desk.pool, desk.world.catalog, lambda: desk.now, **options)


def through(valkey: EmbeddedValkey, proxy: FaultyProxy) -> str:
    return valkey.url.replace(f":{valkey.port}/", f":{proxy.port}/")


async def told(copy: Copy, user: str = "ada", query: str = REVIEWS, **more: Any) -> tuple[int, int]:
    """(reviews, position) of an answer."""
    answer = json.loads(await copy.respond(query, {"u": user}, **more))
    return answer["data"]["userSummary"]["reviews"], answer["extensions"]["position"]


async def kept(copy: Copy, count: int = 1) -> None:
    """Return once so many answers are kept: that happens just after they were given."""

    async def enough() -> bool:
        return len(copy.memory) >= count

    await until(enough)


async def test_an_answer_is_computed_once_and_a_commit_makes_it_unreachable(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    assert await told(copy) == (1, 1)
    await kept(copy)
    computed = answers_by_plan()
    assert await told(copy) == (1, 1)
    assert answers_by_plan() == computed
    await desk.tell(judged(2))
    assert await told(copy) == (2, 2)
    assert answers_by_plan() == computed + 1


async def test_events_of_others_move_the_position_and_leave_the_answer(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    computed = answers_by_plan()
    await desk.tell(judged(2, learner="bob"))
    assert await told(copy) == (1, 2)
    assert answers_by_plan() == computed


async def test_an_event_of_the_vocabulary_makes_everybodys_answers_new(desk: Desk) -> None:
    copy = copy_at(desk)
    levels = "query($u:ID!){itemProgress(userId:$u){nodes{level}}}"
    await desk.tell(judged(1))
    assert b"null" in await copy.respond(levels, ADA)
    await kept(copy)
    published = {"item_id": "apple", "spelling": "apple", "level": "A2"}
    await desk.tell(event(2, "vocabulary.ItemPublished", published, learner=None))
    assert b"A2" in await copy.respond(levels, ADA)


async def test_a_batch_makes_answers_new_that_read_it(desk: Desk) -> None:
    copy = copy_at(desk)
    weeks = "query($u:ID!){weeklyTrend(userId:$u,weeks:1){weeks{reviews}}}"
    await desk.tell(judged(1))
    await desk.world.run_batch()
    before = await copy.respond(weeks, ADA)
    await kept(copy)
    await desk.tell(judged(2))
    await copy.respond(weeks, ADA)
    await kept(copy, 2)
    await desk.world.run_batch()
    after = await copy.respond(weeks, ADA)
    assert (b'"reviews":1' in before, b'"reviews":2' in after) == (True, True)


async def test_each_shard_moves_the_answers_of_its_own_learners(desk: Desk) -> None:
    copy = copy_at(desk)
    events = [judged(number, learner=name) for number, name in enumerate(("ada", "bob") * 2)]
    story = Interleaving(desk.world, events)
    await story.reshard(2)
    await story.append(2)
    for shard in range(2):
        await story.advance(shard, 2)
    assert (await told(copy), await told(copy, "bob")) == ((1, 2), (1, 2))
    await kept(copy, 2)
    await story.append(2)
    await story.advance(0, 2)
    assert {await told(copy), await told(copy, "bob")} == {(1, 2), (2, 2)}
    await kept(copy, 3)
    await story.advance(1, 2)
    assert (await told(copy), await told(copy, "bob")) == ((2, 4), (2, 4))


async def test_a_learner_who_is_taken_up_again_has_another_answer(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await desk.world.append([judged(2)])
    async with desk.world.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO engine.parked (position, learner_key, type, reason)"
            " SELECT position, learner_key, type, 'poison' FROM log.events WHERE position = 2"
        )
    await desk.world.catch_up()
    assert await told(copy) == (1, 2)
    await kept(copy)
    assert await parking.retry(desk.world.pool, 2, 1)
    assert await told(copy) == (2, 2)


async def test_versions_that_become_active_again_begin_with_nothing_kept(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    async with desk.world.pool.acquire() as connection:
        await connection.execute("UPDATE engine.versions SET activated_at = clock_timestamp()")
    computed = answers_by_plan()
    await told(copy)
    assert answers_by_plan() == computed + 1


async def test_nothing_is_kept_while_batches_are_apart(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await desk.world.run_batch()
    async with desk.world.pool.acquire() as connection:
        await connection.execute(
            "UPDATE engine.checkpoints SET position = 0 WHERE version_id ="
            " (SELECT min(version_id) FROM engine.versions WHERE update_mode = 'batch' AND status = 'active')"
        )
    computed = answers_by_plan()
    assert [await told(copy) for _ in range(3)] == [(1, 1)] * 3
    assert (answers_by_plan(), len(copy.memory)) == (computed + 3, 0)
    await desk.world.run_batch()
    await told(copy)
    await kept(copy)


async def test_trust_ends_with_news_and_with_a_position_to_wait_for(desk: Desk) -> None:
    copy = copy_at(desk, trust=60.0)
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    await desk.tell(judged(2))
    assert await told(copy) == (
        1,
        1,
    )  # the news was lost: not older than the position it names, and than the trust
    waiting = "query($u:ID!){userSummary(userId:$u,waitForPosition:2){reviews}}"
    assert await told(copy, query=waiting) == (2, 2)
    await kept(copy, 2)
    await desk.tell(judged(3))
    assert copy.cache is not None
    [key] = await learner_keys(desk, "ada")
    copy.cache.hear(Changes(3, 3, frozenset({key})))
    assert await told(copy) == (3, 3)
    await kept(copy, 3)
    await desk.tell(judged(4))
    copy.cache.hear(Changes(4, 4, None))
    assert await told(copy) == (4, 4)


async def test_trust_ends_for_everyone_when_a_swap_is_noticed(desk: Desk) -> None:
    copy = copy_at(desk, trust=60.0)
    await desk.tell(judged(1), judged(2, learner="bob"))
    await told(copy)
    await told(copy, "bob")
    await desk.tell(judged(3))
    await desk.world.rebuild()
    assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, {"u": "nobody yet"})
    assert await told(copy) == (2, 3)
    assert await told(copy, "bob") == (1, 3)


async def test_a_swap_that_others_noticed_does_not_lock_out_who_is_trusted(desk: Desk) -> None:
    copy = copy_at(desk, trust=60.0)
    await desk.tell(judged(1), judged(2, learner="bob"))
    await told(copy)
    await desk.world.rebuild()
    assert await told(copy, "bob", fresh=True) == (1, 2)
    assert await told(copy) == (1, 2)


async def test_trust_ends_by_itself(desk: Desk) -> None:
    copy = copy_at(desk, trust=0.05)
    await desk.tell(judged(1))
    await told(copy)
    await desk.tell(judged(2))

    async def newest() -> bool:
        return await told(copy) == (2, 2)

    await until(newest, seconds=2)


async def test_a_version_in_use_is_read_again_before_its_trust_ends(desk: Desk) -> None:
    copy = copy_at(desk, trust=1.0)
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    began, at_hand, asked = time.monotonic(), copy.at_hand, 0
    while time.monotonic() < began + 3.0:
        assert await told(copy) == (1, 1)
        asked += 1
        await asyncio.sleep(0.02)
    assert copy.at_hand - at_hand == asked, "nobody waited for a version"
    reads = counted("versions", source="read")
    await asyncio.sleep(1.0)
    assert counted("versions", source="read") - reads <= 1, "what nobody asks for is not read"


async def test_news_end_the_trust_of_what_is_at_hand(desk: Desk) -> None:
    copy = copy_at(desk, trust=60.0)
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    assert await told(copy) == (1, 1)
    assert copy.at_hand == 1
    [key] = await learner_keys(desk, "ada")
    await desk.tell(judged(2))
    assert copy.cache is not None
    copy.cache.hear(Changes(2, 2, frozenset({key})))
    assert await told(copy) == (2, 2)
    assert copy.at_hand == 1


async def test_what_is_at_hand_for_one_is_not_for_another(desk: Desk) -> None:
    copy = copy_at(desk, trust=60.0)
    await desk.tell(judged(1))
    ada, bob = Principal("learner", "ada"), Principal("learner", "bob")
    for _ in range(2):
        assert b'"reviews":1' in await copy.respond(REVIEWS, ADA, reader=ada)
        await kept(copy)
        assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, ADA, reader=bob)
    assert copy.at_hand == 1


async def test_who_is_unknown_is_not_looked_for_twice_and_is_known_at_once(desk: Desk) -> None:
    copy = copy_at(desk)
    assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, ADA)
    await kept(copy)
    computed = counted("requests", layer="memory", outcome="hit")
    assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, ADA)
    assert counted("requests", layer="memory", outcome="hit") == computed + 1
    await desk.tell(judged(1))
    assert await told(copy) == (1, 1)


async def test_many_who_ask_for_the_same_have_it_computed_once(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await copy.respond("query($u:ID!){userSummary(userId:$u){sessions}}", ADA)
    computed, shared = answers_by_plan(), counted("shared")
    answers = await asyncio.gather(*(told(copy) for _ in range(50)))
    assert set(answers) == {(1, 1)}
    assert answers_by_plan() == computed + 1
    assert counted("shared") == shared + 49


async def test_who_goes_away_takes_nothing_from_the_others(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1))
    await copy.respond("query($u:ID!){userSummary(userId:$u){sessions}}", ADA)
    asking = [asyncio.create_task(told(copy)) for _ in range(3)]
    shared = counted("shared")

    async def joined() -> bool:
        return counted("shared") == shared + 2

    await until(joined)
    asking[0].cancel()
    assert await asyncio.gather(*asking[1:]) == [(1, 1), (1, 1)]


class Witness:
    """Keeps the last request that came."""

    asked: Asked

    def note(self, asked: Asked, seen: Seen) -> None:
        self.asked = asked

    def hear(self, changes: Changes) -> None:
        pass


async def test_what_was_computed_while_the_version_changed_is_not_kept(desk: Desk) -> None:
    copy = copy_at(desk)
    assert copy.cache is not None
    copy.cache.noting = witness = Witness()
    await desk.tell(judged(1))
    await told(copy)
    await kept(copy)
    await desk.tell(judged(2))

    async def compute() -> Reply:
        await desk.tell(judged(3))
        return await copy.reply(REVIEWS, ADA, fresh=True)

    late = await copy.cache.answer(witness.asked, compute)
    assert (late.position, b'"reviews":3' in late.body) == (3, True)
    assert await told(copy) == (3, 3)
    await kept(copy, 2)
    hits = counted("requests", layer="memory", outcome="hit")
    assert await told(copy) == (3, 3)
    assert (counted("requests", layer="memory", outcome="hit"), len(copy.memory)) == (hits + 1, 2)


async def test_another_reader_is_not_given_the_answer(desk: Desk) -> None:
    copy = copy_at(desk)
    await desk.tell(judged(1), judged(2, learner="bob"))
    assert await told(copy) == (1, 2)
    await kept(copy)
    assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, ADA, reader=Principal("learner", "bob"))
    assert await told(copy, reader=Principal("learner", "ada")) == (1, 2)
    assert b"LEARNER_UNKNOWN" in await copy.respond(REVIEWS, ADA, reader=Principal("coach", "c"))
    assert b"has been received" in await copy.respond(REVIEWS, {"u": "nobody"})
    await kept(copy, 3)
    own = await copy.respond(REVIEWS, {"u": "nobody"}, reader=Principal("learner", "nobody"))
    assert b"none that you may see" in own


@pytest.mark.parametrize("askers", [1, 2, 3, 8])
async def test_nobody_waits_for_ever_for_a_version(desk: Desk, askers: int) -> None:
    versions = Versions(desk.pool, CALENDAR, lambda: desk.now)

    async def ask(number: int) -> None:
        for turn in range(150):
            await versions.seen((f"l{number}-{turn}",))

    async with asyncio.timeout(60):
        await asyncio.gather(*map(ask, range(askers)))


async def test_what_depends_on_the_moment_is_no_older_than_its_bound(desk: Desk) -> None:
    copy = copy_at(desk)
    due = {"item_id": "apple", "next_review_at": "2026-11-23T12:01:00Z", "interval_days": 1}
    await desk.tell(judged(1), event(2, "algorithm.ReviewScheduled", due))
    query = "query($u:ID!){itemProgress(userId:$u,filter:OVERDUE){totalCount}}"
    assert b'"totalCount":0' in await copy.respond(query, ADA)
    await kept(copy)
    desk.now = NOW + timedelta(minutes=5)
    assert b'"totalCount":1' in await copy.respond(query, ADA)


@pytest.mark.parametrize("trust", [0.0, 60.0])
async def test_a_new_day_begins_for_each_learner_at_their_own_midnight(desk: Desk, trust: float) -> None:
    copy = copy_at(desk, trust=trust)
    today = "query($u:ID!){userSummary(userId:$u){today}}"
    await desk.tell(
        event(1, "user.UserCreated", {"time_zone": "Asia/Kathmandu"}, zone="Asia/Kathmandu", learner="ada"),
        judged(2, learner="bob"),
    )
    desk.now = datetime(2026, 11, 23, 18, 14, 59, tzinfo=UTC)
    for moment, ada in ((desk.now, 23), (desk.now + timedelta(seconds=1), 24)):
        desk.now = moment
        for _ in range(2):
            for user, day in (("ada", ada), ("bob", 23)):
                assert date(2026, 11, day).isoformat().encode() in await copy.respond(today, {"u": user})


async def test_copies_share_what_redis_keeps(desk: Desk, valkey: EmbeddedValkey, proxy: FaultyProxy) -> None:
    one, two = (copy_at(desk, redis_url=through(valkey, proxy), redis_seconds=5.0) for _ in range(2))
    await desk.tell(judged(1))
    assert await told(one) == (1, 1)
    async with redis_link(valkey.url) as redis:

        async def written() -> bool:
            return await redis.dbsize() == 1

        await until(written)
        [key] = await redis.keys("*")
        assert 590 <= await redis.ttl(key) <= 600
    computed = answers_by_plan()
    assert await told(two) == (1, 1)
    assert answers_by_plan() == computed
    await one.close()
    await two.close()


@pytest.mark.parametrize("fault", ["refusing", "frozen", "garbage"])
async def test_redis_gone_wrong_costs_little_and_nothing_is_wrong(
    desk: Desk, valkey: EmbeddedValkey, proxy: FaultyProxy, fault: Any
) -> None:
    copy = copy_at(desk, redis_url=through(valkey, proxy), most_bytes=0)
    await desk.tell(judged(1))
    assert await told(copy) == (1, 1)
    proxy.go(fault)
    for number in range(2, 6):
        await desk.tell(judged(number))
        began = time.monotonic()
        assert await told(copy) == (number, number)
        assert time.monotonic() - began < SECONDS + 2.0
    proxy.go("none")
    hits = counted("requests", layer="redis", outcome="hit")

    async def back() -> bool:
        await told(copy)
        return counted("requests", layer="redis", outcome="hit") > hits

    await until(back)
    await copy.close()


async def test_a_redis_that_talks_nonsense_from_the_first_word_is_left_alone(
    desk: Desk, valkey: EmbeddedValkey, proxy: FaultyProxy
) -> None:
    failed = counted("redis_errors", kind="failed")
    proxy.go("garbage")
    copy = copy_at(desk, redis_url=through(valkey, proxy), most_bytes=0)
    await desk.tell(judged(1))
    assert await told(copy) == (1, 1)
    assert counted("redis_errors", kind="failed") > failed
    proxy.go("none")
    hits = counted("requests", layer="redis", outcome="hit")

    async def back() -> bool:
        await told(copy)
        return counted("requests", layer="redis", outcome="hit") > hits

    await until(back)
    await copy.close()


async def test_an_absent_redis_is_asked_seldom(desk: Desk) -> None:
    copy = copy_at(desk, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    errors = counted("redis_errors", kind="failed")
    await desk.tell(*(judged(number, learner=f"l{number}") for number in range(30)))
    for number in range(30):
        assert await told(copy, f"l{number}") == (1, 30)
    assert 1 <= counted("redis_errors", kind="failed") - errors <= 15
    await copy.close()


async def test_a_full_redis_refuses_writes_and_still_reads(
    desk: Desk, valkey: EmbeddedValkey, proxy: FaultyProxy
) -> None:
    copy = copy_at(desk, redis_url=through(valkey, proxy), redis_seconds=5.0)
    await desk.tell(judged(1))
    await told(copy)
    refused = counted("redis_errors", kind="refused")
    async with redis_link(valkey.url) as redis:
        await redis.config_set("maxmemory-policy", "noeviction")
        await redis.config_set("maxmemory", 1)
        try:
            await desk.tell(judged(2))
            assert await told(copy) == (2, 2)

            async def noticed() -> bool:
                return counted("redis_errors", kind="refused") > refused

            await until(noticed)
        finally:
            await redis.config_set("maxmemory", 256 << 20)
            await redis.config_set("maxmemory-policy", "allkeys-lru")
    await copy.close()


async def test_waiting_questions_share_round_trips_to_redis(
    desk: Desk, valkey: EmbeddedValkey, proxy: FaultyProxy
) -> None:
    copy = copy_at(desk, redis_url=through(valkey, proxy), redis_seconds=5.0)
    await desk.tell(*(judged(number, learner=f"l{number}") for number in range(40)))
    await told(copy, "l0")
    sent = proxy.chunks
    await asyncio.gather(*(told(copy, f"l{number}") for number in range(1, 40)))
    assert proxy.chunks - sent < 30
    await copy.close()


async def test_answers_are_computed_ahead_for_who_was_asked_about_lately(desk: Desk) -> None:
    copy = copy_at(desk)
    assert copy.cache is not None
    copy.cache.noting = ahead = Ahead(100)
    running = asyncio.create_task(ahead.run())
    await desk.tell(judged(1), judged(2, learner="bob"))
    await told(copy)
    await kept(copy)
    await desk.tell(judged(3), judged(4, learner="bob"))
    done = counted("ahead")
    copy.cache.hear(Changes(4, 4, frozenset(await learner_keys(desk, "ada", "bob"))))

    async def computed() -> bool:
        return counted("ahead") == done + 1 and len(copy.memory) == 2

    await until(computed)
    before = answers_by_plan()
    assert await told(copy) == (2, 4)
    assert answers_by_plan() == before
    running.cancel()


async def test_four_of_five_answers_of_a_normal_mix_are_kept_ones(desk: Desk) -> None:
    """Learners look at their pages, now and then one of them learns; the more active, the more often."""
    copy = copy_at(desk)
    page = [
        "query($u:ID!){dailyStats(userId:$u){reviews}}",
        "query($u:ID!){weeklyTrend(userId:$u){trend}}",
        "query($u:ID!){learningStreak(userId:$u){current}}",
        "query($u:ID!){userSummary(userId:$u){reviews}}",
        "query($u:ID!){itemProgress(userId:$u,first:5){totalCount}}",
    ]
    dice = random.Random(7)
    names = [f"l{number}" for number in range(30)]
    weights = [1 / (number + 1) for number in range(30)]
    await desk.tell(*(judged(number, learner=name) for number, name in enumerate(names)))
    await desk.world.run_batch()
    hits, misses = (counted("requests", layer="memory", outcome=each) for each in ("hit", "miss"))
    for visit in range(300):
        [name] = dice.choices(names, weights)
        if visit % 15 == 0:
            await desk.tell(judged(1_000 + visit, learner=name))
        for query in page:
            await copy.respond(query, {"u": name})
        desk.now += timedelta(seconds=1)
    hits = counted("requests", layer="memory", outcome="hit") - hits
    misses = counted("requests", layer="memory", outcome="miss") - misses
    assert hits / (hits + misses) >= 0.8


class Web:
    """GraphQL over HTTP without a socket."""

    def __init__(self, copy: Copy) -> None:
        http = GraphQLHttp(copy.executor, HttpOptions(graphiql=False))
        transport = httpx.ASGITransport(Starlette(routes=http.routes()))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://here")

    async def get(self, query: str, **headers: str) -> httpx.Response:
        shown = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.get("/graphql", params={"query": query}, headers=shown)


async def test_a_client_that_has_the_answer_gets_a_304(desk: Desk) -> None:
    web = Web(copy_at(desk))
    query = '{userSummary(userId:"ada"){reviews}}'
    await desk.tell(judged(1))
    first = await web.get(query)
    assert first.headers["cache-control"] == "private, no-cache"
    assert "authorization" in first.headers["vary"]
    again = await web.get(query, if_none_match=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    await desk.tell(judged(2))
    changed = await web.get(query, if_none_match=first.headers["etag"])
    assert (changed.status_code, changed.json()["data"]["userSummary"]["reviews"]) == (200, 2)


async def test_no_cache_asks_the_database_and_errors_are_not_stored(desk: Desk) -> None:
    copy = copy_at(desk)
    web = Web(copy)
    query = '{userSummary(userId:"ada"){reviews}}'
    await desk.tell(judged(1))
    await web.get(query)
    computed = answers_by_plan()
    fresh = await web.get(query, cache_control="no-cache")
    assert answers_by_plan() == computed + 1
    assert fresh.headers["cache-control"] == "no-store"
    refused = await web.get("{nothing}")
    assert refused.headers["cache-control"] == "no-store"


async def learner_keys(desk: Desk, *names: str) -> list[int]:
    async with desk.pool.acquire() as connection:
        rows = await connection.fetch(
            "SELECT learner_key FROM log.learners WHERE learner_id = ANY ($1::text[]) ORDER BY 1", names
        )
    return [row["learner_key"] for row in rows]
