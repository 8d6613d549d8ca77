"""What to simulate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from progress_context.errors import SettingsError

SMALLEST_CATALOGUE = 30
"""A session asks up to thirty different items."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """`learners` learning for `days` days up to and including `end` (days of UTC).

    No event happens after `end`. `late_share` of the learning arrives minutes to three days after
    it happened, `duplicate_share` of all events arrives twice; both are probabilities. Simulations
    that differ in any argument share no event id.
    """

    learners: int
    days: int
    end: date
    seed: int = 1
    items: int = 2000
    late_share: float = 0.01
    duplicate_share: float = 0.005

    def __post_init__(self) -> None:
        smallest = {"learners": 1, "days": 1, "items": SMALLEST_CATALOGUE}
        for name, low in smallest.items():
            if getattr(self, name) < low:
                raise SettingsError(f"{name}: at least {low}, not {getattr(self, name)}")
        for name in ("late_share", "duplicate_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name}: between 0 and 1, not {getattr(self, name)}")

    @property
    def start(self) -> date:
        """The first simulated day."""
        return self.end - timedelta(days=self.days - 1)


def expected_count(simulation: Simulation) -> int:
    """About how many deliveries `events` yields, for progress bars: right within a third or so.

    Learners join over the whole time and many drop out, so a learner's events grow more slowly than
    the days; the constants were fitted to simulations of 1 to 730 days.
    """
    learning = simulation.learners * (7 + 27 * simulation.days**0.895)
    return int((simulation.items + learning) * (1 + simulation.duplicate_share))
