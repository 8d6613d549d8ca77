"""One answer: whether it is right, how long it takes, and what the apps conclude from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp

from progress_context.simulator.catalogue import Item
from progress_context.simulator.clock import DAY, MINUTE, SECOND, instant
from progress_context.simulator.learner import Learner
from progress_context.simulator.memory import (
    MASTERED,
    Card,
    first_stability,
    mastery,
    next_stability,
    recall,
    reschedule,
)
from progress_context.simulator.outbox import Sender, kind
from progress_context.simulator.world import World

_JUDGED = kind("learning.CorrectnessJudged")
_MASTERY = kind("learning.ItemMasteryUpdated")
_VOIDED = kind("learning.EventVoided")
_HINTED = kind("learning.HintShown")
_REVIEWED = kind("algorithm.ReviewRecorded")
_SCHEDULED = kind("algorithm.ReviewScheduled")
_ADJUSTED = kind("algorithm.DifficultyAdjusted")
_MASTERED = kind("algorithm.ItemMastered")

_HINTS_PER_ANSWER = 0.001
_VOIDED_PER_ANSWER = 0.0004
_ADJUSTED_PER_MISS = 0.15

_OBJECTION = 3 * SECOND
"""An answer that nobody objects to within this time is confirmed by itself."""

_RELEARN = 10 * MINUTE
"""When a failed item is due again."""

_NOTABLE = 25
"""Per cent by which mastery must move to be worth an event."""


@dataclass(slots=True)
class Desk:
    """Where a session is worked through: `now` moves on with every answer."""

    world: World
    learner: Learner
    day: int
    sender: Sender
    session: str
    start: int
    now: int = field(init=False)
    correct: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.now = self.start

    def answer(self, card: Card) -> None:
        """Ask one card, remember how it went, and post what follows from it."""
        draw = self.world.dice.draw
        item = self.world.catalogue.items[card.item]
        probability = self._probability(card, item)
        correct = draw() < probability
        self.now += SECOND + int(draw() * 2_000)
        if draw() < _HINTS_PER_ANSWER:
            self._show_hint(item)
        took = self._think(probability)
        self.now += took
        self._judge(item, correct, took)
        quality = _quality(correct, took, probability)
        self._record(card, item, quality, took)
        ease, interval = card.ease, card.interval
        _remember(card, item, probability, correct, self.now)
        reschedule(card, quality, self.day, 0.95 + 0.1 * draw())
        self._schedule(card, item)
        if card.ease < ease and draw() < _ADJUSTED_PER_MISS:
            self._adjust(item, ease, card.ease)
        self._master(card, item, interval, correct)

    def _probability(self, card: Card, item: Item) -> float:
        """How likely the learner is to know the answer now."""
        if card.reviews == 0:
            return max(0.05, 0.6 - 0.6 * item.difficulty + self.learner.talent)
        return 0.02 + 0.97 * recall(card.stability, (self.now - card.last) / DAY)

    def _think(self, probability: float) -> int:
        """Milliseconds to answer: log-normal, longer for what is hardly remembered."""
        typical = (2_200 + 2_500 * (1 - probability)) * self.learner.pace
        return min(MINUTE, 300 + int(typical * exp(0.45 * self.world.dice.bell())))

    def _judge(self, item: Item, correct: bool, took: int) -> None:
        dice = self.world.dice
        judgment = "UserConfirmedIncorrect"
        if correct:
            self.correct += 1
            judgment = "UserConfirmedCorrect"
            if dice.draw() < 0.8:
                judgment = "AutoConfirmed"
                self.now += _OBJECTION
        name = self.world.outbox.post(
            _JUDGED,
            self.sender,
            self.now,
            f'"session_id":"{self.session}","item_id":"{item.id}","judgment":"{judgment}",'
            f'"response_time_ms":{took},"domain":"{dice.pick(item.domains)}"',
        )
        if dice.draw() < _VOIDED_PER_ANSWER:
            self._void(name)

    def _void(self, name: str) -> None:
        at = self.now + self.world.dice.whole(5 * SECOND, 10 * MINUTE)
        data = f'"source":"urn:app:learning","id":"{name}","reason":"opened by accident"'
        self.world.outbox.post(_VOIDED, self.sender, at, data)

    def _show_hint(self, item: Item) -> None:
        """A type of event that no catalogue of event types knows."""
        data = f'"session_id":"{self.session}","item_id":"{item.id}","letters":1'
        self.world.outbox.post(_HINTED, self.sender, self.now, data)

    def _record(self, card: Card, item: Item, quality: int, took: int) -> None:
        correct = "true" if quality >= 3 else "false"
        data = (
            f'"item_id":"{item.id}","quality":{quality},"response_time_ms":{took},'
            f'"is_correct":{correct},"review_type":"{_review_type(card)}"'
        )
        if card.reviews:
            data += f',"previous_interval_days":{card.interval}'
        self.now += 40
        self.world.outbox.post(_REVIEWED, self.sender, self.now, data)

    def _schedule(self, card: Card, item: Item) -> None:
        self.now += 35
        due = self.now + (card.interval * DAY or _RELEARN)
        self.world.outbox.post(
            _SCHEDULED,
            self.sender,
            self.now,
            f'"item_id":"{item.id}","next_review_at":"{instant(due)}",'
            f'"interval_days":{card.interval},"easiness_factor":{card.ease / 100},'
            f'"repetition_count":{card.streak},"algorithm_version":"sm2-1"',
        )

    def _adjust(self, item: Item, old: int, new: int) -> None:
        self.now += 5
        data = (
            f'"item_id":"{item.id}","old_easiness_factor":{old / 100},'
            f'"new_easiness_factor":{new / 100},"reason":"harder than expected"'
        )
        self.world.outbox.post(_ADJUSTED, self.sender, self.now, data)

    def _master(self, card: Card, item: Item, interval: int, correct: bool) -> None:
        """Report a notable change of mastery, and the crossing of its threshold."""
        level = mastery(card, correct)
        mastered = card.interval >= MASTERED
        if abs(level - card.mastery) < _NOTABLE and mastered == (interval >= MASTERED):
            return
        card.mastery = level
        self.now += 20
        data = (
            f'"item_id":"{item.id}","mastery_level":{level / 100},'
            f'"mastered":{"true" if mastered else "false"}'
        )
        self.world.outbox.post(_MASTERY, self.sender, self.now, data)
        if mastered and interval < MASTERED:
            self._announce_mastered(card, item)

    def _announce_mastered(self, card: Card, item: Item) -> None:
        self.now += 20
        data = (
            f'"item_id":"{item.id}","total_reviews":{card.reviews},'
            f'"accuracy_rate":{card.correct / card.reviews:.4f},"retention_days":{card.interval}'
        )
        self.world.outbox.post(_MASTERED, self.sender, self.now, data)


def _remember(card: Card, item: Item, probability: float, correct: bool, now: int) -> None:
    """What the answer does to the learner's memory of the item."""
    if card.reviews == 0:
        card.stability = first_stability(item.difficulty, correct)
    else:
        card.stability = next_stability(card.stability, probability, item.difficulty, correct)
    card.reviews += 1
    card.correct += correct
    card.last = now


def _quality(correct: bool, took: int, probability: float) -> int:
    """The SM-2 grade: 5 at once, 3 after long thought; 2 nearly known, 0 not at all."""
    if correct:
        return 5 if took < 2_500 else 4 if took < 6_000 else 3
    return 2 if probability > 0.7 else 1 if probability > 0.4 else 0


def _review_type(card: Card) -> str:
    if card.reviews == 0:
        return "new"
    return "review" if card.interval else "learning"
