"""The claim on a data folder: one server at a time, and nothing to clean up after a crash.

It is a file lock that the server process and all its children inherit, so the operating system
gives it back exactly when the last of them is gone, however they ended.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

POLL_SECONDS = 0.01


class Claim:
    """A held claim; whoever inherits `descriptor` keeps it after our `release`."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def name_holder(self, pid: int) -> None:
        """Write down which process holds the claim, for others to tell."""
        os.pwrite(self.descriptor, f"{pid:<20}\n".encode(), 0)

    def release(self) -> None:
        """Let go of our share of the claim."""
        os.close(self.descriptor)


def try_claim(data_dir: Path) -> Claim | None:
    """The claim on a folder, or `None` while a process holds it."""
    claim = Claim(os.open(_lock_file(data_dir), os.O_RDWR | os.O_CREAT, 0o600))
    try:
        fcntl.flock(claim.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        claim.name_holder(os.getpid())
    except BlockingIOError:
        claim.release()
        return None
    except BaseException:
        claim.release()
        raise
    return claim


def holder(data_dir: Path) -> int | None:
    """The process that wrote itself down with the claim, whether or not it still lives."""
    try:
        return int(_lock_file(data_dir).read_text())
    except (OSError, ValueError):
        return None


def holder_is_gone(data_dir: Path) -> bool:
    """Whether the holder has ended; if its claim is still held, its children will end soon."""
    pid = holder(data_dir)
    if pid is None:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # it lives, and is somebody else's
    return False


def wait_unclaimed(data_dir: Path, timeout: float) -> bool:
    """Wait until no process works on the folder; false if that takes over `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while (claim := try_claim(data_dir)) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    claim.release()
    return True


def _lock_file(data_dir: Path) -> Path:
    return data_dir / "lock"
