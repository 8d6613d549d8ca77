"""One system without events for all tests that send it rubbish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import answers, running_system

from acceptance.system import System, database_of, head, judged, post, text


@pytest.fixture(scope="session")
def system(scratch: Path) -> Iterator[System]:
    """A system without any event."""
    folder = scratch / "bad-input"
    with running_system(folder) as running:
        yield System(running.command_url, database_of(folder), running.projection_url)


@pytest.fixture
def unharmed(system: System) -> Iterator[System]:
    """A system whose log must not grow during a test, and which must take a valid event after it."""
    before = head(system.database)
    yield system
    assert head(system.database) == before
    assert answers(f"{system.url}/healthz")
    stored = post(system.url, text(judged()))
    assert (stored.status_code, stored.json()["position"]) == (201, before + 1)
