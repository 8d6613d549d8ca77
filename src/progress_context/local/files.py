"""Small files of an embedded server: its secret, its notes, its log."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

LOG_LIMIT = 16 * 1024 * 1024
"""A larger log is set aside, as `<name>.old`, when its server starts."""


def write_private(path: Path, text: str) -> None:
    """Put a file in place in one step, on disk, readable by its owner only."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def read_or_make_secret(path: Path) -> str:
    """The password kept in a file, made up on first use; letters, digits, `-` and `_` only."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24) + "\n")
    return path.read_text().strip()


class ServerLog:
    """The log file of one run of a server, after those of the runs before."""

    def __init__(self, path: Path) -> None:
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_name(f"{path.name}.old"))
        self.path = path
        self.file = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")
        self._start = path.stat().st_size

    def close(self) -> None:
        """Close our side; the server goes on writing."""
        self.file.close()

    def text(self) -> str:
        """What this run has written so far."""
        with self.path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = 12) -> str:
        """The last lines of this run."""
        return "\n".join(self.text().splitlines()[-lines:])
