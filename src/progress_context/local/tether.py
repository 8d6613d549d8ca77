"""Child processes that cannot outlive us, even when we are killed without warning.

The obvious tool, `PR_SET_PDEATHSIG`, fires when the *thread* that forked ends, is forgotten on a
change of user, and exists on Linux only. A pipe has none of these faults: a tiny shell in the
child's process group reads it, and the end of file that our death causes makes it stop the child.
The shell also keeps the group's number from being reused, so its signals cannot hit a stranger.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from progress_context.local.account import Account, as_account

# The watcher is forked twice, so that the program, which takes the shell's place and process id,
# never finds a child it did not start. $1: the signal that ends the child; $2: tenths of a second.
# Standard output arrives as the descriptor to keep, and goes where standard error goes.
_SCRIPT = """
exec 9<&0 8>&1 </dev/null >&2
( (
  read -r released <&9 && exit
  kill -s "$1" $$
  waited=0
  while kill -s 0 $$ && [ $waited -lt "$2" ]; do sleep 0.1; waited=$((waited + 1)); done
  kill -s KILL -- -$$
) >/dev/null 2>&1 8>&- & )
exec 9<&-
shift 2
exec "$@"
"""


class Tethered:
    """A running program in a session of its own, which Ctrl-C in our terminal does not reach.

    When we die, it gets `stop_signal`, and SIGKILL `grace` seconds later. `account` is whom it runs
    as, `None` for ourselves. `output` takes its stdout and stderr. A descriptor to `keep_open` stays
    open in it and in its children.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        output: int | IO[bytes] = subprocess.PIPE,
        account: Account | None = None,
        grace: int = 10,
        keep_open: int = subprocess.DEVNULL,
    ) -> None:
        name = stop_signal.name.removeprefix("SIG")
        shell = ["/bin/sh", "-c", _SCRIPT, "sh", name, str(grace * 10)]
        self._popen = subprocess.Popen(  # noqa: S603 - argv comes from our own code
            [*shell, *argv],
            stdin=subprocess.PIPE,
            stdout=keep_open,
            stderr=output,
            cwd=cwd,
            env=env,
            start_new_session=True,
            **as_account(account),
        )
        self.pid = self._popen.pid

    @property
    def output(self) -> IO[bytes]:
        """What the program writes to stdout and stderr, if `output` was a pipe."""
        assert self._popen.stderr is not None
        return self._popen.stderr

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or `None` while the program runs."""
        status = self._popen.poll()
        if status is not None:
            self._end_group()
        return status

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit status as soon as there is one, or `None` after `timeout` seconds without."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self._end_group()
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the program itself; nothing happens if it has ended."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the program and everything in its process group; safe inside a signal handler."""
        if self._popen.returncode is None:
            self._kill_group()

    def _end_group(self) -> None:
        pipe = self._popen.stdin
        if pipe is not None and not pipe.closed:
            self._kill_group()
            pipe.close()

    def _kill_group(self) -> None:
        # macOS answers EPERM, not ESRCH, when only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
