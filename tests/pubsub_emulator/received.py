"""Leased messages as the API shows them."""

from __future__ import annotations

from typing import Any

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.delivery import Entry
from pubsub_emulator.faults import Faults


def show(leased: list[Entry], shown: Any, backlog: Backlog, faults: Faults) -> None:
    """Add ReceivedMessages to the field `shown`, in order or as the switches say: shuffled, repeated."""
    counted = bool(backlog.config.dead_letter_policy.dead_letter_topic)
    entries = shuffled(leased, faults) if faults.shuffle else leased
    for copy in range(1, faults.copies + 1):
        mark = f"#{copy}" if copy > 1 else ""
        for entry in entries:
            attempt = entry.failures + 1 if counted else 0
            shown.add(ack_id=entry.ack_id + mark, message=entry.message.pb, delivery_attempt=attempt)


def shuffled(leased: list[Entry], faults: Faults) -> list[Entry]:
    """The messages in any order, those of one lane in theirs."""
    mixed = leased[:]
    faults.dice.shuffle(mixed)
    lanes: dict[object, list[Entry]] = {}
    for entry in reversed(leased):
        lanes.setdefault(entry.lane or entry, []).append(entry)
    return [lanes[entry.lane or entry].pop() for entry in mixed]
