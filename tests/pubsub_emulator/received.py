"""Leased messages as the API shows them."""

from __future__ import annotations

from typing import Any

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.delivery import Entry
from pubsub_emulator.faults import Faults
from pubsub_emulator.messages import message_class

ReceivedMessage = message_class("ReceivedMessage")


def received(leased: list[Entry], backlog: Backlog, faults: Faults) -> list[Any]:
    """ReceivedMessages in order, or as the fault switches say: shuffled, repeated."""
    counted = bool(backlog.config.dead_letter_policy.dead_letter_topic)
    shown = shuffled(leased, faults) if faults.shuffle else leased
    messages = [
        ReceivedMessage(
            ack_id=entry.ack_id, message=entry.message.pb, delivery_attempt=entry.failures + 1 if counted else 0
        )
        for entry in shown
    ]
    for copy in range(2, faults.copies + 1):
        for message in messages[: len(shown)]:
            again = ReceivedMessage()
            again.CopyFrom(message)
            again.ack_id += f"#{copy}"
            messages.append(again)
    return messages


def shuffled(leased: list[Entry], faults: Faults) -> list[Entry]:
    """The messages in any order, those of one lane in theirs."""
    mixed = leased[:]
    faults.dice.shuffle(mixed)
    lanes: dict[object, list[Entry]] = {}
    for entry in reversed(leased):
        lanes.setdefault(entry.lane or entry, []).append(entry)
    return [lanes[entry.lane or entry].pop() for entry in mixed]
