"""An embedded server that comes back: watched, and started again whenever it ends unasked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from progress_context.errors import LocalError
from progress_context.local.server import EmbeddedServer

WATCH_SECONDS = 0.1

FIRST_PAUSE = 0.5
LAST_PAUSE = 10.0
"""Seconds between the end of a server and its next start; doubled by every start that fails."""

STOP_SECONDS = 30.0
"""How long to wait for a start in progress; whoever still starts ends together with our process."""

Make = Callable[[int | None], EmbeddedServer]


class ServerKeeper:
    """Keeps one embedded server running, at one address, from `start` to `stop`.

    `make(port)` makes the server; `report` hears of every end and every start after the first. The
    services that use it notice by themselves that it was away.
    """

    def __init__(self, name: str, make: Make, report: Callable[[str], None]) -> None:
        self.name = name
        self._make = make
        self._report = report
        self._server = make(None)
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"keeper of {name}", daemon=True)

    @property
    def server(self) -> EmbeddedServer:
        """The server in its present life."""
        return self._server

    def start(self) -> None:
        """Start the server; LocalError if the first start fails, later ones are tried again."""
        self._server.start()
        self._watcher.start()

    def stop(self) -> None:
        """Stop the server for good."""
        self._stopping.set()
        if self._watcher.is_alive():
            self._watcher.join(STOP_SECONDS)
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_SECONDS):
            status = self._server.poll()
            if status is not None:
                self._report(f"{self.name} ended with status {status}; starting it again")
                self._revive()

    def _revive(self) -> None:
        """Start it at the same address, for that is what the services know."""
        port = self._server.port
        pause = FIRST_PAUSE
        while not self._stopping.wait(pause):
            server = self._make(port)
            try:
                server.start()
            except LocalError as error:
                pause = min(pause * 2, LAST_PAUSE)
                self._report(f"{error}; trying again in {pause:g} s")
            else:
                self._server = server
                self._report(f"{self.name} is back")
                return
