"""Who may get which message of a subscription next. No I/O."""

from __future__ import annotations

import heapq
import itertools
from collections import deque

from pubsub_emulator.clock import Clock
from pubsub_emulator.delivery import Entry, Lane, Stream

numbers = itertools.count(1)


class Queue:
    """Messages that wait for delivery.

    Those of an ordering key go to one stream, up to its `key_window` at a time, or into one Pull at a time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[Entry | Lane] = deque()
        self._lanes: dict[str, Lane] = {}
        self._delayed: list[tuple[float, int, Entry | Lane]] = []

    def lane(self, key: str) -> Lane:
        """The lane of an ordering key."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        return lane

    def enter(self, entry: Entry) -> None:
        """Put a message behind all others."""
        if entry.lane is None:
            self._ready.append(entry)
        else:
            entry.lane.waiting.append(entry)
            self.offer(entry.lane)

    def give_back(self, entry: Entry, opens: float) -> None:
        """A message of no lane is to be delivered again, not before `opens`."""
        if opens > self._clock.now():
            heapq.heappush(self._delayed, (opens, next(numbers), entry))
        else:
            self._ready.appendleft(entry)

    def hold_back(self, lane: Lane, opens: float) -> None:
        """Deliver nothing from a lane before `opens`."""
        lane.open_at = opens
        if opens > self._clock.now():
            heapq.heappush(self._delayed, (opens, next(numbers), lane))
        else:
            self.offer(lane)

    def offer(self, lane: Lane) -> None:
        """Let the next message of a lane be taken, if anybody may have it; forget a lane that is empty."""
        if not lane.waiting:
            if not lane.out:
                self._lanes.pop(lane.key, None)
            return
        if lane.queued or lane.open_at > self._clock.now():
            return
        if not lane.out:
            lane.queued = True
            self._ready.append(lane)
        elif lane.owner and lane.owner.open and len(lane.out) < lane.owner.key_window:
            lane.queued = True
            lane.owner.lanes.append(lane)

    def take(self, stream: Stream | None, count: int, size: int) -> list[Entry]:
        """Up to `count` messages of `size` bytes together (the last may be larger) for a stream, or for a Pull."""
        taken: list[Entry] = []
        touched: list[Lane] = []
        bound: deque[Lane] = stream.lanes if stream else deque()
        while len(taken) < count and size > 0 and (bound or self._ready):
            item = bound.popleft() if bound else self._ready.popleft()
            if isinstance(item, Lane):
                size -= self._take_from(item, stream, count, size, taken)
                touched.append(item)
            elif not item.acked:
                taken.append(item)
                size -= item.message.size
        for lane in touched:
            self.offer(lane)
        return taken

    def _take_from(self, lane: Lane, stream: Stream | None, count: int, size: int, taken: list[Entry]) -> int:
        """Move messages of a lane to `taken`; gives their size."""
        lane.queued = False
        if lane.open_at > self._clock.now() or (lane.out and lane.owner is not stream):
            return 0
        lane.owner = stream
        room = count - len(taken)
        if stream:
            room = min(room, stream.key_window - len(lane.out))
        used = 0
        while lane.waiting and room > 0 and used < size:
            entry = lane.waiting.popleft()
            if not entry.acked:
                lane.out.append(entry)
                taken.append(entry)
                used += entry.message.size
                room -= 1
        return used

    def tick(self) -> bool:
        """Let backoffs end; true if one did."""
        now = self._clock.now()
        ended = False
        while self._delayed and self._delayed[0][0] <= now:
            item = heapq.heappop(self._delayed)[2]
            ended = True
            if isinstance(item, Lane):
                self.offer(item)
            else:
                self._ready.append(item)
        return ended

    def unbind(self, stream: Stream) -> None:
        """A stream is gone: the lanes bound to it wait until what it got is settled or comes back."""
        for lane in stream.lanes:
            lane.queued = False
            self.offer(lane)
