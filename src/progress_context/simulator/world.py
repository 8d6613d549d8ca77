"""What every part of a simulation shares."""

from __future__ import annotations

from dataclasses import dataclass

from progress_context.simulator.catalogue import Catalogue
from progress_context.simulator.clock import DAY, HOUR, MINUTE, midnight
from progress_context.simulator.dice import Dice
from progress_context.simulator.outbox import Outbox, Sender
from progress_context.simulator.simulation import Simulation

_LONGEST_ABSENCE = 3 * DAY
_SHORTEST_ABSENCE = 5 * MINUTE

LONGEST_SITTING = 2 * HOUR
"""Whatever belongs to a session has happened this long after it began."""


@dataclass(frozen=True, slots=True)
class World:
    """Chance, the catalogue, the way out, and the time: from `start`, and never after `end`."""

    dice: Dice
    catalogue: Catalogue
    outbox: Outbox
    late_share: float
    start: int
    end: int

    @classmethod
    def of(cls, simulation: Simulation) -> World:
        """A world with its catalogue filled and nobody in it."""
        dice = Dice(repr(simulation))
        return cls(
            dice=dice,
            catalogue=Catalogue(dice, simulation.items),
            outbox=Outbox(dice, simulation.duplicate_share),
            late_share=simulation.late_share,
            start=midnight(simulation.start),
            end=midnight(simulation.end) + DAY,
        )

    def device(self, subject: str, zone: str, at: int) -> Sender:
        """A sender in a learner's hands at an instant: now and then it is offline for a while."""
        online_at = 0
        if self.dice.happens(self.late_share):
            ratio = _LONGEST_ABSENCE / _SHORTEST_ABSENCE
            online_at = at + int(_SHORTEST_ABSENCE * ratio ** self.dice.draw())
        return self.outbox.sender(subject, zone, online_at)
