"""The parts of a subscription: a message's place in it, the lane of an ordering key, a stream's account."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any


class Message:
    """A published message, shared by all subscriptions of its topic."""

    __slots__ = ("key", "number", "pb", "published", "size")

    def __init__(self, number: int, pb: Any, published: float, size: int) -> None:
        self.number = number
        self.pb = pb
        self.published = published
        self.size = size
        self.key: str = pb.ordering_key


class Entry:
    """A message in one subscription. It is leased while `ack_id` is set."""

    __slots__ = ("ack_id", "acked", "deadline", "failures", "lane", "message", "stream")

    def __init__(self, message: Message, lane: Lane | None) -> None:
        self.message = message
        self.lane = lane
        self.ack_id = ""
        self.acked = False
        self.deadline = 0.0
        self.failures = 0
        self.stream: Stream | None = None


class Lane:
    """The messages of one ordering key: `out` were delivered, in order, `waiting` follow."""

    __slots__ = ("key", "open_at", "out", "owner", "queued", "waiting")

    def __init__(self, key: str) -> None:
        self.key = key
        self.waiting: deque[Entry] = deque()
        self.out: deque[Entry] = deque()
        self.owner: Stream | None = None  # who got `out` and may get more meanwhile; nobody else
        self.queued = False  # stands in a queue of lanes to deliver from
        self.open_at = 0.0  # after a failure: when the retry policy's backoff ends

    def rewind(self, entry: Entry) -> list[Entry]:
        """Take `entry` and all that were delivered behind it back; gives them, acknowledged ones included."""
        back: list[Entry] = []
        while self.out:
            last = self.out.pop()
            back.append(last)
            if last is entry:
                break
        self.waiting.extendleft(back)
        return back

    def settle(self) -> list[Entry]:
        """Let go of the acknowledged messages at the front; gives them."""
        done: list[Entry] = []
        while self.out and self.out[0].acked:
            done.append(self.out.popleft())
        return done


class Stream:
    """What one StreamingPull may still get, and the lanes that are bound to it."""

    def __init__(self, seconds: float, max_messages: int, max_bytes: int, key_window: int) -> None:
        self.seconds = seconds
        self.max_messages = max_messages if max_messages > 0 else 1 << 60
        self.max_bytes = max_bytes if max_bytes > 0 else 1 << 60
        self.key_window = key_window
        self.messages = 0
        self.bytes = 0
        self.lanes: deque[Lane] = deque()
        self.open = True
        self.news = asyncio.Event()

    def add(self, entry: Entry) -> None:
        """Count a message that is under way to the subscriber."""
        self.messages += 1
        self.bytes += entry.message.size

    def remove(self, entry: Entry) -> None:
        """Count one less."""
        self.messages -= 1
        self.bytes -= entry.message.size
