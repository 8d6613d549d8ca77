"""Real servers for the tests: one PostgreSQL for all, a database of its own for each test."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Self

import asyncpg
import hypothesis
import pytest

from acceptance.system import database_of
from ports import free_port
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.services.all_in_one import migrated
from pubsub_emulator import EmulatorProcess
from waiting import eventually

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "128MB"}

hypothesis.settings.register_profile(
    "unshrunk", phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate]
)

# The log holds what a test sent and nothing else, unless the test is about events of our own.
SILENT = {"PROGRESS_NEWS_MAX_AGE": "0"}

# Whoever starts us in the background of a shell makes us ignore Ctrl-C, and with us the programs we test.
signal.signal(signal.SIGINT, signal.default_int_handler)

numbers = itertools.count(1)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A failure is told at once, for whoever cuts the run off."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.when} of {report.nodeid} failed:\n{report.longreprtext[-3000:]}", file=sys.stderr)


@pytest.fixture
def shared_data() -> Path:
    """The folder with real data; tests that need it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data at {SHARED_DATA.relative_to(ROOT.parent)} beside the project")
    return SHARED_DATA


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A short-named folder for servers, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pc-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL, without the waiting for disks that only crash tests need."""
    with EmbeddedPostgres(scratch / "postgres", settings=FAST) as server:
        asyncio.run(_make_template(server.url))
        yield server


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A migrated, empty database of this test's own."""
    name = f"test_{next(numbers)}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template_progress")
    yield database(postgres.url, name)
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def module_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """As `database_url`, for the tests of a module."""
    name = f"test_{next(numbers)}"
    await _execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template_progress")
    yield database(postgres.url, name)
    await _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sample_system(scratch: Path) -> Iterator[running_system]:
    """A whole running system with simulated learners, whose batches follow each other quickly.

    As in one that has run for a day, questions about the past begin at a snapshot.
    """
    with running_system(scratch / "system", environment={"PROGRESS_BATCH_SECONDS": "5"}) as system:
        system.simulate(learners=8, days=400)
        system.take_snapshot()
        yield system


@pytest.fixture(scope="session")
def service_url(sample_system: running_system) -> str:
    """The query service of a whole running system with simulated learners."""
    return sample_system.query_url


@pytest.fixture(scope="session")
def pubsub_process() -> Iterator[EmulatorProcess]:
    """A Pub/Sub emulator for all tests of this process."""
    with EmulatorProcess() as emulator:
        yield emulator


@pytest.fixture
def pubsub(pubsub_process: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorProcess]:
    """The Pub/Sub emulator at PUBSUB_EMULATOR_HOST. Its state outlives the test: use a project of your own."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_process.address)
    yield pubsub_process
    pubsub_process.control.reset()


class running_system:  # noqa: N801 - reads as a function in `with`
    """`progress-context up` in a process of its own, on free ports."""

    def __init__(self, data_dir: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._data_dir = data_dir
        self._arguments = arguments
        self._environment = environment or {}
        self.command_url, self.query_url, self.projection_url = (
            f"http://127.0.0.1:{free_port()}" for _ in range(3)
        )
        self.log = Path(f"{data_dir}.log")

    def __enter__(self) -> Self:
        ports = {
            f"PROGRESS_{name}_PORT": url.rsplit(":", 1)[1]
            for name, url in (
                ("COMMAND", self.command_url),
                ("QUERY", self.query_url),
                ("PROJECTION", self.projection_url),
            )
        }
        command = [sys.executable, "-m", "progress_context", "up", "--data-dir", str(self._data_dir)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._arguments],
                env={**os.environ, **SILENT, **ports, **self._environment},
                stdout=log,
                stderr=log,
            )
        try:
            eventually(self._is_serving, timeout=120)
        except BaseException:  # or it would run on, and be complained about in some later test
            self.__exit__()
            raise
        return self

    def simulate(self, *, learners: int, days: int) -> None:
        """Send it the events of simulated learners."""
        command = [sys.executable, "-m", "progress_context", "simulate", "--post", self.command_url]
        sizes = ["--learners", str(learners), "--days", str(days)]
        subprocess.run([*command, *sizes], check=True, capture_output=True, timeout=120)

    def take_snapshot(self) -> None:
        """Take one of what the read models show now."""
        command = [sys.executable, "-m", "progress_context", "snapshots", "take"]
        environment = {**os.environ, "DATABASE_URL": database_of(self._data_dir)}
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def _is_serving(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"`up` ended:\n{self.log.read_text()[-4000:]}")
        return "Ctrl-C stops everything" in self.log.read_text() and answers(f"{self.query_url}/readyz")


def answers(url: str) -> bool:
    """Whether a GET is answered with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return 200 <= response.status < 300
    except OSError:
        return False


def database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return f"{url.rsplit('/', 1)[0]}/{name}"


async def _make_template(url: str) -> None:
    await _execute(url, "CREATE DATABASE template_progress")
    await migrated(database(url, "template_progress"))


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
