"""A user's own read model: from a file in a folder to rows in an answer, and what an edit would change."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import running_system

from ports import free_port
from progress_context.engine.catalog import load
from progress_context.engine.preview import Preview, preview
from progress_context.engine.rebuild import bring_up
from progress_context.engine.shards import reshard
from progress_context.log.database import Pool, open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from progress_context.query.positions import Positions
from waiting import eventually
from world import World

DOC = Path(__file__).parents[2] / "docs" / "own-read-models.md"
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
EXAMPLES = {
    found[1]: found[0]
    for found in re.findall(r"```sql\n(-- name:   (\w+)\n.*?)```", DOC.read_text(), re.DOTALL)
}
REVIEWS_BY_DAY = """\
-- name:   reviews_by_hour
-- kind:   fold
-- grain:  learner_key, learning_day
-- update: realtime
SELECT learner_key, learning_day, count(*) AS reviews FROM events GROUP BY learner_key, learning_day
"""
ROWS = 'query($name:String!,$first:Int){readModel(name:$name,userId:"ada",first:$first){about grain columns rows totalCount}}'


def judged(
    number: int,
    learner: str = "ada",
    *,
    hours: int = 0,
    judgment: str = "AutoConfirmed",
    zone: str | None = None,
) -> NewEvent:
    data = json.dumps({"item_id": f"i{number}", "judgment": judgment})
    at = NOON + timedelta(hours=hours, seconds=number)
    return NewEvent("urn:t", f"{learner}-{number}", "learning.CorrectnessJudged", 1, learner, at, zone, data,
                    context=json.dumps({"timezone": zone}) if zone else None)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in EXAMPLES.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


@pytest.fixture
async def world(database_url: str, folder: Path) -> AsyncIterator[World]:
    world = World(database_url)
    world.catalog = load(folder)
    yield await world.open()
    await world.close()


@pytest.fixture
async def pool(world: World) -> AsyncIterator[Pool]:
    pool = await open_pool(world.url, "progress_query", size=2)
    yield pool
    pool.terminate()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "progress_context", *arguments],
        env={**os.environ, "COLUMNS": "300", "TERM": "dumb", **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_example_of_the_docs_goes_from_a_file_to_an_answer(scratch: Path, folder: Path) -> None:
    assert list(EXAMPLES) == ["reviews_by_hour", "best_hours"]
    assert len(EXAMPLES["reviews_by_hour"].splitlines()) <= 15
    with running_system(scratch / "own", environment={"PROGRESS_READ_MODELS": str(folder)}) as system:
        reviews = [
            {
                "specversion": "1.0", "source": "urn:t", "id": f"e{number}", "subject": "ada",
                "type": "learning.CorrectnessJudged", "time": f"2026-11-{1 + number % 20:02}T23:30:00+09:00",
                "data": {"item_id": f"i{number}", "judgment": "AutoConfirmed" if number % 3 else "UserConfirmedIncorrect"},
            }
            for number in range(30)
        ]  # fmt: skip
        answer = httpx.post(
            f"{system.command_url}/events",
            json=reviews,
            headers={"content-type": "application/cloudevents-batch+json"},
        )
        assert answer.status_code in (200, 201), answer.text
        by_hour = {"hour": 23, "reviews": 30, "correct": 20}
        eventually(lambda: rows_of(system.query_url, "reviews_by_hour") == [by_hour])
        assert rows_of(system.query_url, "best_hours") == [{"hour": 23, "accuracy": 20 / 30, "place": 1}]
        listed = run(
            "read-models",
            "list",
            DATABASE_URL=database_url_of(scratch / "own"),
            PROGRESS_READ_MODELS=str(folder),
        )
        assert re.search(r"reviews_by_hour +fold +realtime +learner_key, hour", listed.stdout)


def test_the_error_of_the_docs_is_what_the_check_says(tmp_path: Path) -> None:
    told = re.search(r"^(my-read-models/.*)$", DOC.read_text(), re.MULTILINE)
    assert told is not None
    file = tmp_path / "my-read-models" / "reviews_by_hour.sql"
    file.parent.mkdir()
    file.write_text(re.sub(r"(?<=THEN )occurred_at", "ocurred_at", EXAMPLES["reviews_by_hour"]))
    done = run("read-models", "check", str(file), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert (done.returncode, done.stdout) == (1, f"{tmp_path}/{told[1]}\n")
    file.write_text(EXAMPLES["reviews_by_hour"])
    done = run("read-models", "check", str(file), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert done.returncode == 0
    assert "no errors: checked here; not by PostgreSQL: PostgreSQL cannot be reached" in done.stderr


def database_url_of(data_dir: Path) -> str:
    from progress_context.local.postgres import running_url

    url = running_url(data_dir)
    assert url is not None
    return url


def rows_of(url: str, name: str) -> Any:
    answer = httpx.post(f"{url}/graphql", json={"query": ROWS, "variables": {"name": name}}).json()
    return answer["data"]["readModel"]["rows"] if "errors" not in answer else answer


async def ask(world: World, pool: Pool, name: str, **variables: Any) -> Any:
    executor = Executor(
        pool, world.catalog, Calendar("UTC", 0), Positions(pool), lambda: NOON + timedelta(days=1)
    )
    answer = await executor.answer(ROWS, {"name": name, **variables})
    return json.loads(json.dumps(answer.get("errors") or answer["data"]["readModel"]))


async def test_rows_of_any_read_model_are_in_the_api(world: World, pool: Pool) -> None:
    await world.append([
        *(judged(n, hours=n) for n in range(5)),
        judged(9, judgment="UserConfirmedIncorrect", zone="Asia/Tokyo"),
        judged(1, "bob"),
    ])  # fmt: skip
    await world.catch_up()
    answer = await ask(world, pool, "reviews_by_hour", first=2)
    assert answer == {
        "about": "In which hours of their own day a learner reviews, and how well.",
        "grain": ["hour"], "columns": ["hour", "reviews", "correct"], "totalCount": 6,
        "rows": [{"hour": 12, "reviews": 1, "correct": 1}, {"hour": 13, "reviews": 1, "correct": 1}],
    }  # fmt: skip
    assert (await ask(world, pool, "reviews_by_hour"))["rows"][-1] == {"hour": 21, "reviews": 1, "correct": 0}
    [streak] = (await ask(world, pool, "streak"))["rows"]
    assert (streak["current"], streak["last_active_day"]) == (1, "2026-11-02")
    assert (await ask(world, pool, "item_catalogue"))["rows"] == []
    assert (await ask(world, pool, "best_hours"))["totalCount"] == 0
    for name in world.catalog.models:
        assert "rows" in await ask(world, pool, name), name


@pytest.mark.parametrize(
    ("name", "first", "says"),
    [
        ("review_by_hour", 5, "did you mean 'reviews_by_hour'?"),
        ("nothing", 5, "there is no read model 'nothing'; there are active_days"),
        ("streak", 0, "first must be from 1 to 500"),
        ("streak", 501, "first must be from 1 to 500"),
    ],
)
async def test_a_question_without_an_answer_says_why(
    world: World, pool: Pool, name: str, first: int, says: str
) -> None:
    [error] = await ask(world, pool, name, first=first)
    assert says in error["message"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def previewed(world: World, folder: Path, text: str, **options: Any) -> Preview:
    (folder / "reviews_by_hour.sql").write_text(text)
    (folder / "best_hours.sql").unlink(missing_ok=True)
    return await preview(world.pool, load(folder), "reviews_by_hour", **options)


async def test_what_an_edit_would_change_is_shown_before_it_is_built(world: World, folder: Path) -> None:
    text = EXAMPLES["reviews_by_hour"]
    await world.append([judged(n, f"l{n % 4}", hours=n % 3) for n in range(40)])
    await world.catch_up()
    await reshard(world.pool, 3)
    await world.append([judged(99, "late")])
    assert (await previewed(world, folder, text)).state == "same"

    doubled = await previewed(world, folder, text.replace("count(*) AS reviews", "2 * count(*) AS reviews"))
    assert doubled.state == "changed"
    assert (doubled.added, doubled.removed, doubled.retyped) == ([], [], {})
    assert doubled.rows is not None
    assert (doubled.rows.rows, doubled.rows.changed, doubled.rows.differing) == (12, 12, 12)
    example = doubled.rows.examples[0]
    assert example.stored is not None
    assert example.computed is not None
    assert example.computed["reviews"] == 2 * example.stored["reviews"]
    assert example.columns() == ["reviews"]

    filtered = await previewed(
        world,
        folder,
        text.replace(
            "'learning.CorrectnessJudged'",
            "'learning.CorrectnessJudged' AND extract(hour FROM occurred_at) > 12",
        ),
    )
    assert filtered.rows is not None
    assert (filtered.rows.only_stored, filtered.rows.differing) == (4, 4)
    sampled = await previewed(world, folder, text.replace("type =", "type <>"), sample=2)
    assert sampled.rows is not None
    assert (sampled.learners, sampled.rows.only_stored) == (2, sampled.rows.rows)


async def test_columns_grain_and_kind_may_change_too(world: World, folder: Path) -> None:
    text = EXAMPLES["reviews_by_hour"]
    await world.append([judged(n) for n in range(4)])
    await world.catch_up()
    wider = await previewed(
        world, folder, text.replace("AS correct", "AS right").replace("::int AS hour", " AS hour")
    )
    assert (wider.added, wider.removed) == (["right"], ["correct"])
    assert wider.retyped == {"hour": ("integer", "numeric")}
    assert wider.rows is not None
    assert (wider.rows.rows, wider.rows.differing) == (1, 0)
    shown = await previewed(world, folder, text.replace("::int AS hour", "::int::text AS hour"))
    assert shown.retyped == {"hour": ("integer", "text")}
    assert shown.rows is not None
    assert (shown.rows.only_computed, shown.rows.only_stored) == (0, 0)
    assert (await previewed(world, folder, text.replace("realtime", "lazy"))).state == "lazy"
    daily = await previewed(world, folder, REVIEWS_BY_DAY)
    assert daily.rows is None
    assert daily.grain_before == ("learner_key", "hour")
    assert (await preview(world.pool, world.catalog, "nothing")).state == "gone"
    (folder / "more.sql").write_text(text.replace("reviews_by_hour", "more"))
    assert (await preview(world.pool, load(folder), "more")).state == "new"


async def test_the_commands_say_what_is_there_and_what_is_wrong(world: World, folder: Path) -> None:
    await world.append([judged(n, f"l{n % 4}", hours=n % 3) for n in range(40)])
    await world.catch_up()
    await bring_up(world.pool, world.catalog)
    environment = {
        "DATABASE_URL": world.url,
        "PROGRESS_READ_MODELS": str(folder),
        "PROGRESS_PROJECTION_PORT": str(free_port()),
    }

    async def told(*arguments: str, code: int = 0) -> str:
        done = await asyncio.to_thread(run, *arguments, **environment)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert (
        f"{len(world.catalog.models)} read models, no errors: checked here and by PostgreSQL"
        in await told("read-models", "check")
    )
    described = await told("read-models", "describe", "reviews_by_hour")
    assert re.search(r"hour +integer +\(grain\)", described)
    assert re.search(r"reviews +bigint +sum", described)
    assert "GROUP  BY learner_key, hour" in described
    listed = await told("read-models", "list")
    assert re.search(r"best_hours +view +lazy", listed)
    assert re.search(r"reviews_by_hour +fold +realtime +learner_key, hour .* 40 +0 *\n", listed)
    assert "nothing would change" in await told("read-models", "diff", "reviews_by_hour")
    assert "no read model 'nothing'" in await told("read-models", "diff", "nothing", code=2)
    assert "sound: " in await told("verify")
    assert "best_hours is lazy" in await told("verify", "best_hours", code=2)

    async with world.pool.acquire() as connection:
        await connection.execute(
            f"UPDATE {(await world.versions())['reviews_by_hour'].table} SET reviews = 7 WHERE learner_key = 2 AND hour = 13"
        )
    damaged = await told("verify", "reviews_by_hour", "--sample", "9", code=1)
    assert "reviews_by_hour: 1 of 12 rows differ" in damaged
    assert "learner_key 2, hour 13: reviews is 7, computed 4" in damaged

    edited = folder / "reviews_by_hour.sql"
    edited.write_text(edited.read_text().replace("count(*) AS reviews", "count(upper(1)) AS reviews"))
    refused = f"{edited}:9:14: function upper(integer) does not exist"
    assert refused in await told("read-models", "check", code=1)
    assert refused in await told("serve", "projection", code=2)
    edited.write_text(
        edited.read_text().replace("upper(1)", "*").replace("count(*) FILTER", "avg(posision) FILTER")
    )
    wrong = await told("read-models", "check", str(edited), code=1)
    assert [line.split("[")[-1] for line in wrong.splitlines()] == ["merge]", "columns]", "2 errors"]
    for service in ("projection", "query"):
        said = await told("serve", service, code=2)
        assert [line for line in wrong.splitlines() if line.endswith("]") and line not in said] == []
