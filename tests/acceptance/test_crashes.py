"""kill -9, again and again: what was acknowledged is in the log exactly once, and the read models follow."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import psutil
from tests.conftest import running_system

from acceptance.clients import Clients
from acceptance.system import (
    checkpoints,
    children,
    database_of,
    fetch,
    head,
    names_in_log,
    server_process,
)
from waiting import eventually

ROUNDS = 20
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'progress-command'"


def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(scratch: Path) -> None:
    folder = scratch / "crashes"
    dice = random.Random(1)
    with running_system(folder) as system, Clients(system.command_url) as clients:
        database = database_of(folder)

        def backend() -> psutil.Process:
            return psutil.Process(dice.choice(eventually(lambda: fetch(database, BACKENDS)))["pid"])

        def service(name: str) -> Callable[[], psutil.Process]:
            return lambda: eventually(lambda: children(system.process.pid, "serve", name), timeout=20)[0]

        victims = [
            service("command"),
            lambda: server_process(folder, "postgres"),
            service("projection"),
            backend,
        ]
        for number in range(ROUNDS):
            clients.acknowledge(dice.randint(1, 1_000))
            victims[number % len(victims)]().kill()
        clients.acknowledge(1)
        clients.stop()
        assert set(clients.answers()) <= {200, 201, 503}
        eventually(lambda: checkpoints(database) == {head(database)}, timeout=30)
        names = names_in_log(database)
        assert {name: [at] for name, at in clients.acknowledged().items()} == {
            name: positions for (_, name), positions in names.items()
        }
        (reviews,) = fetch(database, "SELECT sum(reviews)::bigint FROM read.daily_stats")[0]
        assert reviews == len(names)
        assert "exited with status" not in system.log.read_text()  # nobody fell because another did
