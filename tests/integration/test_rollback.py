"""Going back to former versions and forward again, what the files may say meanwhile, and who maintains it all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from progress_context.engine import builds, parking, shadow, swap
from progress_context.engine import rebuild as engine
from progress_context.engine.active import active
from progress_context.engine.bind import EVERYONE
from progress_context.engine.catalog import load
from progress_context.engine.definition import Policy
from progress_context.engine.history import History
from progress_context.engine.projector import Projector
from progress_context.engine.rebuild import abandon, bring_up, rebuild
from progress_context.engine.renewal import Mode, Renewal
from progress_context.engine.rollback import rollback
from progress_context.engine.selection import wishes
from progress_context.engine.shards import reshard
from progress_context.engine.worker import Worker
from progress_context.errors import RollbackImpossible
from progress_context.log.event import NewEvent
from waiting import until
from world import Rows, World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PAGES = """\
-- name:   pages
-- kind:   fold
-- grain:  learner_key, book
-- update: realtime
SELECT learner_key, data->>'book' AS book, count(*) AS pages, sum((data->>'minutes')::int) AS minutes
FROM   events
WHERE  type = 'app.PageRead'
GROUP  BY learner_key, book
"""
READING = """\
-- name:   reading
-- kind:   rollup
-- grain:  learner_key
-- update: realtime
SELECT learner_key, sum(weight) AS row_count, sum(weight * pages) AS pages, sum(weight * minutes) AS minutes
FROM   pages
GROUP  BY learner_key
"""
HABITS = """\
-- name:   habits
-- kind:   view
-- grain:  learner_key
-- update: batch
SELECT learner_key, pages > 10 AS reader FROM reading
"""
BOOKS = """\
-- name:   books
-- kind:   rollup
-- grain:  learner_key, book
-- update: realtime
SELECT learner_key, book, sum(weight) AS row_count, sum(weight * pages) AS pages
FROM   pages
GROUP  BY learner_key, book
"""
READING_OF_BOOKS = """\
-- name:   reading
-- kind:   rollup
-- grain:  learner_key
-- update: realtime
SELECT learner_key, sum(weight) AS row_count, sum(weight * pages) AS pages
FROM   books
GROUP  BY learner_key
"""
TENFOLD = PAGES.replace("count(*)", "10 * count(*)")


def page(number: int, learner: int = 0, book: str = "Emma", minutes: object = 5) -> NewEvent:
    data = json.dumps({"book": book, "minutes": minutes})
    return NewEvent("urn:app", f"p{number}", "app.PageRead", 1, f"l{learner}", NOON, None, data)


def pages(first: int, last: int) -> list[NewEvent]:
    return [page(n, learner=n % 5, book=f"book {n % 3}") for n in range(first, last)]


class Library:
    """A world with a folder of read models of the user's own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.pool = world.pool

    def write(self, **files: str) -> None:
        """Files of the folder; an empty text removes one."""
        for name, text in files.items():
            (self.folder / f"{name}.sql").write_text(text)
            if not text:
                (self.folder / f"{name}.sql").unlink()
        self.world.catalog = load(self.folder)

    async def bring_up(self) -> list[str]:
        return await bring_up(self.pool, self.world.catalog)

    async def go_on(self, events: list[NewEvent]) -> None:
        """Append, and fold as the service does: by what the database says."""
        await self.world.append(events)
        async with self.pool.acquire() as connection:
            shards = len(await connection.fetch("SELECT DISTINCT shard FROM engine.checkpoints"))
        for shard in range(shards):
            worker = Worker(self.pool, page_events=50, poll_seconds=0.02, shard=shard, shards=shards)
            await worker.catch_up()
        await self.world.run_batch()

    async def is_exact(self) -> bool:
        """Whether everything active equals one SELECT over all events, by its own definition."""
        async with self.pool.acquire() as connection:
            standing = await active(connection)
            head = await connection.fetchval("SELECT position FROM log.head")
            for name, version in standing.versions.items():
                grain = version.model.grain
                stored = await connection.fetch(f"SELECT * FROM read.{name}")
                counted = await connection.fetch(History(standing.catalog, EVERYONE, str(head)).query(name))
                if rows(stored, grain) != rows(counted, grain):
                    return False
        return True

    async def fingerprints(self) -> dict[str, str]:
        """What is active."""
        async with self.pool.acquire() as connection:
            return {m.name: m.fingerprint for m in (await active(connection)).catalog}


def rows(records: list[asyncpg.Record], grain: tuple[str, ...]) -> Rows:
    return {tuple(r[c] for c in grain): dict(r) for r in records}


@pytest.fixture
async def library(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Library]:
    monkeypatch.setattr(shadow, "PAGE", 30)
    monkeypatch.setattr(swap, "CLOSE_ENOUGH", 10)
    world = await World(database_url).open()
    library = Library(world, tmp_path)
    library.write(pages=PAGES, reading=READING, habits=HABITS)
    await library.bring_up()
    await library.go_on(pages(0, 60))
    yield library
    await world.close()


async def test_a_rollback_brings_the_former_set_back_up_to_date_and_a_second_one_goes_forward(
    library: Library,
) -> None:
    before = await library.fingerprints()
    library.write(pages=TENFOLD)
    assert await library.bring_up() == ["habits", "pages", "reading"]
    after = await library.fingerprints()
    await library.go_on(pages(60, 120))
    done = await rollback(library.pool, "reading")
    assert sorted(done.names) == ["habits", "pages", "reading"]
    assert done.position == 120
    assert await library.fingerprints() == before
    assert await library.is_exact()
    await library.go_on(pages(120, 180))
    assert await library.is_exact()
    await rollback(library.pool, "pages")
    assert await library.fingerprints() == after
    assert await library.is_exact()
    await library.go_on(pages(180, 200))
    assert await library.is_exact()


async def test_what_was_rolled_back_is_not_built_again_until_a_file_changes_or_somebody_asks(
    library: Library,
) -> None:
    library.write(pages=TENFOLD)
    await library.bring_up()
    await rollback(library.pool, "pages")
    former = await library.fingerprints()
    assert await library.bring_up() == []
    async with library.pool.acquire() as connection:
        assert (await wishes(connection, library.world.catalog)).pinned == ("habits", "pages", "reading")
    await rebuild(library.pool, library.world.catalog, ["pages"])
    assert await library.fingerprints() != former
    assert await library.bring_up() == []
    await rollback(library.pool, "pages")
    library.write(pages=PAGES.replace("count(*)", "100 * count(*)"))
    assert await library.bring_up() == ["habits", "pages", "reading"]
    assert await library.is_exact()


async def test_what_did_not_exist_before_retires_with_a_rollback_and_stays_away(library: Library) -> None:
    library.write(pages=TENFOLD, books=BOOKS)
    assert await library.bring_up() == ["books", "habits", "pages", "reading"]
    done = await rollback(library.pool, "pages")
    assert done.removed == ("books",)
    assert "books" not in await library.fingerprints()
    assert await library.bring_up() == []
    await rollback(library.pool, "pages")
    assert "books" in await library.fingerprints()
    await library.go_on(pages(60, 80))
    assert await library.is_exact()


async def test_what_was_removed_comes_back_with_those_who_read_it_and_stays(library: Library) -> None:
    library.write(reading=READING_OF_BOOKS, books=BOOKS)
    await library.bring_up()
    library.write(reading=READING, books="")
    assert await library.bring_up() == ["habits", "reading"]
    assert "books" not in await library.fingerprints()
    await rollback(library.pool, "reading")
    assert "books" in await library.fingerprints()
    assert await library.bring_up() == []
    await library.go_on(pages(60, 80))
    assert "books" in await library.fingerprints()
    assert await library.is_exact()


async def test_a_read_model_without_a_former_version_cannot_be_rolled_back(library: Library) -> None:
    with pytest.raises(RollbackImpossible, match="no former version"):
        await rollback(library.pool, "pages")
    with pytest.raises(RollbackImpossible, match="nothing is not active"):
        await rollback(library.pool, "nothing")


async def test_former_versions_that_do_not_fit_the_rest_stay_where_they_are(library: Library) -> None:
    library.write(pages=TENFOLD)
    await library.bring_up()
    async with library.pool.acquire() as connection:
        await connection.execute(
            "UPDATE engine.versions SET fingerprint = 'of an older release' WHERE status = 'retired'"
        )
    before = await library.fingerprints()
    with pytest.raises(RollbackImpossible, match="does not fit the rest"):
        await rollback(library.pool, "pages")
    assert await library.fingerprints() == before
    await library.go_on(pages(60, 80))
    assert await library.is_exact()


async def test_another_policy_is_rolled_back_with_those_who_read_it(library: Library) -> None:
    lenient = load(library.folder, Policy(streak_grace=True))
    built = await bring_up(library.pool, lenient)
    assert "streak_runs" in built
    assert "pages" not in built
    async with library.pool.acquire() as connection:
        assert (await active(connection)).catalog.policy.streak_grace
    await rollback(library.pool, "streak_runs")
    async with library.pool.acquire() as connection:
        assert not (await active(connection)).catalog.policy.streak_grace
    await library.go_on(pages(60, 80))
    assert await library.is_exact()


async def test_a_rollback_that_was_interrupted_goes_on_or_is_abandoned(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.write(pages=TENFOLD)
    await library.bring_up()
    await library.go_on(pages(60, 200))
    original = shadow.Shadow.advance_within
    calls: list[int] = []

    async def die(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise asyncio.CancelledError
        await original(*arguments)

    for way_on in ("again", "abandoned"):
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setattr(shadow.Shadow, "advance_within", die)
            with pytest.raises(asyncio.CancelledError):
                await rollback(library.pool, "pages")
        assert await library.is_exact()
        if way_on == "abandoned":
            assert await abandon(library.pool) == ["habits", "pages", "reading"]
        await rollback(library.pool, "pages")
        assert await library.is_exact()
        await library.go_on(pages(200 + 100 * len(way_on), 300 + 100 * len(way_on)))


async def test_shards_and_batches_apart_come_back_together(library: Library) -> None:
    await reshard(library.pool, 3)
    await library.go_on(pages(60, 90))
    await library.world.append(pages(90, 120))
    await Worker(library.pool, page_events=50, poll_seconds=0.02, shard=0, shards=3).catch_up()
    await Worker(library.pool, page_events=7, poll_seconds=0.02, shard=2, shards=3).catch_up()
    library.write(pages=TENFOLD)
    await library.bring_up()
    async with library.pool.acquire() as connection:
        reached = await connection.fetch(
            "SELECT shard, position FROM engine.checkpoints JOIN engine.versions USING (version_id)"
            " WHERE status = 'active' AND read_model = 'pages' ORDER BY shard"
        )
    assert [row["position"] for row in reached] == [120, 90, 120]
    await library.go_on([])
    assert await library.is_exact()
    await library.go_on(pages(120, 150))
    await rollback(library.pool, "pages")
    await library.go_on([])
    assert await library.is_exact()


async def test_readers_never_fail_and_never_see_old_and_new_mixed(library: Library) -> None:
    """`reading` is made from `pages`: in one look their sums agree, whichever versions are seen."""
    stop = asyncio.Event()
    worker = Worker(library.pool, page_events=20, poll_seconds=0.01)
    working = asyncio.create_task(worker.run())
    looks = 0

    async def look() -> None:
        nonlocal looks
        last = 0
        connection = await asyncpg.connect(
            library.world.url, server_settings={"role": "progress_query", "search_path": "read"}
        )
        while not stop.is_set():
            row = await connection.fetchrow(
                "SELECT (SELECT sum(pages) FROM pages) AS fine, (SELECT sum(pages) FROM reading) AS coarse,"
                "       (SELECT sum(minutes) FROM reading) AS minutes"
            )
            assert row is not None
            assert row["fine"] == row["coarse"]
            assert row["minutes"] >= last, "what was seen is not taken back"
            last = row["minutes"]
            looks += 1
        await connection.close()

    readers = [asyncio.create_task(look()) for _ in range(2)]
    for round_ in range(4):
        new = pages(100 + 50 * round_, 150 + 50 * round_)
        writing = asyncio.create_task(library.world.append(new, [5] * 9))
        library.write(pages=PAGES.replace("count(*)", f"{round_ + 2} * count(*)"))
        await library.bring_up()
        await rollback(library.pool, "pages")
        await writing
    stop.set()
    await asyncio.gather(*readers)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert looks > 20
    await library.go_on([])
    assert await library.is_exact()


@pytest.mark.parametrize("mode", ["auto", "ask", "never"])
async def test_an_edited_file_waits_for_nobody_or_for_a_word(
    library: Library, mode: Mode, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await library.fingerprints()
    library.write(pages=TENFOLD, habits="")
    await Renewal(library.pool, library.world.catalog, mode).run()
    log = capsys.readouterr()
    assert ("rebuild_awaited" in log.out + log.err) == (mode == "ask")
    await library.go_on(pages(60, 120))
    assert await library.is_exact()
    fingerprints = await library.fingerprints()
    assert (fingerprints == before) == (mode != "auto")
    assert ("habits" in fingerprints) == (mode != "auto")
    await rebuild(library.pool, library.world.catalog, ["pages"])
    assert "habits" not in await library.fingerprints()
    assert await library.bring_up() == []
    await library.go_on(pages(120, 140))
    assert await library.is_exact()


async def test_while_the_service_builds_it_keeps_the_old_version_up_to_date(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, reached, go_on = builds.note_filled, asyncio.Event(), asyncio.Event()

    async def wait(*arguments: Any) -> None:
        reached.set()
        await go_on.wait()
        await original(*arguments)

    monkeypatch.setattr(builds, "note_filled", wait)
    before = await library.fingerprints()
    library.write(pages=TENFOLD)
    projector = Projector(
        library.pool, shards=1, page_events=50, poll_seconds=0.02, batch_seconds=0.05,
        singles={"rebuild": Renewal(library.pool, library.world.catalog, "auto").run},
    )  # fmt: skip
    running = asyncio.create_task(projector.run())
    await reached.wait()
    await library.world.append(pages(60, 120))
    await reflected(library, "SELECT sum(pages) = 120 FROM read.reading")
    assert await library.fingerprints() == before
    go_on.set()
    await reflected(library, "SELECT sum(pages) = 1200 FROM read.reading")
    await library.world.append(pages(120, 150))
    await reflected(library, "SELECT sum(pages) = 1500 FROM read.reading")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def reflected(library: Library, condition: str) -> None:
    """Wait until the read models say so."""
    async with library.pool.acquire() as connection:
        await until(lambda: connection.fetchval(condition), seconds=20)


async def test_a_learner_who_was_parked_meanwhile_is_complete_in_the_version_that_comes_back(
    library: Library,
) -> None:
    roomy = PAGES.replace("::int", "::bigint")
    await library.go_on([page(1000, learner=1, minutes=99_999_999_999)])
    async with library.pool.acquire() as connection:
        [parked] = await parking.parked(connection)
    library.write(pages=roomy)
    await library.bring_up()
    await library.go_on(pages(60, 80))
    library.write(pages=roomy.replace("count(*)", "2 * count(*)"))
    await library.bring_up()
    await library.go_on(pages(80, 100))
    assert not await library.is_exact()
    assert await parking.retry(library.pool, parked["position"], 1)
    assert await library.is_exact()
    await library.go_on(pages(100, 120))
    await rollback(library.pool, "pages")
    assert await library.is_exact()


async def test_a_rebuild_of_everything_takes_up_what_was_parked(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.go_on([page(1000, learner=1, minutes=99_999_999_999)])
    await library.go_on(pages(60, 80))
    library.write(pages=PAGES.replace("::int", "::bigint"))
    everything = [model.name for model in library.world.catalog.stored()]

    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(engine, "finish", die)
        with pytest.raises(asyncio.CancelledError):
            await rebuild(library.pool, library.world.catalog, everything)
    await library.go_on(pages(200, 220))
    await rebuild(library.pool, library.world.catalog, everything)
    async with library.pool.acquire() as connection:
        assert await parking.parked(connection) == []
    await library.go_on(pages(80, 100))
    assert await library.is_exact()
