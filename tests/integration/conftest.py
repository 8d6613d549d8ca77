"""What the tests of the commands for Pub/Sub share."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from pubsub_commands import Command, Run
from pubsub_emulator import EmulatorProcess
from pubsub_emulator.client import Clients

projects = itertools.count(1)


@pytest.fixture
async def clients(pubsub: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    """Google's own clients, in a project that the commands use too."""
    project = f"topology-{next(projects)}"
    monkeypatch.setenv("PROGRESS_PUBSUB_PROJECT", project)
    async with Clients(pubsub.address, project) as clients:
        yield clients


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command."""
    return Command(monkeypatch, capsys)
