"""The items there are to learn."""

from __future__ import annotations

import math
from typing import NamedTuple

import msgspec

from progress_context.simulator.clock import HOUR
from progress_context.simulator.dice import Dice
from progress_context.simulator.outbox import Outbox, kind

LEVELS = ("A1", "A2", "B1", "B2", "C1", "C2")
DOMAINS = ("reading", "writing", "listening", "speaking")

_SHARES = (0.24, 0.22, 0.20, 0.16, 0.11, 0.07)
_REVISIONS_PER_ITEM_AND_DAY = 0.0004

_ONSETS = (
    *("b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p"),
    *("pl", "qu", "r", "s", "sh", "sl", "st", "str", "t", "th", "tr", "v", "w", "y", "z", ""),
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "ie", "oa", "oo", "ou")
_CODAS = (
    *("", "", "", "b", "ck", "d", "g", "l", "ll", "m"),
    *("n", "nd", "nt", "p", "r", "rn", "s", "st", "t"),
)

_PUBLISHED = kind("vocabulary.ItemPublished")
_UPDATED = kind("vocabulary.ItemUpdated")


class Item(msgspec.Struct, gc=False):
    """One word. `difficulty` is between 0 (sticks at once) and 1 (hardly ever)."""

    id: str
    spelling: str
    level: int
    domains: tuple[str, ...]
    difficulty: float


class Shelf(NamedTuple):
    """The items of one level: `size` of them from `first` on, walked in steps of `stride`."""

    first: int
    size: int
    stride: int

    def item(self, turn: int, start: int) -> int:
        """The item to learn at a turn: the whole shelf in some order, begun at `start`."""
        return self.first + (start + turn * self.stride) % self.size


def word(dice: Dice) -> str:
    """Something one could pronounce."""
    syllables = 1 + dice.happens(0.75) + dice.happens(0.35)
    return "".join(dice.pick(_ONSETS) + dice.pick(_VOWELS) + dice.pick(_CODAS) for _ in range(syllables))


class Catalogue:
    """All items, the easier levels first."""

    def __init__(self, dice: Dice, size: int) -> None:
        self._dice = dice
        self.shelves = _shelves(size)
        self.items: list[Item] = []
        levels = [level for level, shelf in enumerate(self.shelves) for _ in range(shelf.size)]
        spellings = _spellings(dice, size)
        width = max(5, len(str(size)))
        for number, (level, spelling) in enumerate(zip(levels, spellings, strict=True), start=1):
            self.items.append(self._item(f"item-{number:0{width}d}", spelling, level))

    def _item(self, name: str, spelling: str, level: int) -> Item:
        dice = self._dice
        domains = (dice.pick(DOMAINS), dice.pick(DOMAINS))
        difficulty = min(0.95, max(0.05, 0.2 + 0.08 * level + 0.15 * dice.bell()))
        return Item(name, spelling, level, tuple(dict.fromkeys(domains)), difficulty)

    def publish(self, outbox: Outbox, since: int, until: int) -> None:
        """Announce every item, evenly spread over the time between two instants."""
        for number, item in enumerate(self.items):
            domains = '","'.join(item.domains)
            outbox.post(
                _PUBLISHED,
                outbox.sender(item.id),
                since + number * (until - since) // len(self.items),
                f'"item_id":"{item.id}","spelling":"{item.spelling}","level":"{LEVELS[item.level]}",'
                f'"domains":["{domains}"]',
            )

    def revise(self, outbox: Outbox, midnight: int) -> None:
        """What the editors change on one day of UTC: levels that were one off, added domains."""
        dice = self._dice
        expected = len(self.items) * _REVISIONS_PER_ITEM_AND_DAY
        for _ in range(int(expected) + dice.happens(expected % 1)):
            item = dice.pick(self.items)
            change = self._relevel(item) if dice.happens(0.8) else self._widen(item)
            at = midnight + int(dice.within(8 * HOUR, 18 * HOUR))
            outbox.post(_UPDATED, outbox.sender(item.id), at, f'"item_id":"{item.id}",{change}')

    def _relevel(self, item: Item) -> str:
        step = 1 if item.level == 0 or (item.level < 5 and self._dice.happens(0.5)) else -1
        item.level += step
        return f'"level":"{LEVELS[item.level]}"'

    def _widen(self, item: Item) -> str:
        item.domains = (
            item.domains[0],
            self._dice.pick([d for d in DOMAINS if d != item.domains[0]]),
        )
        return f'"domains":["{item.domains[0]}","{item.domains[1]}"]'


def _spellings(dice: Dice, size: int) -> list[str]:
    """As many different words as there are items."""
    spelt: dict[str, None] = {}
    while len(spelt) < size:
        spelt[word(dice)] = None
    return list(spelt)


def _shelves(size: int) -> tuple[Shelf, ...]:
    """The catalogue cut into levels: every level gets at least one item."""
    shelves: list[Shelf] = []
    first, share = 0, 0.0
    for part in _SHARES:
        share += part
        end = round(size * share)
        shelves.append(Shelf(first, end - first, _stride(end - first)))
        first = end
    return tuple(shelves)


def _stride(size: int) -> int:
    """A step near the golden section that visits all of `size` places before any twice."""
    step = max(1, round(size * 0.618))
    while math.gcd(step, size) != 1:
        step += 1
    return step
