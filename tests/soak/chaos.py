"""What befalls the parts: each is killed and frozen in turn, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from soak.parts import Part, finished

How = Literal["kill", "freeze"]
HOWS: tuple[How, How] = ("kill", "freeze")
AWAY: dict[How, tuple[float, float]] = {"kill": (0.0, 2.0), "freeze": (1.0, 7.0)}  # leases last 5 seconds
CALM = (0.5, 2.5)
NOBODY = ("",)
WAIT_FOR = {
    "postgres": ("command", "projection 1", "projection 2"),
    "emulator": ("command", "command", "projection 1"),
}
LOOK_EVERY = 0.2
LOOKS = 2  # in a row that must be good
GIVE_UP = 120.0  # seconds


class Look(NamedTuple):
    """Whether a part is ready and read models are close behind the log; whether senders caught up."""

    is_well: bool
    is_caught_up: bool


LookAt = Callable[[Part], Awaitable[Look]]


@dataclass(frozen=True)
class Fault:
    """One part, for `away` seconds; `calm` seconds after its recovery the next one follows.

    While a server is frozen, a service that waits for it is killed too: what it had under way is known to nobody.
    """

    part: str
    how: How
    away: float
    calm: float
    killed_meanwhile: str = ""


@dataclass(frozen=True)
class Survived:
    """A fault, when it began (seconds since the soak did), and what passed once the part was back.

    `recovered`: seconds until all was well for good, `caught_up`: until the senders had caught up too.
    """

    fault: Fault
    at: float
    recovered: float
    caught_up: float

    def __str__(self) -> str:
        verb = "killed" if self.fault.how == "kill" else "frozen"
        other = f" and {self.fault.killed_meanwhile} killed" if self.fault.killed_meanwhile else ""
        return (
            f"{self.at:7.1f} s  {self.fault.part:<12} {verb}{other}, away {self.fault.away:3.1f} s,"
            f" recovered in {self.recovered:4.1f} s, caught up in {self.caught_up:4.1f} s"
        )


def faults(parts: list[str], seed: int) -> Iterator[Fault]:
    """Faults without end: every part once one way, then every part the other way, and so on."""
    dice = Random(seed)
    while True:
        first = {part: dice.randrange(2) for part in parts}
        for turn in range(2):
            for part in dice.sample(parts, len(parts)):
                how = HOWS[(first[part] + turn) % 2]
                other = dice.choice(WAIT_FOR.get(part, NOBODY)) if how == "freeze" else ""
                yield Fault(part, how, dice.uniform(*AWAY[how]), dice.uniform(*CALM), other)


class Chaos:
    """Carries faults out, one at a time, and brings everything back."""

    def __init__(self, parts: Mapping[str, Part], look: LookAt) -> None:
        self._parts = parts
        self._look = look
        self._began = time.monotonic()

    async def befall(self, fault: Fault) -> Survived:
        """Let a fault happen; returns when all is well again, or after GIVE_UP seconds."""
        part, at = self._parts[fault.part], time.monotonic() - self._began
        other = self._parts.get(fault.killed_meanwhile)
        if fault.how == "kill":
            await finished(part.kill)
            await asyncio.sleep(fault.away)
            await finished(part.start)
        else:
            await self._freeze(part, fault.away, other)
        return Survived(fault, at, *await self._recovery(other or part))

    async def _recovery(self, part: Part) -> tuple[float, float]:
        back = time.monotonic()
        good: list[float] = []
        while (now := time.monotonic() - back) < GIVE_UP:
            look = await self._look(part)
            good = [*good, now] if look.is_well else []
            if len(good) >= LOOKS and look.is_caught_up:
                return good[0], now
            await asyncio.sleep(LOOK_EVERY)
        return next(iter(good), GIVE_UP), GIVE_UP

    async def _freeze(self, part: Part, seconds: float, other: Part | None) -> None:
        part.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds / 2)
            if other:
                await finished(other.kill)
            await asyncio.sleep(seconds / 2)
        finally:
            part.signal(signal.SIGCONT)
        if other:
            await finished(other.start)
