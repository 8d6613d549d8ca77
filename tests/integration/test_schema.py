"""The schema that clients rely on: the file in the docs is what a deployment prints, and breaks nobody unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graphql import build_schema
from tests.conftest import ROOT

from progress_context.query.schema import breaking_changes, printed, version_of
from world import World

SCHEMA = ROOT / "docs/schema.graphql"
HOURS = """\
-- name:   reviews_by_hour
-- about:  In which hours of their own day a learner reviews, and how well.
-- kind:   fold
-- grain:  learner_key, hour
-- update: lazy
SELECT learner_key,
       extract(hour FROM occurred_at)::int AS hour,  -- UTC
       count(*) AS reviews,
       avg(1.5::float8) AS mean,
       jsonb_agg(id) AS ids
FROM   events
WHERE  type = 'learning.CorrectnessJudged'
GROUP  BY learner_key, hour
"""


@pytest.fixture(scope="module")
async def world(module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url).open()
    yield world
    await world.close()


def run(world: World, *arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "progress_context", "schema", *map(str, arguments)]
    environment = {**os.environ, "DATABASE_URL": world.url, **settings}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_schema_in_the_docs_is_the_one_that_is_served(world: World) -> None:
    served, kept = run(world).stdout, SCHEMA.read_text("utf-8")
    assert breaking_changes(kept, served) == [], (
        "raise VERSION in query/schema.py and tell it in CHANGELOG.md"
    )
    assert served == kept, "run `progress-context schema --write docs/schema.graphql` without own read models"


def test_every_field_argument_and_value_of_the_api_is_described() -> None:
    schema = build_schema(SCHEMA.read_text("utf-8"))
    named_by_themselves = {
        "date", "itemId", "code", "text", "node", "edges", "type", "name", "from", "to", "lastActiveDay", "firstActiveDay",
        "userId", "nextMilestone", "period", "summary", "streak", "milestone",
    }  # fmt: skip
    lacking = [
        f"{type_name}.{name}"
        for type_name, type_ in schema.type_map.items()
        if not type_name.startswith("__") and not type_name.endswith("Row") and hasattr(type_, "fields")
        for name, field in getattr(type_, "fields").items()  # noqa: B009 - of several classes
        if field.description is None and name not in named_by_themselves
    ]
    assert lacking == []


def test_a_read_model_of_ones_own_has_a_type(world: World, tmp_path: Path) -> None:
    (tmp_path / "reviews_by_hour.sql").write_text(HOURS)
    schema = run(world, PROGRESS_READ_MODELS=str(tmp_path)).stdout
    assert (
        '"""In which hours of their own day a learner reviews, and how well."""\n'
        "type ReviewsByHourRow {\n"
        '  """UTC"""\n'
        "  hour: Int!\n"
        "  reviews: Number\n"
        "  mean: Float\n"
        "  ids: JSON\n"
        "}\n"
    ) in schema
    assert "| ReviewsByHourRow" in schema


def test_what_breaks_clients_is_not_written_unnoticed(world: World, tmp_path: Path) -> None:
    text = run(world).stdout
    file = tmp_path / "schema.graphql"
    file.write_text(text.replace("type Learner {", "type Learner {\n  nickname: String"))
    compared = run(world, "--compare", file)
    assert (compared.returncode, compared.stdout) == (1, "Field Learner.nickname was removed.\n")
    refused = run(world, "--write", file)
    assert refused.returncode == 2
    assert "raise the version" in refused.stderr.replace("\n", " ")
    assert "nickname" in file.read_text()
    file.write_text(file.read_text().replace("schema version 1", "schema version 0"))
    assert run(world, "--write", file).returncode == 0
    assert file.read_text() == text
    assert run(world, "--compare", file).returncode == 0


def test_what_only_adds_is_written(world: World, tmp_path: Path) -> None:
    text = run(world).stdout
    file = tmp_path / "schema.graphql"
    file.write_text(text.replace("  lastActiveDay: Date\n", "", 1))
    assert run(world, "--compare", file).returncode == 0
    assert run(world, "--write", file).returncode == 0
    assert version_of(file.read_text()) == 1
    assert printed(build_schema(file.read_text())) == text
