"""`up` and its data folder: restarts, Ctrl-C, ports that are taken, settings that are wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tests.conftest import answers, running_system

from acceptance.system import (
    checkpoints,
    children,
    database_of,
    fetch,
    head,
    judged,
    post,
    server_process,
    text,
)
from waiting import eventually

PROGRAM = [sys.executable, "-m", "progress_context"]
COMMANDS = ["up", "serve", "migrate", "settings", "rebuild", "import", "import xapi", "simulate"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command to its end; what it prints is not broken into lines of a terminal's width."""
    return subprocess.run(
        [*PROGRAM, *arguments],
        env={**os.environ, "COLUMNS": "300", "TERM": "dumb", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def only_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) == 1, text
    return lines[0]


def test_data_survives_a_restart_and_nobody_a_ctrl_c(scratch: Path) -> None:
    folder = scratch / "restarted"
    with running_system(folder) as first:
        assert post(first.command_url, text(judged())).status_code == 201
        database = database_of(folder)
        eventually(lambda: checkpoints(database) == {1})
        family = [
            *psutil.Process(first.process.pid).children(recursive=True),
            psutil.Process(first.process.pid),
        ]
        family += [server_process(folder, "postgres"), server_process(folder, "valkey")]
    psutil.wait_procs(family, timeout=10)
    assert [process for process in family if process.is_running()] == []
    assert "Traceback" not in first.log.read_text()

    begin = time.monotonic()
    with running_system(folder) as second:
        assert time.monotonic() - begin < 10
        assert post(second.command_url, text(judged())).json()["position"] == 2
        assert fetch(database_of(folder), "SELECT count(*) FROM log.events")[0][0] == 2
        eventually(lambda: checkpoints(database_of(folder)) == {2})


def test_kill_9_leaves_nobody_behind_and_the_next_start_goes_on(scratch: Path) -> None:
    folder = scratch / "killed"
    with running_system(folder) as first:
        position = post(first.command_url, text(judged())).json()["position"]
        family = psutil.Process(first.process.pid).children(recursive=True)
        family += [server_process(folder, "postgres"), server_process(folder, "valkey")]
        first.process.kill()
        psutil.wait_procs(family, timeout=20)
        assert [process for process in family if process.is_running()] == []
    with running_system(folder) as second:
        assert post(second.command_url, text(judged())).json()["position"] == position + 1


def test_embedded_servers_that_die_come_back(scratch: Path) -> None:
    folder = scratch / "revived"
    with running_system(folder) as system:
        services = {process.pid for process in children(system.process.pid, "serve")}
        for name in ("postgres", "valkey"):
            dead = server_process(folder, name)
            dead.kill()
            eventually(lambda name=name, dead=dead: server_process_or_none(folder, name) not in (None, dead))
        eventually(lambda: post(system.command_url, text(judged())).status_code == 201)
        eventually(lambda: checkpoints(database_of(folder)) == {head(database_of(folder))})
        assert {process.pid for process in children(system.process.pid, "serve")} == services
        told = system.log.read_text()
        for title in ("PostgreSQL", "Valkey"):
            assert f"{title} ended with status -9; starting it again" in told
            eventually(lambda title=title: f"{title} is back" in system.log.read_text())


def server_process_or_none(folder: Path, name: str) -> psutil.Process | None:
    try:
        return server_process(folder, name)
    except psutil.NoSuchProcess:
        return None


def test_a_second_system_is_refused_by_ports_and_by_data(scratch: Path) -> None:
    folder = scratch / "taken"
    with running_system(folder) as first:
        ports = {
            f"PROGRESS_{name}_PORT": url.rsplit(":", 1)[1]
            for name, url in (
                ("COMMAND", first.command_url),
                ("QUERY", first.query_url),
                ("PROJECTION", first.projection_url),
            )
        }
        second = run("up", "--data-dir", str(scratch / "other"), **ports)
        assert second.returncode == 2
        address = first.command_url.removeprefix("http://")
        assert (
            only_line(second.stderr) == f"error: command cannot listen on {address}: Address already in use"
        )
        assert not (scratch / "other").exists()
        assert answers(f"{first.command_url}/readyz")

        other_ports = dict(zip(ports, ("1", "2", "3"), strict=True))
        again = run("up", "--data-dir", str(folder), **other_ports)
        assert again.returncode == 1
        last = again.stderr.splitlines()[-1]
        assert last.startswith(f"error: the data folder {folder}/postgres is in use: PostgreSQL runs there")
        assert answers(f"{first.command_url}/readyz")


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("PROGRESS_POLL_MS", "abc", "PROGRESS_POLL_MS='abc': "),
        ("PROGRESS_POLL_MS", "0", "PROGRESS_POLL_MS='0': must be from 1 to 60,000"),
        ("PROGRESS_COMMAND_PORT", "70000", "PROGRESS_COMMAND_PORT='70000': must be from 1 to 65,535"),
        ("PROGRESS_STREAK_GRACE", "maybe", "PROGRESS_STREAK_GRACE='maybe': must be true or false"),
        ("PROGRESS_READ_MODELS", "/nowhere", "PROGRESS_READ_MODELS='/nowhere': must be an existing folder"),
        ("PROGRESS_X", "1", "PROGRESS_X is no setting; `progress-context settings` lists them"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL=…: must begin with postgresql://"),
        ("PROGRESS_DEFAULT_TIME_ZONE", "Mars/Base", "PROGRESS_DEFAULT_TIME_ZONE='Mars/Base': "),
        ("PROGRESS_HOST", "no.such.host.invalid", "cannot listen on no.such.host.invalid"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_in_one_line(
    scratch: Path, setting: str, value: str, complaint: str
) -> None:
    refused = run("up", "--data-dir", str(scratch / "wrong"), **{setting: value})
    assert refused.returncode == 2
    assert complaint in only_line(refused.stderr)
    assert not (scratch / "wrong").exists()


def test_a_value_in_brackets_is_shown_as_it_is() -> None:
    assert "PROGRESS_POLL_MS='[/b]': " in only_line(run("up", PROGRESS_POLL_MS="[/b]").stderr)


@pytest.mark.parametrize("command", ["serve command", "migrate", "rebuild --all", "simulate --log --days 1"])
def test_without_a_database_the_setting_is_named(command: str) -> None:
    refused = run(*command.split())
    assert refused.returncode == 2
    assert "DATABASE_URL is not set" in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_of_every_command(command: str) -> None:
    asked = run(*command.split(), "--help")
    assert asked.returncode == 0
    assert "Usage" in asked.stdout
    assert asked.stderr == ""


@pytest.mark.parametrize("arguments", ["fly", "up --dta-dir x", "serve everything", "import xapi", "rebuild"])
def test_a_wrong_command_line_is_refused(arguments: str) -> None:
    refused = run(*arguments.split(), DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")
    assert refused.returncode in (1, 2)
    assert refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout


def test_sigterm_is_as_good_as_ctrl_c(scratch: Path) -> None:
    with running_system(scratch / "terminated") as system:
        family = psutil.Process(system.process.pid).children(recursive=True)
        system.process.send_signal(signal.SIGTERM)
        assert system.process.wait(timeout=15) == 0
        assert [process for process in family if process.is_running()] == []
