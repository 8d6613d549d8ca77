"""Our services as their users start them: processes of the real command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from progress_context.local.ports import free_port

SERVICES = ("command", "projection", "query")
START_SECONDS = 120.0
STOP_SECONDS = 30.0


class Program:
    """`progress-context ARGUMENTS` on free ports and an existing database; a context manager."""

    def __init__(
        self,
        arguments: list[str],
        database_url: str,
        ready: tuple[str, ...],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = arguments
        self._ready = ready
        self._log = log
        self.ports = {name: free_port() for name in SERVICES}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PROGRESS_")},
            **{f"PROGRESS_{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            "DATABASE_URL": database_url,
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "progress_context", *self._arguments],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The process to look at with a profiler."""
        return self._process.pid

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        waiting = dict.fromkeys(self._ready, "")
        while waiting:
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = self._log.read_text()[-4_000:]
                raise RuntimeError(f"{self._arguments} is not ready: {waiting}\n{log}")
            time.sleep(0.05)
            asked = {name: _why_not(f"http://127.0.0.1:{self.ports[name]}/readyz") for name in waiting}
            waiting = {name: reason for name, reason in asked.items() if reason is not None}


def command_service(database_url: str, folder: Path) -> Program:
    """progress-command-service alone."""
    return Program(["serve", "command"], database_url, ("command",), folder / "command.log")


def query_service(database_url: str, folder: Path, settings: Mapping[str, str] | None = None) -> Program:
    """progress-query-service alone, with settings of the environment."""
    return Program(["serve", "query"], database_url, ("query",), folder / "query.log", settings)


def projection_service(database_url: str, log: Path, environment: Mapping[str, str]) -> Program:
    """progress-projection-service alone, starting: nothing is waited for."""
    return Program(["serve", "projection"], database_url, (), log, environment)


def whole_system(database_url: str, folder: Path, environment: Mapping[str, str] | None = None) -> Program:
    """`up`: the three services and Valkey, on the benchmark's PostgreSQL."""
    arguments = ["up", "--data-dir", str(folder / "up")]
    return Program(arguments, database_url, SERVICES, folder / "up.log", environment)


def _why_not(url: str) -> str | None:
    """Why a GET is not answered with 200; `None` when it is."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return None
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError as error:
        return str(error)
