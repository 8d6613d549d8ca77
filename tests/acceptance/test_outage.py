"""PostgreSQL goes away, freezes, or has no room left: said at once, nothing lost, and no service restarted."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from tests.conftest import answers, running_system

from acceptance.clients import Clients
from acceptance.system import (
    checkpoints,
    children,
    database_of,
    head,
    judged,
    names_in_log,
    post,
    server_process,
    text,
)
from ports import free_port
from progress_context.local.postgres import EmbeddedPostgres
from waiting import eventually

MIB = 1024 * 1024


@dataclass(frozen=True)
class Outside:
    """A system on a PostgreSQL that is not its own."""

    postgres: EmbeddedPostgres
    up: running_system

    @property
    def urls(self) -> list[str]:
        return [self.up.command_url, self.up.projection_url, self.up.query_url]

    def services(self) -> set[int]:
        return {process.pid for process in children(self.up.process.pid, "serve")}


@pytest.fixture(scope="module")
def outside(scratch: Path) -> Iterator[Outside]:
    postgres = EmbeddedPostgres(scratch / "outside-postgres", port=free_port())
    postgres.start()
    try:
        with running_system(scratch / "outside", environment={"DATABASE_URL": postgres.url}) as up:
            yield Outside(postgres, up)
    finally:
        postgres.stop()


def signal_all(postgres: EmbeddedPostgres, number: signal.Signals) -> None:
    assert postgres.pid is not None
    postmaster = psutil.Process(postgres.pid)
    for process in (postmaster, *postmaster.children()):
        process.send_signal(number)


OUTAGES: dict[str, tuple[Callable[[EmbeddedPostgres], None], Callable[[EmbeddedPostgres], None]]] = {
    "stopped": (EmbeddedPostgres.stop, EmbeddedPostgres.start),
    "killed": (EmbeddedPostgres.kill, EmbeddedPostgres.start),
    "frozen": (lambda p: signal_all(p, signal.SIGSTOP), lambda p: signal_all(p, signal.SIGCONT)),
}


@pytest.mark.parametrize("how", OUTAGES)
def test_an_outage_is_told_and_survived(outside: Outside, how: str) -> None:
    take_away, bring_back = OUTAGES[how]
    services, url = outside.services(), outside.up.command_url
    before = head(outside.postgres.url)
    with Clients(url) as clients:
        clients.acknowledge(100)
        take_away(outside.postgres)
        try:
            event = judged()
            refused = post(url, text(event))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "PostgreSQL" in refused.json()["message"]
            for address in outside.urls:
                assert answers(f"{address}/healthz")
                assert eventually(lambda at=address: reason_not_ready(at), timeout=15)
        finally:
            bring_back(outside.postgres)
        wait_ready(outside.urls, timeout=30)
        clients.acknowledge(100)
        clients.stop()
    names = names_in_log(outside.postgres.url)
    stored = {name: at[0] for (_, name), at in names.items() if at[0] > before}
    assert clients.acknowledged().items() <= stored.items()
    assert stored.keys() - clients.acknowledged().keys() <= {event["id"]}  # refused: may be in the log or not
    eventually(lambda: checkpoints(outside.postgres.url) == {head(outside.postgres.url)}, timeout=30)
    assert outside.services() == services


def wait_ready(urls: list[str], timeout: float) -> None:
    """Return once all services are ready; a failure tells what each has against it."""
    reasons: dict[str, str] = {}

    def all_ready() -> bool:
        reasons.update({url: reason_not_ready(url) for url in urls})
        return not any(reasons.values())

    try:
        eventually(all_ready, timeout=timeout)
    except AssertionError:
        raise AssertionError(f"not ready within {timeout:g} s: {reasons}") from None


def reason_not_ready(url: str) -> str:
    """What /readyz says is wrong; empty while nothing is."""
    answer = httpx.get(f"{url}/readyz", timeout=30)
    return answer.json()["reason"] if answer.status_code == 503 else ""


@pytest.fixture
def small_disk(scratch: Path) -> Iterator[Path]:
    """A folder on a disk of 200 MB."""
    folder = scratch / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=755", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a disk that can be filled needs root and the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MIB))
        except OSError:
            return


def test_a_full_disk_is_told_and_survived(small_disk: Path) -> None:
    folder = small_disk / "data"
    ballast = small_disk / "ballast"
    with running_system(folder) as up:
        database = database_of(folder)
        services = {process.pid for process in children(up.process.pid, "serve")}
        with Clients(up.command_url) as clients:
            clients.acknowledge(100)
            fill(ballast)
            eventually(lambda: clients.answers()[503] > 3, timeout=60)
            eventually(lambda: is_refused(up.command_url), timeout=30)
            assert answers(f"{up.command_url}/healthz")
            ballast.unlink()
            wait_ready([up.command_url], timeout=60)
            clients.acknowledge(100)
            clients.stop()
        in_log = {name: at[0] for (_, name), at in names_in_log(database).items()}
        assert clients.acknowledged().items() <= in_log.items()
        eventually(lambda: checkpoints(database) == {head(database)}, timeout=30)
        assert {process.pid for process in children(up.process.pid, "serve")} == services
        assert server_process(folder, "postgres").is_running()


def is_refused(url: str) -> bool:
    answer = post(url, text(judged(note="x" * 100_000)))
    return (answer.status_code, answer.headers.get("retry-after")) == (503, "1")
