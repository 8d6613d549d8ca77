"""An embedded Valkey, for caching only: nothing of it is kept over a restart."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from progress_context.local.account import Account, inside
from progress_context.local.files import write_private
from progress_context.local.ports import LOOPBACK
from progress_context.local.programs import VALKEY, find_program
from progress_context.local.server import EmbeddedServer

_CONFIG = """\
bind {host}
port {port}
requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
daemonize no
"""


class EmbeddedValkey(EmbeddedServer):
    """A private Valkey: loopback, password, 256 MB, oldest entries give way, nothing on disk."""

    _title: ClassVar[str] = "Valkey"
    _log_name: ClassVar[str] = "valkey.log"
    _stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGTERM,)

    @property
    def url(self) -> str:
        """The address, `redis://…`; known after the first start."""
        return f"redis://:{self._password}@{LOOPBACK}:{self.port}/0"

    @property
    def _work_dir(self) -> Path:
        return self.data_dir / "run"

    def _prepare(self, account: Account | None) -> None:
        self._program = find_program(VALKEY, account)
        self._work_dir.mkdir(mode=0o700, exist_ok=True)

    def _command(self, account: Account | None) -> list[str]:
        """The password goes through a file: a command line is open to every user."""
        folder = inside(self._work_dir, account)
        config = _CONFIG.format(host=LOOPBACK, port=self.port, password=self._password)
        write_private(self._work_dir / "valkey.conf", config)
        if account is not None:
            account.own(self._work_dir)
        return [str(self._program), f"{folder}/valkey.conf"]

    def _is_ready(self, pid: int) -> bool:
        with suppress(OSError), socket.socket() as link:
            link.settimeout(1)
            link.connect((LOOPBACK, self.port))
            link.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            with link.makefile("rb") as answers:
                return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        return False
