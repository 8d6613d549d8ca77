"""A port that was given away once is given to nobody else."""

from __future__ import annotations

import random
import socket

import pytest

from ports import free_port
from progress_context.local import ports


def test_a_port_for_a_test_is_chosen_by_nobody_else_and_may_be_listened_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = free_port()

    def sample(_population: object, _number: int) -> list[int]:
        return [kept]

    monkeypatch.setattr(random, "sample", sample)
    assert ports.free_port() != kept
    assert ports.is_free(kept)
    with socket.create_server((ports.LOOPBACK, kept)) as server:
        assert not ports.is_free(kept)
        socket.create_connection(server.getsockname(), timeout=5).close()
