"""Wait for a condition instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, timeout: float = 10.0, pause: float = 0.05) -> T:
    """The first truthy answer of `condition`, asked again and again for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    breath = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s: {condition}")
        breath.wait(pause)
