"""The reference clients of both protocols, from npm, understand us, and we them."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import running_system

from acceptance.system import judged, post, text

SCRIPT = Path(__file__).parent / "live_clients.mjs"
PACKAGES = ("graphql@16", "graphql-ws@6.2.0", "graphql-sse@2.6.0", "ws@8")


@pytest.fixture(scope="module")
def clients(scratch: Path) -> Path:
    """A folder with the clients."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = scratch / "npm-live"
    folder.mkdir()
    try:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--silent", *PACKAGES],
            cwd=folder, check=True, timeout=120, capture_output=True,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"the clients cannot be installed from npm: {error}")
    (folder / "package.json").touch()
    return folder


@pytest.fixture(scope="module")
def up(scratch: Path) -> Iterator[running_system]:
    with running_system(scratch / "clients") as system:
        yield system


@contextmanager
def killed_afterwards(process: subprocess.Popen[str], seconds: float = 60) -> Generator[None]:
    """The process ends with the block, or after so many seconds: whoever reads its lines is not kept waiting."""
    alarm = threading.Timer(seconds, process.kill)
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()
        process.kill()


def test_reference_clients_are_told_of_changes(up: running_system, clients: Path) -> None:
    def review() -> None:
        assert post(up.command_url, text(judged(subject="ada"))).status_code == 201

    review()
    command = ["node", str(SCRIPT), str(clients), up.query_url, "ada"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
        killed_afterwards(process),
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        for number, name in enumerate(
            ("graphql-ws", "graphql-sse, distinct", "graphql-sse, single"), start=1
        ):
            process.stdin.write("go on\n")
            process.stdin.flush()
            told: list[Any] = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert told == [{"client": name, "answer": "Query"}, {"client": name, "reviews": number}]
            review()
            told = [json.loads(process.stdout.readline()) for _ in range(2)]
            assert told == [{"client": name, "reviews": number + 1}, {"client": name, "refused": True}]
        assert process.wait(timeout=15) == 0
