"""What a consumer was given and has not acknowledged yet. Values only: no clock, no network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Held(NamedTuple):
    """News of a position: when they came, and until when they are ours."""

    position: int
    since: float
    until: float


class Outstanding:
    """Messages by ack id. Moments are seconds on any one clock; `lease` is how long a message is ours."""

    def __init__(self, lease: float) -> None:
        self._lease = lease
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def newest(self) -> int:
        """The greatest position waiting, 0 when there is none."""
        return max((held.position for held in self._held.values()), default=0)

    def add(self, ack_id: str, position: int, now: float) -> None:
        """Another message came."""
        self._held[ack_id] = Held(position, now, now + self._lease)

    def settled(self, durable: int) -> list[str]:
        """Those whose position is durable."""
        return [ack_id for ack_id, held in self._held.items() if held.position <= durable]

    def strangers(self, head: int, before: float) -> list[str]:
        """Those that came before a moment with news of a position that the log does not have."""
        return [ack_id for ack_id, held in self._held.items() if held.position > head and held.since < before]

    def expiring(self, now: float) -> list[str]:
        """Those whose lease has passed its half."""
        return [ack_id for ack_id, held in self._held.items() if held.until - now < self._lease / 2]

    def extend(self, ack_ids: Iterable[str], now: float) -> None:
        """Their lease begins anew."""
        for ack_id in ack_ids:
            self._held[ack_id] = self._held[ack_id]._replace(until=now + self._lease)

    def drop(self, ack_ids: Iterable[str]) -> None:
        """They are done, or lost."""
        for ack_id in ack_ids:
            self._held.pop(ack_id, None)

    def all(self) -> list[str]:
        """Everything that waits."""
        return list(self._held)
