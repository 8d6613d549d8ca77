"""One sitting: the cards dealt, the answers given, and how it ends."""

from __future__ import annotations

from heapq import heappop, heappush

from progress_context.simulator.answer import Desk
from progress_context.simulator.clock import MINUTE, SECOND
from progress_context.simulator.habits import Sitting
from progress_context.simulator.learner import Learner
from progress_context.simulator.memory import Card
from progress_context.simulator.outbox import kind
from progress_context.simulator.world import LONGEST_SITTING, World

FEWEST, MOST = 5, 30

_STARTED = kind("learning.SessionStarted")
_COMPLETED = kind("learning.SessionCompleted")
_ABANDONED = kind("learning.SessionAbandoned")
_AI_USED = kind("ai.UsageRecorded")

_STRATEGIES = ("new_items_first", "due_for_review", "weak_items_first", "mixed", "mixed")
_ABANDONMENTS = ("user_left", "user_left", "inactivity", "technical_error")
_AI_TASKS = ("explain_mistake", "example_sentence", "pronunciation_feedback")


def play(world: World, learner: Learner, sitting: Sitting) -> None:
    """Post all events of a sitting, from the moment the learner has time for it.

    A sitting that could outlast the simulation does not take place.
    """
    start = max(sitting.at, learner.free_at)
    if start + LONGEST_SITTING > world.end:
        return
    sender = world.device(learner.id, sitting.zone, start)
    desk = Desk(world, learner, sitting.day, sender, world.outbox.name(sender), start)
    strategy = world.dice.pick(_STRATEGIES)
    cards = _deal(world, learner, sitting.day, strategy)
    world.outbox.post(
        _STARTED,
        sender,
        start,
        f'"session_id":"{desk.session}","item_count":{len(cards)},"strategy":"{strategy}"',
    )
    _work(world, desk, cards)
    for card in cards:
        heappush(learner.deck, card)
    learner.free_at = desk.now + 5 * MINUTE


def _deal(world: World, learner: Learner, day: int, strategy: str) -> list[Card]:
    """Five to thirty different cards: what is due, some never seen, else what is due soonest."""
    wanted = min(MOST, max(FEWEST, round(learner.size + 4 * world.dice.bell())))
    reserved = 0 if strategy == "due_for_review" else min(3, wanted // 4)
    deck, cards = learner.deck, list[Card]()
    while deck and deck[0].due <= day and len(cards) < wanted - reserved:
        cards.append(heappop(deck))
    for _ in range(min(learner.appetite, wanted - len(cards))):
        if card := learner.meet(world.catalogue, day):
            cards.append(card)
    while len(cards) < FEWEST:
        cards.append(heappop(deck))
    if strategy == "new_items_first":
        cards.sort(key=lambda card: card.reviews)
    elif strategy == "weak_items_first":
        cards.sort(key=lambda card: card.ease)
    return cards


def _work(world: World, desk: Desk, cards: list[Card]) -> None:
    """Answer card after card to an end: most often the last card, else out of will or patience."""
    dice = world.dice
    fate = dice.draw()
    pause = dice.whole(1, len(cards) - 1) if dice.happens(0.01) else 0
    if fate < 0.06:
        asked = dice.whole(0, len(cards) - 1)
    else:
        asked = dice.whole(FEWEST, len(cards)) if fate < 0.15 else len(cards)
    for turn in range(asked):
        if turn and turn == pause:
            desk.now += dice.whole(31 * MINUTE, 50 * MINUTE)
        desk.answer(cards[turn])
    if fate < 0.06:
        _abandon(world, desk, asked)
    elif asked == len(cards):
        _complete(world, desk, asked, "all_items_completed")
    else:
        _complete(world, desk, asked, "timeout" if fate < 0.08 else "user_request")
    if dice.happens(0.05):
        _use_ai(world, desk)


def _abandon(world: World, desk: Desk, asked: int) -> None:
    reason = world.dice.pick(_ABANDONMENTS)
    desk.now += 10 * MINUTE if reason == "inactivity" else world.dice.whole(SECOND, MINUTE)
    data = f'"session_id":"{desk.session}","completed_count":{asked},"reason":"{reason}"'
    world.outbox.post(_ABANDONED, desk.sender, desk.now, data)


def _complete(world: World, desk: Desk, asked: int, reason: str) -> None:
    """Say that the session is over: some do not know how long it was, a few say it twice."""
    dice = world.dice
    desk.now += 15 * MINUTE if reason == "timeout" else dice.whole(SECOND, 5 * SECOND)
    data = f'"session_id":"{desk.session}","total_items":{asked},"correct_count":{desk.correct}'
    if dice.happens(0.85):
        data += f',"duration_seconds":{(desk.now - desk.start) // SECOND}'
    data += f',"reason":"{reason}"'
    world.outbox.post(_COMPLETED, desk.sender, desk.now, data)
    if dice.happens(0.005):
        again = desk.now + dice.whole(SECOND, 10 * SECOND)
        world.outbox.post(_COMPLETED, desk.sender, again, data)


def _use_ai(world: World, desk: Desk) -> None:
    dice = world.dice
    tokens = dice.whole(80, 2_500)
    data = f'"task_type":"{dice.pick(_AI_TASKS)}","tokens_used":{tokens}'
    if dice.happens(0.9):
        data += f',"cost":{tokens * 2 / 1_000_000:.6f}'
    world.outbox.post(_AI_USED, desk.sender, desk.now + dice.whole(SECOND, MINUTE), data)
