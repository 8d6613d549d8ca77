"""How a learner forgets, and how the algorithm guesses it.

Two models, on purpose: what a learner remembers follows a power law of forgetting that the
algorithm never sees; the algorithm sees answers, and plans reviews with SM-2.
"""

from __future__ import annotations

import msgspec

MASTERED = 21
"""An item is mastered once its next review may wait this many days."""

_GENTLEST, _HARDEST = 250, 130


class Card(msgspec.Struct, order=True, gc=False):
    """One item in the hands of one learner.

    Cards sort by the day they are due. `last` is the instant of the last review, `interval` the
    days planned after it, `ease` the SM-2 easiness in hundredths, `streak` the successes in a row,
    `stability` the days after which recall has sunk to nine in ten, `mastery` a percentage.
    """

    due: int
    item: int
    last: int = 0
    interval: int = 0
    ease: int = _GENTLEST
    streak: int = 0
    reviews: int = 0
    correct: int = 0
    stability: float = 0.0
    mastery: int = 0


def recall(stability: float, elapsed: float) -> float:
    """The probability of remembering after `elapsed` days: 0.9 when that is the stability.

    The power law of forgetting, R = 1 / (1 + t / 9S), as in FSRS.
    """
    return 1 / (1 + elapsed / (9 * stability))


def first_stability(difficulty: float, knew: bool) -> float:
    """The stability in days after meeting an item for the first time."""
    return (4.0 if knew else 1.2) * (1.4 - difficulty)


def next_stability(stability: float, probability: float, difficulty: float, correct: bool) -> float:
    """The stability in days after a review that succeeds with this probability.

    A success strengthens the more, the closer the item was to being forgotten; a failure leaves a
    third of what was there.
    """
    if not correct:
        return max(0.4, stability * 0.33)
    return stability * (1 + (2.8 - 1.9 * difficulty) * min(1.0, 0.05 + 8 * (1 - probability)))


def reschedule(card: Card, quality: int, day: int, fuzz: float) -> None:
    """Plan the next review of a card as SM-2 does, `quality` being 0 to 5; `fuzz` is near 1.

    A failed item is due again the same day.
    """
    miss = 5 - quality
    card.ease = min(_GENTLEST, max(_HARDEST, card.ease + 10 - miss * (8 + miss * 2)))
    if quality < 3:
        card.streak, card.interval = 0, 0
    else:
        card.streak += 1
        card.interval = _interval(card, fuzz)
    card.due = day + card.interval


def _interval(card: Card, fuzz: float) -> int:
    if card.streak == 1:
        return 1
    if card.streak == 2:
        return 6 if fuzz > 1 else 5
    return max(card.interval + 1, round(card.interval * card.ease * fuzz / 100))


def mastery(card: Card, correct: bool) -> int:
    """How well an item sits after an answer, in percent: all of it from `MASTERED` days on."""
    if not correct:
        return card.mastery // 2
    return max(card.mastery, min(100, 100 * card.interval // MASTERED))
