"""What may go wrong, at will: switches that take effect from the next message on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, fields
from random import Random
from typing import Any


@dataclass
class Faults:
    """All switches, off. Shares and chances are from 0 to 1, times in seconds."""

    copies: int = 1  # deliver every message this many times, each with an ack id of its own
    drop: float = 0.0  # share of deliveries that never arrive: redelivered after their ack deadline
    lose: float = 0.0  # share of messages that are never delivered at all
    lose_acks: float = 0.0  # share of acknowledgements that are forgotten
    shuffle: bool = False  # messages change places; those of one ordering key keep their order
    stream_unavailable: float = 0.0  # chance that a stream breaks with UNAVAILABLE instead of delivering
    publish_unavailable: float = 0.0  # chance that a publish is refused with UNAVAILABLE, nothing stored
    publish_ambiguous: float = 0.0  # chance that a publish is stored and answered with UNAVAILABLE
    call_unavailable: float = 0.0  # the same as publish_unavailable, for all other unary calls
    denied: bool = False  # every call is answered with PERMISSION_DENIED, as without the right role
    refused_keys: list[str] = field(default_factory=list[str])  # publishing these keys: INVALID_ARGUMENT
    latency: float = 0.0  # before every answer and every delivery
    freeze: bool = False  # nothing is answered and nothing delivered until it is taken back
    stream_seconds: float = 1800.0  # a stream is closed with UNAVAILABLE after this long, as Google does
    key_window: int = 1000  # messages of one ordering key under way at once on a stream opened from now on
    seed: int = 0  # another seed, other dice

    def __post_init__(self) -> None:
        self.dice = Random(self.seed)

    def happens(self, chance: float) -> bool:
        """Throw the dice; costs nothing for a switch that is off."""
        return chance > 0 and self.dice.random() < chance

    def set(self, **switches: Any) -> None:
        """Turn the named switches; the others stay. Raises ValueError for one that does not exist."""
        for name in switches:
            if name not in {f.name for f in fields(self)}:
                raise ValueError(f"there is no switch {name!r}")
        for name, value in switches.items():
            setattr(self, name, value)
        if "seed" in switches:
            self.dice = Random(self.seed)

    def reset(self) -> None:
        """Turn everything off."""
        none = Faults()
        self.set(**{f.name: getattr(none, f.name) for f in fields(none)})

    async def hold(self) -> None:
        """Wait as long as latency and freeze say."""
        if self.latency:
            await asyncio.sleep(self.latency)
        await self.thaw()

    async def thaw(self) -> None:
        """Wait as long as freeze says."""
        while self.freeze:
            await asyncio.sleep(0.005)
