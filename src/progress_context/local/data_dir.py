"""Where a single machine keeps its data when nobody says otherwise."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from progress_context.errors import LocalError

NAME = "progress-context"

SYSTEM_DATA_HOME = Path("/var/lib")


def default_data_dir() -> Path:
    """The data folder of this user, made if need be, closed to others. Raises LocalError.

    `$XDG_DATA_HOME/progress-context` if that is set; else `/var/lib/progress-context` for root, if
    it can be made; else `~/Library/Application Support` on macOS, `~/.local/share` elsewhere.
    """
    if os.geteuid() == 0 and not _xdg_data_home() and sys.platform != "darwin":
        with suppress(OSError):
            return _made(SYSTEM_DATA_HOME / NAME)
    folder = _user_data_home() / NAME
    try:
        return _made(folder)
    except OSError as error:
        raise LocalError(f"the data folder {folder} cannot be made: {error}") from error


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _xdg_data_home() -> str:
    """The XDG specification tells us to ignore a relative path."""
    value = os.environ.get("XDG_DATA_HOME", "")
    return value if Path(value).is_absolute() else ""


def _user_data_home() -> Path:
    if value := _xdg_data_home():
        return Path(value)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise LocalError(f"no home folder for the data: {error}; name a data folder") from error
    if sys.platform == "darwin":
        return home / "Library" / "Application Support"
    return home / ".local" / "share"
