"""The real services with Pub/Sub between them: processes are killed, the broker stumbles, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from acceptance.system import BATCH, array, judged, text
from delivering import PROJECT, PubsubWay, arrived, disagreements
from ports import free_port
from progress_context.delivery.pubsub import EMULATOR
from pubsub_emulator import EmulatorProcess
from waiting import until
from world import World

SHARDS = 3
TAKEN_OVER = 10.0  # seconds
LEASE = 31  # seconds after which messages of a killed consumer come again
BLOCKED = "import sys; sys.modules['google.pubsub_v1'] = None; from progress_context.cli import main; main()"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as emulator:
        monkeypatch.setenv(EMULATOR, emulator.address)
        yield emulator


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


class Service:
    """One running `serve`, and its port."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def is_ready(self) -> bool:
        assert self.process.returncode is None
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False


@asynccontextmanager
async def service(name: str, database_url: str, log: Path) -> AsyncGenerator[Service]:
    """`serve NAME` with Pub/Sub, on a free port, once it is ready."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PROGRESS_SHARDS": str(SHARDS),
        f"PROGRESS_{name.upper()}_PORT": str(port),
        "PROGRESS_PUBSUB_PROJECT": PROJECT,
        "PROGRESS_PUBSUB_PREFIX": "real-",
        "PROGRESS_NEWS_MAX_AGE": "0",  # positions are those of what is sent
    }
    argv = [sys.executable, "-m", "progress_context", "serve", name]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=output, stderr=output)
    running = Service(process, port)
    try:
        await until(running.is_ready, seconds=30)
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def post(command: Service, count: int) -> int:
    """Send events; the last position."""
    async with httpx.AsyncClient() as client:
        body = array([text(judged()) for _ in range(count)])
        answer = await client.post(
            f"{command.url}/events", content=body, headers={"content-type": BATCH}, timeout=30
        )
    assert answer.status_code == 201, answer.text
    return answer.json()["results"][-1]["position"]


async def publisher_port(world: World) -> int | None:
    """The port of the command service that publishes now."""
    async with world.log_pool.acquire() as connection:
        holder = await connection.fetchval("SELECT holder FROM ops.relays WHERE expires_at > now()")
    return None if holder is None else int(holder.rsplit(":", 1)[1])


async def test_services_that_die_are_replaced_and_the_read_models_are_right(
    world: World, emulator: EmulatorProcess, tmp_path: Path
) -> None:
    way = await PubsubWay(world.log_pool, "real-").prepare()

    async def is_drained() -> bool:
        emulator.control.advance(LEASE)
        return emulator.control.waiting(way.subscription) + emulator.control.leased(way.subscription) == 0

    async with (
        service("command", world.url, tmp_path / "command-1.log") as one,
        service("command", world.url, tmp_path / "command-2.log") as two,
        service("projection", world.url, tmp_path / "projection-1.log") as first,
        service("projection", world.url, tmp_path / "projection-2.log"),
    ):
        emulator.control.set(
            stream_unavailable=0.05, publish_unavailable=0.1, publish_ambiguous=0.1, copies=2
        )
        for _ in range(5):
            for command in (one, two):
                await post(command, 50)
        victim, heir = (one, two) if await publisher_port(world) == one.port else (two, one)
        victim.process.kill()
        first.process.kill()
        last = await post(heir, 50)

        async def is_heir() -> bool:
            return await publisher_port(world) == heir.port

        await until(is_heir, seconds=TAKEN_OVER)
        for _ in range(5):
            last = await post(heir, 50)
        await arrived(world, last, seconds=30)
        await until(is_drained, seconds=30)
    assert last == 800
    assert await disagreements(world) == []
    assert await publisher_port(world) is None  # who stops hands over at once


def refusal(name: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", **settings}
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, "serve", name],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["command", "projection"])
def test_without_googles_library_the_setting_is_refused(name: str) -> None:
    result = refusal(name, PROGRESS_PUBSUB_PROJECT="some-project")
    assert result.returncode == 2
    assert "PROGRESS_PUBSUB_PROJECT" in result.stdout + result.stderr
    assert "progress-context[pubsub]" in result.stdout + result.stderr


def test_without_credentials_the_setting_is_refused(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GOOGLE_", "PUBSUB_"))},
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "PROGRESS_PUBSUB_PROJECT": "some-project",
        "CLOUDSDK_CONFIG": str(tmp_path),
        "NO_GCE_CHECK": "true",
    }
    result = subprocess.run(
        [sys.executable, "-m", "progress_context", "serve", "projection"],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert "error: PROGRESS_PUBSUB_PROJECT is set, but there are no credentials" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PROGRESS_PUBSUB_PROJECT", "Not A Project"), ("PROGRESS_PUBSUB_PREFIX", "goog-")],
)
def test_a_name_that_google_does_not_take_is_refused(variable: str, value: str) -> None:
    result = refusal("command", **{variable: value})
    assert result.returncode == 2
    assert variable in result.stdout + result.stderr
