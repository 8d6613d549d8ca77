"""How much of the machine an embedded server may take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MEGABYTE = 1024 * 1024
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def buffer_megabytes() -> int:
    """A quarter of the memory, the share PostgreSQL's manual recommends; from 128 MB to 8 GB.

    Pages take memory as they are first used, so a small database takes little.
    """
    return min(max(_memory() // MEGABYTE // 4, 128), 8_192)


def log_megabytes(folder: Path) -> int:
    """Write-ahead log between checkpoints: a twentieth of what the disk has left, from 1 to 4 GB.

    After a checkpoint the first change of each page is logged as the whole page. The rarer they are the
    less each event costs, and the longer a start after a crash takes.
    """
    existing = next(path for path in (folder, *folder.resolve().parents) if path.exists())
    return min(max(shutil.disk_usage(existing).free // MEGABYTE // 20, 1_024), 4_096)


def _memory() -> int:
    """Bytes that this machine, or this container, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(memory, int(MEMORY_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):  # no such limit, or "max"
        return memory
