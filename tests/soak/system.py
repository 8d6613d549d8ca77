"""The whole system as its operator starts it: three services, one of them twice, and what they need."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from google.cloud.pubsub_v1 import SubscriberClient

from progress_context.delivery.pubsub import EMULATOR
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.valkey import EmbeddedValkey
from progress_context.services.all_in_one import migrated
from soak.parts import EmulatorProgram, Part, Program, Server, finished

PROJECT = "soak-project"
PREFIX = "soak-"
TOPICS = f"projects/{PROJECT}/topics/{PREFIX}"  # the full names of all topics begin so
OUTGOING = f"projects/{PROJECT}/subscriptions/{PREFIX}outgoing"
SHARDS = 2
START_SECONDS = 60.0
COMMAND_SECONDS = 300.0
SERVICES = {
    "command": "command --pull",
    "projection 1": "projection",
    "projection 2": "projection",
    "query": "query",
}


class System:
    """Everything in a folder, from `start` until the exit stack that it is given ends."""

    def __init__(self, folder: Path) -> None:
        self.parts: dict[str, Part] = {}
        self.services: list[Program] = []
        self._folder = folder
        self._postgres = EmbeddedPostgres(folder / "postgres")
        self._valkey = EmbeddedValkey(folder / "valkey")
        self._emulator = EmulatorProgram(folder)

    async def start(self, stack: AsyncExitStack) -> None:
        """Start everything, the servers first; returns when all are ready."""
        for part in (Server("postgres", self._postgres), Server("valkey", self._valkey), self._emulator):
            await self._begin(part, stack)
        os.environ[EMULATOR] = self.pubsub  # for clients in this process
        await migrated(self.database)
        if complaint := await self.command_line("pubsub", "apply", "--yes"):
            raise RuntimeError(complaint)
        await asyncio.to_thread(_subscribe)
        self.services = [self._service(name, words) for name, words in SERVICES.items()]
        for service in self.services:
            await self._begin(service, stack)

    @property
    def database(self) -> str:
        """The address of PostgreSQL, as its owner."""
        return self._postgres.url

    @property
    def pubsub(self) -> str:
        """The address of the emulator."""
        return self._emulator.address

    @property
    def command_url(self) -> str:
        """Where events are sent."""
        return self.services[0].url

    @property
    def query_url(self) -> str:
        """Where answers are given."""
        return self.services[-1].url

    async def command_line(self, *words: str) -> str:
        """Run a command; what it complained of, if it failed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "progress_context", *words,
            env={**os.environ, **self._environment()},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return f"`{' '.join(words)}` failed: {output.decode()[-2_000:]}" if process.returncode else ""

    def _service(self, name: str, words: str) -> Program:
        kind = words.split()[0].upper()
        own = {**self._environment(), f"PROGRESS_{kind}_PORT": "{port}"}
        return Program(name, ["progress_context", "serve", *words.split()], own, self._folder)

    async def _begin(self, part: Part, stack: AsyncExitStack) -> None:
        stack.push_async_callback(finished, part.stop)
        await finished(part.start)
        self.parts[part.name] = part
        async with asyncio.timeout(START_SECONDS):
            while not await asyncio.to_thread(part.is_ready):
                await asyncio.sleep(0.1)

    def _environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database,
            "REDIS_URL": self._valkey.url,
            EMULATOR: self.pubsub,
            "PROGRESS_PUBSUB_PROJECT": PROJECT,
            "PROGRESS_PUBSUB_PREFIX": PREFIX,
            "PROGRESS_SHARDS": str(SHARDS),
            "PROGRESS_BATCH_SECONDS": "20",
            "PROGRESS_SNAPSHOT_EVENTS": "20000",
        }


def _subscribe() -> None:
    """Hear everything that is published of the log, from the first event on."""
    with SubscriberClient() as subscriber:
        subscriber.create_subscription({"name": OUTGOING, "topic": f"{TOPICS}progress-events"})
