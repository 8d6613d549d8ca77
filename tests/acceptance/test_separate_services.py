"""The three services as processes of their own: started in any order, each without the others, stopped in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.conftest import FAST, answers

from acceptance.system import checkpoints, head, judged, post, text
from ports import free_port
from progress_context.local.ports import LOOPBACK
from progress_context.local.postgres import EmbeddedPostgres
from waiting import eventually

NAMES = ("query", "projection", "command")  # whoever is asked first needs the others most
STOP_SECONDS = 10  # 8 s to drain, and the end of the process itself


class Served:
    """`progress-context serve NAME` on an address that stays the same over restarts."""

    def __init__(self, name: str, database_url: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self._environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            f"PROGRESS_{name.upper()}_PORT": str(port),
            "PROGRESS_NEWS_MAX_AGE": "0",
        }

    def start(self) -> None:
        command = [sys.executable, "-m", "progress_context", "serve", self.name]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def stop(self) -> float:
        """Seconds until it has ended of itself."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=STOP_SECONDS) == 0
        return time.monotonic() - began

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_up(self) -> bool:
        return answers(f"{self.url}/healthz")

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3_000:]
        return answers(f"{self.url}/readyz")

    def reason(self) -> str:
        """Why it is not ready."""
        return str(httpx.get(f"{self.url}/readyz").json().get("reason", ""))


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[str]:
    """The address of a server that nobody has migrated anything on."""
    with EmbeddedPostgres(tmp_path / "postgres", settings=FAST) as server:
        yield server.url


@pytest.fixture
def services(empty_database: str, tmp_path: Path) -> Iterator[dict[str, Served]]:
    """None of them started yet."""
    made = {name: Served(name, empty_database, tmp_path) for name in NAMES}
    with ExitStack() as stack:
        for service in made.values():
            stack.callback(service.kill)
        yield made


def migrate(database_url: str) -> None:
    command = [sys.executable, "-m", "progress_context", "migrate"]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": database_url}, check=True, capture_output=True)


def reviews(query: Served, position: int) -> int:
    """Reviews of the learner of all these events, once the answer is as new as a position."""
    question = (
        '{ dailyStats(userId: "learner-1", dateRange: {from: "2026-11-01", to: "2026-11-30"},'
        f" waitForPosition: {position}) {{ reviews }} }}"
    )
    answer = httpx.post(f"{query.url}/graphql", json={"query": question}, timeout=20).json()
    return sum(day["reviews"] for day in answer["data"]["dailyStats"])


def test_they_start_in_any_order_and_outlive_each_other(
    services: dict[str, Served], empty_database: str
) -> None:
    query, projection, command = (services[name] for name in NAMES)
    for service in services.values():
        service.start()
        eventually(service.is_up, timeout=60)
        assert not service.is_ready()
        assert "migrate" in service.reason()
    migrate(empty_database)
    for service in services.values():
        eventually(service.is_ready, timeout=60)

    def send() -> int:
        accepted = post(command.url, text(judged(subject="learner-1", time="2026-11-20T12:00:00Z")))
        assert accepted.status_code == 201
        return int(accepted.json()["position"])

    assert reviews(query, send()) == 1

    projection.kill()
    assert [send(), send()] == [2, 3]
    assert reviews(query, 1) == 1
    projection.start()
    eventually(projection.is_ready, timeout=60)
    assert reviews(query, 3) == 3

    command.kill()
    assert reviews(query, 3) == 3
    command.start()
    eventually(command.is_ready, timeout=60)

    query.kill()
    last = send()
    eventually(lambda: checkpoints(empty_database) == {last})
    query.start()
    eventually(query.is_ready, timeout=60)
    assert reviews(query, last) == 4 == head(empty_database)

    assert max(service.stop() for service in services.values()) < STOP_SECONDS
    for service in services.values():
        assert "Traceback" not in service.log.read_text()
