"""The port between the log and those who follow it: one promise, two adapters.

A message is news of a position, never the data itself: whoever hears it reads the log up to there. Followers
also look by themselves, so news that are lost, repeated, late or out of order cost time, never correctness.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec


class OutgoingEvent(msgspec.Struct, frozen=True, gc=False):
    """A committed event as the world is told of it.

    `subject` is the learner's public id, `None` for events of no learner and for learners who were
    forgotten; `data` and `context` are JSON texts.
    """

    position: int
    source: str
    id: str
    type: str
    learner_key: int | None
    subject: str | None
    occurred_at: datetime
    recorded_at: datetime
    data: str
    context: str | None


class Refusal(NamedTuple):
    """An event that the broker will never take, and what it says about it."""

    event: OutgoingEvent
    reason: str


class Reach(NamedTuple):
    """The position all realtime read models reflect, committed, and the last one of the log."""

    durable: int
    head: int


class Outgoing(Protocol):
    """Tells followers of committed positions."""

    def announce(self, position: int, /) -> None:
        """`position` was committed. Never waits, never fails."""
        ...

    async def run(self) -> None:
        """Tell what was announced until cancelled."""
        ...


class Publisher(Protocol):
    """Hands events to a broker."""

    async def publish(self, events: Sequence[OutgoingEvent]) -> list[Refusal]:
        """Return once each event was accepted, or refused for what it is.

        Events of one learner are accepted in the order given. A broker that is away is waited for.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


OnNews = Callable[[int], None]
GetReach = Callable[[], Awaitable[Reach]]


class Incoming(Protocol):
    """Hears of committed positions."""

    async def run(self, on_news: OnNews, reach: GetReach, /) -> None:
        """Call `on_news(position)` for whatever is heard, until cancelled; reconnects by itself.

        `reach` says how far the follower came; news it has dealt with are not sent again.
        """
        ...
