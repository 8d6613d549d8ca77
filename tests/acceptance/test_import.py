"""`import xapi` of a real learning record store: complete, repeatable, resumable, and clear about bad lines."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from tests.conftest import running_system

from acceptance.system import System, checkpoints, database_of, fetch, head
from progress_context.intake.xapi import map_statement_lines
from progress_context.log.event import NewEvent
from waiting import eventually
from world import World

STATEMENTS = 22_000
LEARNERS = 1_452
WHOLE_LOG = "SELECT position, source, id, recorded_at FROM log.events ORDER BY position"

Tables = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


@pytest.fixture(scope="module")
def store(scratch: Path) -> Iterator[System]:
    """An empty system."""
    folder = scratch / "import"
    with running_system(folder) as running:
        yield System(running.command_url, database_of(folder), running.projection_url)


@pytest.fixture
def file(shared_data: Path) -> Path:
    return shared_data / "ralph_xapi" / "statements.json.gz"


class Import:
    """One `import xapi` in a process of its own."""

    def __init__(self, store: System, notes: Path, *arguments: str, stdin: bytes = b"") -> None:
        program = [sys.executable, "-m", "progress_context", "import", "xapi"]
        self._stdin = stdin
        self.process = subprocess.Popen(
            [*program, "--url", store.url, "--data-dir", str(notes), *arguments],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "COLUMNS": "300", "TERM": "dumb"},
        )

    def told(self) -> str:
        """What it says at its end."""
        _, told = self.process.communicate(self._stdin, timeout=120)
        return told.decode()


def counts(stored: int = 0, duplicate: int = 0, conflict: int = 0, invalid: int = 0) -> str:
    return f"{stored:,} stored, {duplicate:,} duplicate, {conflict:,} conflict, {invalid:,} invalid"


def row_counts(database: str) -> dict[str, int]:
    names = [
        row[0] for row in fetch(database, "SELECT viewname::text FROM pg_views WHERE schemaname = 'read'")
    ]
    assert len(names) >= 7
    return {name: fetch(database, f"SELECT count(*) FROM read.{name}")[0][0] for name in names}


def caught_up(database: str) -> None:
    eventually(lambda: checkpoints(database) == {head(database)}, timeout=60)


def test_an_interrupted_import_goes_on_and_a_repeated_one_changes_nothing(
    store: System, file: Path, tmp_path: Path
) -> None:
    first = Import(store, tmp_path, str(file))
    eventually(lambda: head(store.database) > 2_000, timeout=30, pause=0.01)
    first.process.kill()
    first.told()
    assert 2_000 < head(store.database) < STATEMENTS

    told = Import(store, tmp_path, str(file)).told()
    counted = re.search(r"([\d,]+) stored, ([\d,]+) duplicate, 0 conflict, 0 invalid, ([\d,]+) sent by", told)
    assert counted is not None, told
    stored, duplicate, before = (int(number.replace(",", "")) for number in counted.groups())
    assert (stored + duplicate + before, duplicate < 2_000, before >= 1_000) == (STATEMENTS, True, True)
    caught_up(store.database)
    assert fetch(store.database, "SELECT count(*) FROM log.learners")[0][0] == LEARNERS
    log, rows = fetch(store.database, WHOLE_LOG), row_counts(store.database)
    assert len(log) == STATEMENTS

    assert counts(duplicate=STATEMENTS) in Import(store, tmp_path, str(file)).told()
    caught_up(store.database)
    assert fetch(store.database, WHOLE_LOG) == log
    assert row_counts(store.database) == rows


def some(file: Path, *, salt: str, size: int = 20) -> list[dict[str, Any]]:
    """Real statements under ids that nobody used before."""
    with gzip.open(file) as lines:
        statements = [json.loads(next(lines)) for _ in range(size)]
    return [statement | {"id": f"{salt}-{statement['id']}"} for statement in statements]


def lines(statements: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(statement).encode() + b"\n" for statement in statements)


@pytest.mark.parametrize("form", ["lines", "array", "pretty array", "gzip", "blank lines", "one statement"])
def test_every_form_is_read_from_files_and_from_standard_input(
    store: System, file: Path, tmp_path: Path, form: str
) -> None:
    statements = some(file, salt=form, size=1 if form == "one statement" else 20)
    text = {
        "array": json.dumps(statements).encode(),
        "pretty array": json.dumps(statements, indent=2).replace("\n", "\r\n").encode(),
        "gzip": gzip.compress(lines(statements)),
        "blank lines": b"\r\n \n" + lines(statements).replace(b"\n", b"\r\n\r\n"),
    }.get(form, lines(statements))
    (tmp_path / "statements").write_bytes(text)
    assert counts(stored=len(statements)) in Import(store, tmp_path, str(tmp_path / "statements")).told()
    assert counts(duplicate=len(statements)) in Import(store, tmp_path, "--", "-", stdin=text).told()


def test_a_dash_is_standard_input(store: System, file: Path, tmp_path: Path) -> None:
    text = lines(some(file, salt="dash"))
    assert counts(stored=20) in Import(store, tmp_path, "-", stdin=text).told()


def test_bad_lines_are_named_and_the_others_stored(store: System, file: Path, tmp_path: Path) -> None:
    good = lines(some(file, salt="bad-lines")).splitlines(keepends=True)
    nobody = {name: value for name, value in some(file, salt="nobody")[0].items() if name != "actor"}
    huge = json.dumps(some(file, salt="huge")[0] | {"note": "x" * 9_000_000}).encode()
    bad = [b"{\n", json.dumps(nobody).encode() + b"\n", b"[1]\n", b"{\n", huge + b"\n"]
    text = b"".join(line for pair in zip(good, bad, strict=False) for line in pair) + b"".join(
        good[len(bad) :]
    )
    (tmp_path / "statements").write_bytes(text)
    told = Import(store, tmp_path, str(tmp_path / "statements")).told()
    assert counts(stored=len(good), invalid=len(bad)) in told
    assert re.search(r"actor: .*\(line 4\)", told)
    assert re.search(r"not JSON.*\(line 2, 8\)", told)
    assert re.search(r"More than 262144 bytes \(line 10\)", told)


def test_large_statements_are_sent_in_requests_the_service_takes(
    store: System, file: Path, tmp_path: Path
) -> None:
    statements = [one | {"note": "x" * 200_000} for one in some(file, salt="large", size=100)]
    (tmp_path / "statements").write_bytes(lines(statements))
    assert counts(stored=100) in Import(store, tmp_path, str(tmp_path / "statements")).told()


DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated gzip": (lambda text: gzip.compress(text)[:-20], "is damaged"),
    "corrupt gzip": (lambda text: gzip.compress(text)[:40] + b"\xff" * 40, "is damaged"),
    "half an array": (lambda text: b"[" + text.splitlines()[0] + b",", "not JSON"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_clear_line(store: System, file: Path, tmp_path: Path, name: str) -> None:
    damage, complaint = DAMAGED[name]
    (tmp_path / "statements").write_bytes(damage(lines(some(file, salt=name))))
    attempt = Import(store, tmp_path, str(tmp_path / "statements"))
    last = attempt.told().splitlines()[-1]
    assert attempt.process.returncode == 1
    assert last.startswith("error: ")
    assert complaint in last


@pytest.fixture
def events(file: Path) -> list[NewEvent]:
    mapped = map_statement_lines(gzip.decompress(file.read_bytes()), now=datetime.now(UTC))
    return [event for event in mapped if isinstance(event, NewEvent)]


async def test_any_order_and_any_batches_give_the_same_read_models(
    events: list[NewEvent], database_url: str
) -> None:
    assert len(events) == STATEMENTS
    dice = random.Random(7)
    world = await World(database_url).open()
    try:
        await world.append(events)
        await world.catch_up()
        await world.rebuild(shards=2)
        in_order = by_learner_id(await world.tables(), await learner_ids(world))
        await world.clear()
        await world.append(dice.sample(events, STATEMENTS), sizes=[dice.randint(1, 1_500) for _ in range(40)])
        await world.catch_up(sizes=[dice.randint(1, 4_000) for _ in range(30)])
        await world.run_batch()
        assert by_learner_id(await world.tables(), await learner_ids(world)) == in_order
        assert len(in_order["daily_stats"]) > LEARNERS
    finally:
        await world.close()


async def learner_ids(world: World) -> dict[int, str]:
    async with world.pool.acquire() as connection:
        rows = await connection.fetch("SELECT learner_key, learner_id FROM log.learners")
    return {row["learner_key"]: row["learner_id"] for row in rows}


def by_learner_id(tables: Tables, ids: dict[int, str]) -> dict[str, list[str]]:
    """The rows under public ids; positions inside stamps left out, since another order has others."""

    def value(column: str, cell: Any) -> Any:
        if column == "learner_key":
            return ids[cell]
        is_stamp = isinstance(cell, list) and not isinstance(cast("list[Any]", cell)[0], asyncpg.Range)
        return (cell[0], cell[2]) if is_stamp else cell

    def shown(row: dict[str, Any]) -> str:
        return repr({column: value(column, cell) for column, cell in row.items()})

    return {name: sorted(map(shown, rows.values())) for name, rows in tables.items()}
