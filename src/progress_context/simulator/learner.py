"""Who learns: traits that last, and the state that changes with every day."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from progress_context.simulator.catalogue import Catalogue
from progress_context.simulator.dice import Dice
from progress_context.simulator.memory import Card
from progress_context.simulator.zones import Home, draw_home

NEVER = 1 << 40


class Habit(NamedTuple):
    """A way of learning: how likely a day is after a day with and without it, and how much then.

    `week` weighs the days from Monday on; `sessions` is the expected number on a learning day.
    """

    after_active: float
    after_idle: float
    week: tuple[float, ...]
    sessions: float


_EVEN = (1.0,) * 7
_OFFICE = (1.05, 1.05, 1.05, 1.0, 0.95, 0.35, 0.45)
_LEISURE = (0.4, 0.4, 0.4, 0.45, 0.7, 1.6, 1.6)

HABITS = (
    (0.20, Habit(0.97, 0.70, _EVEN, 1.7)),
    (0.20, Habit(0.85, 0.50, _OFFICE, 1.4)),
    (0.20, Habit(0.70, 0.35, _EVEN, 1.3)),
    (0.15, Habit(0.45, 0.40, _LEISURE, 1.6)),
    (0.25, Habit(0.50, 0.08, _EVEN, 1.1)),
)
_HABITS = tuple(accumulate(share for share, _ in HABITS))

_HOURS = (7.2, 12.4, 17.8, 21.0, 23.4)
_LEVELS = (0.6, 0.85, 1.0)


@dataclass(slots=True)
class Learner:
    """One learner. Days are counted from the first simulated one, hours on the learner's clock."""

    id: str
    number: int
    home: Home
    zone: str
    rollover: int
    habit: Habit
    hour: float
    pace: float
    talent: float
    size: float
    appetite: int
    states_zone: bool
    joins: int
    leaves: int
    returns: int
    level: int
    turn: int = 0
    shelves_done: int = 0
    active: bool = False
    away_until: int = 0
    away_unannounced: bool = False
    free_at: int = 0
    deck: list[Card] = field(default_factory=list[Card])

    def here(self, day: int) -> bool:
        """Whether the learner has joined and not dropped out."""
        return self.joins <= day < self.leaves or day >= self.returns

    def meet(self, catalogue: Catalogue, day: int) -> Card | None:
        """The next item never met before, level after level; none when all have been met."""
        if self.shelves_done == len(catalogue.shelves):
            return None
        shelf = catalogue.shelves[self.level]
        card = Card(day, shelf.item(self.turn, 7919 * self.number))
        self.turn += 1
        if self.turn == shelf.size:
            self.turn, self.shelves_done = 0, self.shelves_done + 1
            self.level = (self.level + 1) % len(catalogue.shelves)
        return card


def draw_learner(dice: Dice, number: int, width: int, days: int) -> Learner:
    """The learner of a number; most join early, half drop out some day, some of them come back."""
    home = draw_home(dice)
    joins = 0 if dice.happens(0.35) else int(days * dice.draw() ** 1.3)
    leaves, returns = _draw_absence(dice, joins)
    return Learner(
        id=f"learner-{number:0{width}d}",
        number=number,
        home=home,
        zone=home.zone,
        rollover=4 if dice.happens(0.4) else 0,
        habit=HABITS[dice.weigh(_HABITS)][1],
        hour=dice.pick(_HOURS) + 0.6 * dice.bell(),
        pace=2.0 ** (0.4 * dice.bell()),
        talent=dice.within(-0.15, 0.15),
        size=dice.within(8, 22),
        appetite=dice.whole(5, 12),
        states_zone=dice.happens(0.3),
        joins=joins,
        leaves=leaves,
        returns=returns,
        level=dice.weigh(_LEVELS),
    )


def _draw_absence(dice: Dice, joins: int) -> tuple[int, int]:
    """The days of dropping out and of coming back."""
    if dice.happens(0.5):
        return NEVER, NEVER
    leaves = joins + 1 + int(80 * dice.draw() ** 2.5)
    return leaves, leaves + dice.whole(10, 90) if dice.happens(0.35) else NEVER
