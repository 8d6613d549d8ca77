"""An embedded PostgreSQL, durable by default, for one machine."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from progress_context.errors import LocalError
from progress_context.local import cluster, sizing
from progress_context.local.account import Account, inside
from progress_context.local.ports import LOOPBACK
from progress_context.local.programs import POSTGRES, find_program
from progress_context.local.server import EmbeddedServer

SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    "max_connections": "100",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""With what `sizing` finds; `EmbeddedPostgres(settings=…)` adds to them and overrides them."""


class EmbeddedPostgres(EmbeddedServer):
    """A private PostgreSQL cluster with the database `progress` and its owner `progress`.

    The owner is the cluster's superuser and logs in with a password (SCRAM) over loopback TCP;
    there is no other way in. `data_dir` also holds log, password and the port of the last start.
    """

    _title: ClassVar[str] = "PostgreSQL"
    _log_name: ClassVar[str] = "postgresql.log"
    # Fast shutdown, then immediate shutdown.
    _stop_signals: ClassVar[tuple[signal.Signals, ...]] = (signal.SIGINT, signal.SIGQUIT)

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir, port=port)
        self._settings = {**SETTINGS, **_sizes(data_dir), **(settings or {})}

    @property
    def url(self) -> str:
        """The address, `postgresql://…/progress`; known after the first start."""
        user, database = cluster.OWNER, cluster.DATABASE
        return f"postgresql://{user}:{self._password}@{LOOPBACK}:{self.port}/{database}"

    @property
    def _work_dir(self) -> Path:
        return self.data_dir / "cluster"

    def _read_password(self) -> str:
        if self._work_dir.exists() and not self._password_file.exists():
            raise LocalError(
                f"{self._password_file} is missing; nobody can log in to {self._work_dir} without"
            )
        return super()._read_password()

    def _prepare(self, account: Account | None) -> None:
        self._program = find_program(POSTGRES, account)
        if self._work_dir.exists():
            cluster.check_version(self._work_dir, self._program)
            cluster.clear_stale_pid_file(self._work_dir)
            if account is not None and self._work_dir.stat().st_uid != account.uid:
                account.own(self._work_dir)
        else:
            cluster.make(self._work_dir, self._program, self._password, account)
        self._stale_stamp = cluster.pid_file_stamp(self._work_dir)

    def _command(self, account: Account | None) -> list[str]:
        settings = {
            **self._settings,
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
        }
        options = [option for item in settings.items() for option in ("-c", "=".join(item))]
        return [str(self._program), "-D", inside(self._work_dir, account), *options]

    def _is_ready(self, pid: int) -> bool:
        """In a container a crashed server's file may well name the same process id as ours."""
        if cluster.pid_file_stamp(self._work_dir) == self._stale_stamp:
            return False
        return cluster.read_status(self._work_dir) == (pid, "ready")

    def _is_ending(self) -> bool:
        status = cluster.read_status(self._work_dir)
        return status is not None and status[1] == "stopping"


def _sizes(data_dir: Path) -> dict[str, str]:
    return {
        "shared_buffers": f"{sizing.buffer_megabytes()}MB",
        "max_wal_size": f"{sizing.log_megabytes(data_dir)}MB",
    }


def running_url(data_dir: Path) -> str | None:
    """The address of the embedded PostgreSQL that serves `data_dir` now, `None` when none does."""
    folder = data_dir / "postgres"
    status = cluster.read_status(folder / "cluster")
    if status is None or status[1] != "ready":
        return None
    try:
        password = (folder / "password").read_text(encoding="utf-8").strip()
        port = int((folder / "port").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return f"postgresql://{cluster.OWNER}:{password}@{LOOPBACK}:{port}/{cluster.DATABASE}"
