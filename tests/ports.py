"""Loopback ports for the servers of tests, which run in several processes at once."""

from __future__ import annotations

import socket

from progress_context.local.ports import LOOPBACK

_KEPT: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody uses and nobody else is given while this process lives; servers may listen on it.

    A socket that is bound but does not listen keeps it: the kernel gives its port to nobody who asks for any
    port, refuses connections to it, and lets a server that reuses addresses listen.
    """
    keeper = socket.socket()
    keeper.bind((LOOPBACK, 0))
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _KEPT.append(keeper)
    return int(keeper.getsockname()[1])
