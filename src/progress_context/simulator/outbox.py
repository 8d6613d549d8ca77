"""From things that happen to CloudEvents in the order in which they are delivered."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from progress_context.simulator.clock import HOUR, instant
from progress_context.simulator.dice import Dice

_SCATTER = 2_654_435_761
"""Odd, so that multiplying by it modulo 2³² keeps different numbers different."""

_ROOM = 20_000


class Sender(NamedTuple):
    """What the events of one sitting have in common.

    `tail` ends their ids, `zone` is a ready-made attribute or empty, and nothing leaves the device
    before `online_at`.
    """

    subject: str
    tail: str
    zone: str = ""
    online_at: int = 0


def kind(event_type: str) -> str:
    """The attributes that all events of a type share: its name and the app that sends it."""
    context = event_type.partition(".")[0]
    return f'"source":"urn:app:{context}","type":"{event_type}"'


class Outbox:
    """Holds events until their time of delivery has come; some go out twice."""

    def __init__(self, dice: Dice, duplicate_share: float) -> None:
        self._draw = dice.draw
        self._duplicate_share = duplicate_share
        self._count = 0
        self._release_at = _ROOM
        self._mail: list[tuple[int, int, str]] = []

    def sender(self, subject: str, zone: str = "", online_at: int = 0) -> Sender:
        """A sender with an id tail of its own."""
        bits = f"{int(self._draw() * 2**53):014x}{int(self._draw() * 2**36):09x}"
        tail = f"-{bits[:4]}-4{bits[4:7]}-8{bits[7:10]}-{bits[10:22]}"
        attribute = f',"timezone":"{zone}"' if zone else ""
        return Sender(subject, tail, attribute, online_at)

    def name(self, sender: Sender) -> str:
        """A new name, shaped like a UUID and never given before."""
        self._count += 1
        return f"{self._count * _SCATTER & 0xFFFFFFFF:08x}{sender.tail}"

    def post(self, kind: str, sender: Sender, at: int, data: str) -> str:
        """Send what happened at `at`: `data` is the inside of a JSON object. Returns the id."""
        name = self.name(sender)
        text = (
            f'{{"specversion":"1.0","id":"{name}",{kind},"subject":"{sender.subject}",'
            f'"time":"{instant(at)}"{sender.zone},"data":{{{data}}}}}'
        )
        due = max(at, sender.online_at)
        self._mail.append((due, self._count, text))
        if self._draw() < self._duplicate_share:
            self._mail.append((due + int(self._draw() ** 4 * HOUR), self._count, text))
        return name

    @property
    def full(self) -> bool:
        """Whether so much waits that releasing what is due is worth a sort."""
        return len(self._mail) >= self._release_at

    def release(self, before: float) -> Iterator[bytes]:
        """Everything due before an instant; nothing may be posted for an earlier one any more."""
        mail = self._mail
        mail.sort()
        ready = bisect_left(mail, before, key=lambda waiting: waiting[0])
        for _, _, text in mail[:ready]:
            yield text.encode()
        del mail[:ready]
        self._release_at = 2 * len(mail) + _ROOM
