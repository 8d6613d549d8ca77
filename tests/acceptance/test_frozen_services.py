"""A service that freezes in the middle of a transaction, as on a machine that is paused, holds nobody up for long."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from acceptance.broker import CommandService, ids_in_log
from acceptance.system import Event, fetch, judged, post, text, told
from waiting import eventually

WAITING = (
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'progress-command'"
    " AND datname = current_database() AND wait_event_type = 'Lock'"
)


@contextmanager
def locked(database: str, table: str) -> Generator[None]:
    """Nobody else can write to this table meanwhile."""
    with asyncio.Runner() as loop:
        connection = loop.run(asyncpg.connect(database))
        loop.run(connection.execute(f"BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE"))
        try:
            yield
        finally:
            loop.run(connection.close())


def void(event: Event) -> Event:
    """Takes an event back: written in several statements, the first of which locks the end of the log."""
    return told("learning.EventVoided", source=event["source"], id=event["id"]) | {
        "subject": event["subject"]
    }


def test_a_frozen_command_service_does_not_keep_others_from_the_log(
    database_url: str, tmp_path: Path
) -> None:
    with (
        CommandService(database_url, tmp_path / "one.log") as one,
        CommandService(database_url, tmp_path / "two.log") as two,
        ThreadPoolExecutor() as threads,
    ):
        first = judged()
        for event in (first, void(judged())):  # from now on all its statements are prepared
            assert post(one.url, text(event)).status_code == 201
        late = void(first)
        with locked(database_url, "log.voids"):  # `one` has the counter of the log, and waits for this
            answer = threads.submit(post, one.url, text(late))
            eventually(lambda: fetch(database_url, WAITING))
            one.process.send_signal(signal.SIGSTOP)
        try:
            second = judged()
            assert post(two.url, text(second)).status_code == 201
        finally:
            one.process.send_signal(signal.SIGCONT)
        assert answer.result(timeout=60).status_code == 201
        assert ids_in_log(database_url)[2:] == [second["id"], late["id"]]
