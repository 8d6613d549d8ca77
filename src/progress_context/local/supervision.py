"""Our services as child processes: started, watched, started again, stopped in order."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import IO, TextIO

from progress_context.errors import LocalError
from progress_context.local.readiness import answers_ok
from progress_context.local.tether import Tethered

FIRST_BACKOFF = 0.5
LAST_BACKOFF = 10.0
"""Seconds between a crash and the next start; doubled from the first to the last."""

STEADY_SECONDS = 30.0
"""A child that ran this long starts again with the first backoff."""

READY_POLL_SECONDS = 0.05

LAST_LINES_SECONDS = 2.0
"""How long to read on after a child's end; a daemon it left behind may never close the pipe."""

Report = Callable[[str], None]
Signalled = Callable[[int, FrameType | None], object] | int | None


class ProcessGroup:
    """Services that run, crash and stop together with us.

    Their output appears line by line on `output` (our stderr), behind their name. A child that ends
    unasked is started again, after 0.5 s at first and 10 s at most. None outlives us.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._children: list[_Child] = []
        self._console = _Console(output or sys.stderr)
        self._wakeup: tuple[int, int] | None = None
        self._previous: dict[signal.Signals, Signalled] = {}

    def add(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        ready_url: str | None = None,
    ) -> None:
        """Add a child; `env` goes on top of our environment.

        It counts as ready once `ready_url` answers 2xx; without a URL, as soon as it is started.
        """
        environment = {**os.environ, **(env or {})}
        self._children.append(_Child(name, list(argv), environment, ready_url, self._console))

    def pid(self, name: str) -> int | None:
        """The process id of a child, or `None` while it does not run."""
        return next(child.pid for child in self._children if child.name == name)

    def start_all(self, on_progress: Report | None = None, timeout: float = 60.0) -> None:
        """Start all children at once and return when all are ready, each reported by name.

        A child that ends first, or is not ready within `timeout` seconds, is not started again: the
        others are stopped and LocalError tells its name.
        """
        deadline = time.monotonic() + timeout
        try:
            for child in self._children:
                child.start()
            for child in self._children:
                child.wait_ready(deadline)
                if on_progress is not None:
                    on_progress(child.name)
        except BaseException:  # Ctrl-C too must not leave half of them behind
            self.stop_all()
            raise

    def stop_all(self, timeout: float = 8.0) -> None:
        """SIGTERM all children in the order of `add`; SIGKILL who is left after `timeout` s."""
        deadline = time.monotonic() + timeout
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.join(deadline)
        self._restore_signals()

    def run_until_signal(self) -> signal.Signals:
        """Block until SIGINT or SIGTERM and tell which; call from the main thread, then `stop_all`.

        Until `stop_all` returns, a second signal kills the children without further waiting.
        """
        reader, writer = self._wakeup = os.pipe()

        def receive(number: int, _frame: FrameType | None) -> None:
            os.write(writer, bytes([number]))

        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, receive)
        received = signal.Signals(os.read(reader, 1)[0])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._kill_all)
        return received

    def _kill_all(self, _number: int, _frame: FrameType | None) -> None:
        for child in self._children:
            child.kill()

    def _restore_signals(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()
        for descriptor in self._wakeup or ():
            os.close(descriptor)
        self._wakeup = None


class _Console:
    """Lines of several children on one stream, each whole and behind its child's name."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """Write a line; a reader that has gone away must not stop the children."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{name} | {text}\n")
            self._stream.flush()

    def forward(self, name: str, output: IO[bytes]) -> None:
        """Write every line of `output` until its end."""
        with output:
            for line in output:
                self.line(name, line.decode(errors="replace").rstrip("\r\n"))


class _Child:
    """One service over all its lives, each a process of its own."""

    def __init__(
        self,
        name: str,
        argv: list[str],
        env: dict[str, str],
        ready_url: str | None,
        console: _Console,
    ) -> None:
        self.name = name
        self._argv = argv
        self._env = env
        self._ready_url = ready_url
        self._console = console
        self._process: Tethered | None = None
        self._lock = threading.Lock()
        self._decided = threading.Event()
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start the first life and the thread that sees to the later ones."""
        first = self._spawn()
        assert first is not None
        self._keeper = threading.Thread(target=self._keep, args=(first,), daemon=True)
        self._keeper.start()

    def wait_ready(self, deadline: float) -> None:
        """Return when the child is ready; LocalError if it ends before, or at the deadline."""
        process = self._process
        assert process is not None
        while self._ready_url is not None and not answers_ok(self._ready_url):
            if (status := process.wait(READY_POLL_SECONDS)) is not None:
                raise LocalError(f"{self.name} ended before it was ready ({_in_words(status)})")
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} does not become ready: no answer at {self._ready_url}")
        self._decided.set()

    def terminate(self) -> None:
        """Ask the child to end and see to it that it has no further life."""
        with self._lock:
            self._stopping.set()
            self._decided.set()
            if self._process is not None:
                self._process.send_signal(signal.SIGTERM)

    def join(self, deadline: float) -> None:
        """Wait until the child has ended and its last line is written; kill it at the deadline."""
        if self._keeper is None:
            return
        self._keeper.join(max(0.0, deadline - time.monotonic()))
        if self._keeper.is_alive():
            self._console.line(self.name, "did not end in time and is killed")
            self.kill()
            self._keeper.join()

    def kill(self) -> None:
        """SIGKILL the child and its workers; takes no lock, for it is called in signal handlers."""
        if self._process is not None:
            self._process.kill()

    def _spawn(self) -> Tethered | None:
        with self._lock:
            if self._stopping.is_set():
                return None
            self._process = Tethered(self._argv, env=self._env)
            return self._process

    def _keep(self, first: Tethered) -> None:
        process: Tethered | None = first
        backoff = FIRST_BACKOFF
        while process is not None:
            begin = time.monotonic()
            status = self._live(process)
            self._decided.wait()  # whoever waits for the first life judges its end
            if self._stopping.is_set():
                return
            if time.monotonic() - begin > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            what = f"{_in_words(status)}; starting it again in {backoff:g} s"
            self._console.line(self.name, what)
            self._stopping.wait(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF)
            process = self._spawn()

    def _live(self, process: Tethered) -> int:
        """Forward the output of one life until its end; the exit status."""
        arguments = (self.name, process.output)
        forwarder = threading.Thread(target=self._console.forward, args=arguments, daemon=True)
        forwarder.start()
        status = process.wait()
        assert status is not None
        forwarder.join(LAST_LINES_SECONDS)
        return status


def _in_words(status: int) -> str:
    if status < 0:
        return f"ended by signal {-status}, {signal.strsignal(-status)}"
    return f"exited with status {status}"
