"""Everything that can be killed or frozen, each a process of its own that cannot outlive the soak."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import psutil

from ports import free_port
from progress_context.local.ports import LOOPBACK
from progress_context.local.readiness import answers_ok
from progress_context.local.server import EmbeddedServer
from progress_context.local.tether import Tethered

TESTS = Path(__file__).parents[1]
STOP_SECONDS = 20.0


class Part(Protocol):
    """A part of the system; every call may take a moment."""

    name: str

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        ...

    def start(self) -> None:
        """Start it, again after `kill`."""
        ...

    def kill(self) -> None:
        """kill -9."""
        ...

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        ...

    def is_ready(self) -> bool:
        """Whether it does its work again."""
        ...

    def stop(self) -> None:
        """End it gently, and roughly if that takes too long."""
        ...


class Program:
    """A program of ours, on one port for all its lives; its output goes on in one log file."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.port = free_port()
        self.log = folder / f"{name.replace(' ', '-')}.log"
        self._arguments = arguments
        self._environment = environment
        self._process: Tethered | None = None

    @property
    def url(self) -> str:
        """Where it serves HTTP, if it does."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it."""
        with self.log.open("ab") as log:
            arguments = [part.format(port=self.port) for part in self._arguments]
            environment = {name: value.format(port=self.port) for name, value in self._environment.items()}
            self._process = Tethered(
                [sys.executable, "-m", *arguments], env={**_inherited(), **environment}, output=log
            )

    def kill(self) -> None:
        """kill -9, with whatever it started."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        if self._process:
            self._process.send_signal(number)

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        return answers_ok(f"{self.url}/readyz")

    def stop(self) -> None:
        """SIGTERM; SIGKILL if it does not end."""
        self.signal(signal.SIGTERM)
        if self._process and self._process.wait(STOP_SECONDS) is None:
            self.kill()


class EmulatorProgram(Program):
    """The Pub/Sub emulator, which loses nothing that it accepted."""

    def __init__(self, folder: Path) -> None:
        arguments = ["pubsub_emulator", "--port", "{port}", "--journal", str(folder / "journal")]
        super().__init__("emulator", arguments, {"PYTHONPATH": str(TESTS)}, folder)
        self.address = f"{LOOPBACK}:{self.port}"

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=1):
            return True
        return False


class Server:
    """PostgreSQL or Valkey."""

    def __init__(self, name: str, server: EmbeddedServer) -> None:
        self.name = name
        self._server = server

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._server.pid

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._server.start()

    def kill(self) -> None:
        """kill -9, with all its processes."""
        self._server.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its processes."""
        if (pid := self.pid) is None:
            return
        process = psutil.Process(pid)
        for each in (process, *process.children()):
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def is_ready(self) -> bool:
        """`start` has waited for it."""
        return self.pid is not None

    def stop(self) -> None:
        """Shut down."""
        self._server.stop()


async def finished(call: Callable[[], object]) -> None:
    """Run a call of a part in a thread, to its end even when we are cancelled meanwhile."""
    work = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        raise


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PROGRESS_")}
