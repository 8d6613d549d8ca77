"""Whoever answers questions over HTTP, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench import peers
from bench.services import START_SECONDS, STOP_SECONDS, query_service
from progress_context.local.ports import free_port
from progress_context.local.valkey import EmbeddedValkey
from progress_context.services.query import SESSION

POSTGRAPHILE_POOL = 10  # connections: its default
SCHEMA = "api"  # what sql/graphql_api.sql makes


Serve = Callable[[str, Path], AbstractContextManager[int]]  # (address of the database, folder) → port


@contextmanager
def listening(command: Sequence[str], port: int, log: Path) -> Generator[None]:
    """Run a program that listens on `port` until SIGINT."""
    environment = os.environ | {"NODE_ENV": "production", "GRAPHILE_ENV": "production"}
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        _wait_listening(process, port, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def ours(**settings: str) -> Serve:
    """The query service, with settings of its own."""

    @contextmanager
    def serve(url: str, folder: Path) -> Generator[int]:
        with query_service(url, folder, settings) as service:
            yield service.ports["query"]

    return serve


@contextmanager
def ours_with_redis(database_url: str, folder: Path) -> Generator[int]:
    """The query service with its answers in Valkey, and none in the process."""
    with (
        EmbeddedValkey(folder / "valkey") as valkey,
        ours(REDIS_URL=valkey.url, PROGRESS_CACHE_MEMORY_MB="0")(database_url, folder) as port,
    ):
        yield port


@contextmanager
def postgraphile(database_url: str, folder: Path) -> Generator[int]:
    """The port of PostGraphile over the schema `api`."""
    port = free_port()
    command = peers.command_of_node(
        "postgraphile_serve",
        url=database_url,
        schema=SCHEMA,
        port=port,
        connections=POSTGRAPHILE_POOL,
        settings=SESSION,
    )
    with listening(command, port, folder / "postgraphile.log"):
        yield port


def stock(database_url: str, folder: Path) -> AbstractContextManager[int]:
    """The port of our service without its planner."""
    return _of_ours("bench.query_stock", database_url, folder)


def raw(database_url: str, folder: Path) -> AbstractContextManager[int]:
    """The port of a bare ASGI application over one query."""
    return _of_ours("bench.query_raw", database_url, folder)


@contextmanager
def _of_ours(module: str, database_url: str, folder: Path) -> Generator[int]:
    port = free_port()
    command = [sys.executable, "-m", module, database_url, str(port)]
    with listening(command, port, folder / f"{module}.log"):
        yield port


def _wait_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args} does not listen\n{log.read_text()[-4_000:]}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
