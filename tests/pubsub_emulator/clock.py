"""The emulator's time: the machine's, plus what a test has put it forward."""

from __future__ import annotations

import time


class Clock:
    """Seconds since 1970. Ack deadlines are at least ten seconds: tests put the clock forward instead of waiting."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let this much time pass at once."""
        self._ahead += seconds
