"""The life of an embedded server, the same for all: claim, prepare, launch, wait, stop, kill."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from progress_context.errors import LocalError
from progress_context.local.account import Account, server_account
from progress_context.local.claim import (
    POLL_SECONDS,
    Claim,
    holder,
    holder_is_gone,
    try_claim,
    wait_unclaimed,
)
from progress_context.local.files import ServerLog, read_or_make_secret, write_private
from progress_context.local.ports import choose_port
from progress_context.local.programs import environment
from progress_context.local.tether import Tethered

START_TIMEOUT = 300.0
"""Seconds; recovery after a crash has up to `max_wal_size` to read again."""

PATIENCE = 1.0
"""Seconds an earlier server gets to begin its end, since ours may have died a moment ago."""

ORPHAN_GRACE = 60
"""Seconds a server gets to end by itself when our process has died."""

PORT_TAKEN = "Address already in use"


class EmbeddedServer(ABC):
    """One server on the loopback interface, with its own data folder and password.

    It runs until `stop`, or until our process ends for whatever reason. As a context manager it
    starts on entry and stops on exit. What fails raises LocalError, with the end of the log.
    """

    _title: ClassVar[str]
    _log_name: ClassVar[str]
    _stop_signals: ClassVar[tuple[signal.Signals, ...]]
    """From gentle to rough; SIGKILL comes last by itself."""

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self._wanted_port = port
        self._port: int | None = None
        self._password = ""
        self._process: Tethered | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with user and password; known after the first start."""

    @property
    @abstractmethod
    def _work_dir(self) -> Path:
        """The part of the data folder that belongs to the server's account."""

    @abstractmethod
    def _prepare(self, account: Account | None) -> None:
        """Make ready whatever must be in place before the launch, under the claim."""

    @abstractmethod
    def _command(self, account: Account | None) -> list[str]:
        """The program and its arguments."""

    @abstractmethod
    def _is_ready(self, pid: int) -> bool:
        """Whether the server process `pid` answers."""

    def _is_ending(self) -> bool:
        """Whether an earlier server on this folder is known to be shutting down."""
        return False

    @property
    def port(self) -> int:
        """The loopback port; known after the first start, and kept over restarts while free."""
        if self._port is None:
            raise LocalError(f"{self._title} has not been started yet")
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id, or `None` while the server does not run."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def poll(self) -> int | None:
        """The exit status of the last run, negative for a signal; `None` while it runs."""
        if self._process is None:
            raise LocalError(f"{self._title} has not been started yet")
        return self._process.poll()

    def start(self) -> None:
        """Start the server and return when it answers; nothing happens if it runs already."""
        if self.pid is not None:
            return
        self._make_data_dir()
        claim = self._claim()
        try:
            account = server_account(self._work_dir)
            self._password = self._read_password()
            self._prepare(account)
            self._launch(account, claim)
        except OSError as error:
            raise LocalError(f"{self._title} in {self.data_dir} does not start: {error}") from error
        finally:
            claim.release()

    def stop(self, timeout: float = 20.0) -> None:
        """Shut down cleanly; every `timeout` seconds of waiting make the means rougher."""
        if self.pid is None or self._process is None:
            return
        for number in self._stop_signals:
            self._process.send_signal(number)
            if self._process.wait(timeout) is not None:
                break
        else:
            self._process.kill()
            self._process.wait()
        self._wait_all_gone()

    def kill(self) -> None:
        """SIGKILL the server and its children, like a crash, and return when all are gone."""
        if (pid := self.pid) is None or self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)  # from here on it makes no more children
        children = _child_pids(pid)
        for child in children:
            os.kill(child, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._wait_all_gone()

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

    @property
    def _password_file(self) -> Path:
        return self.data_dir / "password"

    def _read_password(self) -> str:
        return read_or_make_secret(self._password_file)

    def _make_data_dir(self) -> None:
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LocalError(f"the data folder {self.data_dir} cannot be made: {error}") from error

    def _claim(self) -> Claim:
        begin = time.monotonic()
        try:
            while (claim := try_claim(self.data_dir)) is None:
                ending = self._is_ending() or holder_is_gone(self.data_dir)
                patience = START_TIMEOUT if ending else PATIENCE
                if time.monotonic() - begin > patience:
                    raise LocalError(
                        f"the data folder {self.data_dir} is in use: "
                        f"{self._title} runs there as process {holder(self.data_dir)}"
                    )
                time.sleep(POLL_SECONDS)
        except OSError as error:
            raise LocalError(f"the data folder {self.data_dir} cannot be used: {error}") from error
        return claim

    def _launch(self, account: Account | None, claim: Claim) -> None:
        """Launch, on another port if a chosen one is snatched away in between."""
        memory = self.data_dir / "port"
        log = ServerLog(self.data_dir / self._log_name)
        try:
            for attempts_left in (2, 1, 0):
                self._port = choose_port(self._wanted_port, memory)
                write_private(memory, f"{self._port}\n")
                if self._try_launch(account, claim, log):
                    return
                taken = PORT_TAKEN in log.text() and self._wanted_port is None
                if not (taken and attempts_left):
                    raise LocalError(self._failure(log))
        finally:
            log.close()

    def _try_launch(self, account: Account | None, claim: Claim, log: ServerLog) -> bool:
        process = Tethered(
            self._command(account),
            stop_signal=self._stop_signals[0],
            cwd=self._work_dir,
            env=environment(),
            output=log.file,
            account=account,
            grace=ORPHAN_GRACE,
            keep_open=claim.descriptor,
        )
        self._process = process
        claim.name_holder(process.pid)
        try:
            return self._wait_ready(process)
        except BaseException:  # Ctrl-C too must not leave it behind
            process.kill()
            process.wait()
            raise

    def _wait_ready(self, process: Tethered) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while process.wait(POLL_SECONDS) is None:
            if self._is_ready(process.pid):
                return True
            if time.monotonic() > deadline:
                process.kill()
        return False

    def _failure(self, log: ServerLog) -> str:
        return (
            f"{self._title} in {self.data_dir} did not start (exit status {self.poll()}); "
            f"the end of {log.path}:\n{log.tail()}"
        )

    def _wait_all_gone(self) -> None:
        if not wait_unclaimed(self.data_dir, START_TIMEOUT):
            raise LocalError(f"processes of {self._title} in {self.data_dir} do not end")


def _child_pids(pid: int) -> list[int]:
    """The children of a process, where /proc lists them; elsewhere they must notice its end."""
    children: list[int] = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            children.append(int(entry.parent.name))
    return children
