"""TCP ports on the loopback interface."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from progress_context.errors import LocalError

LOOPBACK = "127.0.0.1"

# Below what systems give to outgoing connections, one of which could hold the port of a server that restarts.
PORTS = range(15_000, 32_000)


def is_free(port: int, *, unclaimed: bool = False) -> bool:
    """Whether a server could listen on this loopback port now; `unclaimed`: and nobody else is about to."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, not unclaimed)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody uses at the moment, by chance: others may be choosing too."""
    for port in random.sample(PORTS, 100):
        if is_free(port, unclaimed=True):
            return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def choose_port(wanted: int | None, memory: Path) -> int:
    """The wanted port; without a wish the one noted in `memory` if still free, else a new one.

    Raises LocalError if the wanted port is in use.
    """
    if wanted is not None:
        if not is_free(wanted):
            raise LocalError(f"port {wanted} on {LOOPBACK} is already in use by another program")
        return wanted
    try:
        last = int(memory.read_text())
    except (OSError, ValueError):
        return free_port()
    return last if is_free(last) else free_port()
