"""Wait for a condition instead of sleeping."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
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


async def until(condition: Callable[[], Awaitable[object]], *, seconds: float = 10.0) -> None:
    """Return once the awaited `condition` is truthy."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {seconds:g} s: {condition}")
        await asyncio.sleep(0.02)
