"""`up`: the three services and their embedded servers on one machine, started and stopped together."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

from progress_context.local.keeper import Make, ServerKeeper
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.supervision import ProcessGroup
from progress_context.local.valkey import EmbeddedValkey
from progress_context.log.database import connect
from progress_context.log.migrate import check, migrate
from progress_context.log.read import head
from progress_context.services.authority import check_exposure
from progress_context.services.command import default_calendar
from progress_context.services.projection import catalog_of
from progress_context.services.server import bound
from progress_context.settings import Settings

Report = Callable[[str], None]
SERVICES = ("command", "projection", "query")


class OneMachine:
    """Everything on one machine; use as a context manager, then `wait`.

    Servers named in the settings are used as they are, the others are embedded below `data_dir`.
    What dies, service or embedded server, is started again.
    """

    def __init__(self, settings: Settings, data_dir: Path, report: Report) -> None:
        self.settings = settings
        self._data_dir = data_dir
        self._report = report
        self._servers = ExitStack()
        self._services = ProcessGroup()

    def __enter__(self) -> Self:
        default_calendar(self.settings)
        catalog_of(self.settings)
        for name in SERVICES:
            with bound(self.settings.host, self._port(name), name):
                pass  # said now, before anything is started
        check_exposure(self.settings)
        try:
            self._start_servers()
            asyncio.run(migrated(self.settings.database_url))
            self._start_services()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def command_url(self) -> str:
        """Where events go."""
        return f"http://127.0.0.1:{self.settings.command_port}"

    @property
    def query_url(self) -> str:
        """Where questions go."""
        return f"http://127.0.0.1:{self.settings.query_port}"

    def log_is_empty(self) -> bool:
        """Whether no event was ever stored."""
        return asyncio.run(_head(self.settings.database_url)) == 0

    def wait(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        self._services.run_until_signal()

    def stop(self) -> None:
        """Services first, then the servers they need."""
        self._report("stopping the services")
        self._services.stop_all()
        self._report("stopping the servers")
        self._servers.close()

    def _start_servers(self) -> None:
        if not self.settings.database_url:
            url = self._keep(
                "PostgreSQL", lambda port: EmbeddedPostgres(self._data_dir / "postgres", port=port)
            )
            self.settings = replace(self.settings, database_url=url)
        if not self.settings.redis_url:
            url = self._keep("Valkey", lambda port: EmbeddedValkey(self._data_dir / "valkey", port=port))
            self.settings = replace(self.settings, redis_url=url)

    def _keep(self, name: str, make: Make) -> str:
        """Start an embedded server, to be started again whenever it dies; its address."""
        self._report(f"starting {name}")
        return self._servers.enter_context(ServerKeeper(name, make, self._report)).server.url

    def _start_services(self) -> None:
        environment = {
            "DATABASE_URL": self.settings.database_url,
            "REDIS_URL": self.settings.redis_url,
        }
        for name in SERVICES:
            argv = [sys.executable, "-m", "progress_context", "serve", name]
            self._services.add(name, argv, environment, f"http://127.0.0.1:{self._port(name)}/readyz")
        self._report("starting the services")
        self._services.start_all(self._report)

    def _port(self, service: str) -> int:
        port: int = getattr(self.settings, f"{service}_port")
        return port


async def migrated(database_url: str) -> list[str]:
    """Bring the database to our schema and check that the log is sound; returns what was applied."""
    connection = await connect(database_url)
    try:
        applied = await migrate(connection)
        await check(connection)
        return applied
    finally:
        await connection.close()


async def _head(database_url: str) -> int:
    connection = await connect(database_url)
    try:
        return await head(connection)
    finally:
        await connection.close()
