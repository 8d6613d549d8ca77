"""The drill of docs/operations.md, "Back up and restore": a backup under load is a sound system elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.conftest import running_system

from acceptance.clients import Clients
from acceptance.system import checkpoints, database_of, fetch, head, judged, names_in_log, post, text
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.programs import POSTGRES, environment, find_program
from waiting import eventually

EVENTS = 2_000  # acknowledged before the backup begins


@dataclass(frozen=True)
class Restored:
    """A fresh server with what the backup held, and what had been acknowledged when the backup began."""

    url: str
    acknowledged: dict[str, int]
    acknowledged_later: dict[str, int]


def program(name: str, *arguments: str) -> str:
    """What a client program of PostgreSQL prints; it must end well."""
    path = find_program(POSTGRES, None).with_name(name)
    done = subprocess.run(
        [path, *arguments], env=environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def progress_context(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "progress_context", *arguments],
        env={**os.environ, "DATABASE_URL": url}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def restored(scratch: Path) -> Iterator[Restored]:
    folder, backup, roles = scratch / "drill", scratch / "drill.dump", scratch / "drill-roles.sql"
    environment = {"PROGRESS_NEWS_MAX_AGE": "48"}
    with running_system(folder, environment=environment) as system, Clients(system.command_url) as clients:
        url = database_of(folder)
        clients.acknowledge(EVENTS)
        acknowledged = clients.acknowledged()
        program("pg_dump", "--format=custom", f"--file={backup}", url)
        program("pg_dumpall", "--roles-only", "--no-role-passwords", f"--file={roles}", f"--dbname={url}")
        clients.acknowledge(100)
        clients.stop()
        later = clients.acknowledged()
    with EmbeddedPostgres(scratch / "drill-restored") as server:
        # The new server's owner has the old one's name, so this one role is there already.
        program("psql", "--quiet", f"--file={roles}", server.url)
        program("pg_restore", "--exit-on-error", f"--dbname={server.url}", str(backup))
        yield Restored(server.url, acknowledged, later)


def test_everything_acknowledged_before_the_backup_is_there_at_its_position(restored: Restored) -> None:
    names = names_in_log(restored.url)
    assert head(restored.url) == sum(len(positions) for positions in names.values())
    positions = {name: at[0] for (_, name), at in names.items()}
    assert restored.acknowledged.items() <= positions.items()
    ours = {name: at for name, at in positions.items() if name in restored.acknowledged_later}
    assert ours.items() <= restored.acknowledged_later.items()


def test_the_read_models_are_what_the_events_say(restored: Restored) -> None:
    verdict = progress_context(restored.url, "verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr
    assert "sound" in verdict.stdout


def test_the_log_still_refuses_changes_and_the_roles_have_their_rights(restored: Restored) -> None:
    for change in ("UPDATE log.events SET type = 'x'", "DELETE FROM log.events", "TRUNCATE log.events"):
        with pytest.raises(Exception, match="append-only"):
            fetch(restored.url, change)
    rights = "SELECT has_table_privilege('progress_query', 'log.events', $1)"
    assert [fetch(restored.url, rights, what)[0][0] for what in ("SELECT", "INSERT")] == [True, False]


def test_the_services_start_on_it_and_go_on(restored: Restored, scratch: Path) -> None:
    before = head(restored.url)
    settings = {"DATABASE_URL": restored.url, "PROGRESS_NEWS_MAX_AGE": "48"}
    with running_system(scratch / "drill-again", environment=settings) as system:
        event = judged(subject="learner-1")
        stored = post(system.command_url, text(event))
        assert stored.status_code == 201
        assert stored.json()["position"] > before
        assert post(system.command_url, text(event)).json()["status"] == "duplicate"
        eventually(lambda: checkpoints(restored.url) == {head(restored.url)}, timeout=30)
        question = {"query": '{ userSummary(userId: "learner-1") { reviews } }'}
        answer = httpx.post(f"{system.query_url}/graphql", json=question, timeout=30).json()
        (expected,) = fetch(
            restored.url,
            "SELECT count(*) FROM log.events JOIN log.learners USING (learner_key)"
            " WHERE learner_id = 'learner-1' AND type = 'learning.CorrectnessJudged'",
        )
        assert answer["data"]["userSummary"]["reviews"] == expected[0]
    assert progress_context(restored.url, "verify").returncode == 0
