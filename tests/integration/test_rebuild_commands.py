"""`rebuild`, `rollback` and `serve projection` as processes: what a person types, and what they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import answers

from ports import free_port
from progress_context.engine.active import active
from progress_context.engine.catalog import load
from progress_context.engine.rebuild import bring_up
from progress_context.log.event import NewEvent
from waiting import eventually, until
from world import World

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PAGES = """\
-- name:   pages
-- kind:   fold
-- grain:  learner_key
-- update: realtime
SELECT learner_key, count(*) AS pages
FROM   events
WHERE  type = 'app.PageRead'
GROUP  BY learner_key
"""
TENFOLD = PAGES.replace("count(*)", "10 * count(*)")


def pages(first: int, last: int) -> list[NewEvent]:
    return [
        NewEvent("urn:app", f"p{n}", "app.PageRead", 1, "ada", NOON, None, "{}") for n in range(first, last)
    ]


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A deployment with a read model of its own, whose file was edited since it was built."""
    (tmp_path / "pages.sql").write_text(PAGES)
    world = await World(database_url).open()
    world.catalog = load(tmp_path)
    await bring_up(world.pool, world.catalog)
    await world.append(pages(0, 30))
    await world.catch_up()
    (tmp_path / "pages.sql").write_text(TENFOLD)
    yield world
    await world.close()


def environment(world: World, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": ":".join(sys.path),
        "COLUMNS": "500",
        "DATABASE_URL": world.url,
        "PROGRESS_READ_MODELS": str(folder),
    }


def run(world: World, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "progress_context", *command.split()]
    return subprocess.run(
        argv, env=environment(world, folder), capture_output=True, text=True, timeout=60, check=False
    )


async def shown(world: World) -> int:
    async with world.pool.acquire() as connection:
        return await connection.fetchval("SELECT sum(pages)::int FROM read.pages")


async def test_what_would_be_done_is_shown_and_not_done(world: World, tmp_path: Path) -> None:
    plan = run(world, tmp_path, "rebuild pages --dry-run")
    assert plan.returncode == 0
    assert "pages" in plan.stdout
    assert "from 30 events; nothing was done" in plan.stdout
    assert "daily_stats" not in plan.stdout
    assert await shown(world) == 30
    everything = run(world, tmp_path, "rebuild --all --dry-run")
    assert "daily_stats" in everything.stdout


async def test_rebuild_then_rollback_then_rebuild(world: World, tmp_path: Path) -> None:
    listed = run(world, tmp_path, "read-models list").stdout
    assert "edited or new: pages; to be built by the projection service, when it starts" in listed
    built = run(world, tmp_path, "rebuild pages")
    assert "building pages from 30 events" in built.stderr
    assert "swapped at position 30" in built.stderr
    assert await shown(world) == 300
    back = run(world, tmp_path, "rollback pages")
    assert "rolled back at position 30: pages" in back.stderr
    assert "until one of their files changes, or `rebuild pages` is given" in back.stderr
    assert await shown(world) == 30
    listed = run(world, tmp_path, "read-models list").stdout
    assert "rolled back: pages; until one of their files changes, or `rebuild NAME`" in listed
    assert run(world, tmp_path, "rebuild pages").returncode == 0
    assert await shown(world) == 300


@pytest.mark.parametrize(
    ("command", "complaint", "code"),
    [
        ("rebuild", "name read models, or give --all", 2),
        ("rebuild nosuch", "no stored read model nosuch", 2),
        ("rebuild pages --shards 0", "--shards must be at least 1", 2),
        ("rebuild pages --from-snapshot", "no sound snapshot", 1),
        ("rollback pages", "no former version", 1),
        ("rebuild --abandon", "nothing to abandon", 0),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line(
    world: World, tmp_path: Path, command: str, complaint: str, code: int
) -> None:
    answer = run(world, tmp_path, command)
    assert answer.returncode == code
    assert complaint in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("mode", ["auto", "ask"])
async def test_a_service_with_an_edited_file_is_ready_and_up_to_date(
    world: World, tmp_path: Path, mode: str
) -> None:
    port = free_port()
    settings = {"PROGRESS_PROJECTION_PORT": str(port), "PROGRESS_REBUILD": mode}
    log = tmp_path / "service.log"
    with log.open("wb") as out:
        service = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            [sys.executable, "-m", "progress_context", "serve", "projection"],
            env=environment(world, tmp_path) | settings, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/readyz"), timeout=30)
        expected = "rebuild_awaited" if mode == "ask" else '"event": "rebuilt"'
        eventually(lambda: expected in log.read_text(), timeout=30)
        await world.append(pages(30, 50))
        async with world.pool.acquire() as connection:
            standing = await active(connection)
        assert (standing.catalog["pages"].fingerprint != load(tmp_path)["pages"].fingerprint) == (
            mode == "ask"
        )
        goal = 50 if mode == "ask" else 500

        async def reflected() -> bool:
            return await shown(world) == goal

        await until(reflected, seconds=30)
        assert answers(f"http://127.0.0.1:{port}/readyz")
    finally:
        service.terminate()
        service.wait(timeout=20)
