"""The messages of one subscription: what is leased, what is done, what comes again. No I/O."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pubsub_emulator.clock import Clock
from pubsub_emulator.delivery import Entry, Lane, Message, Stream
from pubsub_emulator.faults import Faults
from pubsub_emulator.queueing import Queue

NEVER = float("inf")
PUSH_BACKOFF = (0.1, 60.0)

ack_ids = itertools.count(time.time_ns())  # those of a process that was killed mean nothing to the next


class Backlog:
    """All messages of a subscription that are not acknowledged, and the acknowledged that Seek may need.

    When a message of an ordering key fails, all that were delivered behind it come again, in order.
    """

    def __init__(
        self,
        config: Any,
        accepts: Callable[[Mapping[str, str]], bool] | None,
        bury: Callable[[Entry, Any], bool],
        settled: Callable[[str, list[int]], None],
        faults: Faults,
        clock: Clock,
    ) -> None:
        self.config = config
        self.waiters: set[asyncio.Event] = set()
        self.entries: dict[int, Entry] = {}
        self.leases: dict[str, Entry] = {}
        self._accepts = accepts
        self._bury = bury
        self._settled = settled
        self._faults = faults
        self._clock = clock
        self._archive: deque[Entry] = deque()
        self._queue = Queue(clock)
        self._next_deadline = NEVER

    def add(self, messages: Iterable[Message]) -> None:
        """Take in published messages, less those that the filter leaves out."""
        accepts = self._accepts
        for message in messages:
            if self._faults.happens(self._faults.lose):
                continue
            if accepts is None or accepts(message.pb.attributes):
                self._enter(message)
        self.wake()

    def _enter(self, message: Message) -> None:
        ordered = message.key and self.config.enable_message_ordering
        entry = Entry(message, self._queue.lane(message.key) if ordered else None)
        self.entries[message.number] = entry
        self._queue.enter(entry)

    def take(self, stream: Stream | None, count: int, size: int, seconds: float) -> list[Entry]:
        """Lease messages to a stream, or to a Pull, for so long; gives those that are to be delivered.

        They are up to `count`, of `size` bytes together (the last may be larger).
        """
        taken = self._queue.take(stream, count, size)
        deadline = self._clock.now() + seconds
        self._next_deadline = min(self._next_deadline, deadline)
        for entry in taken:
            entry.ack_id = ack_id = f"{next(ack_ids):x}"
            entry.deadline = deadline
            self.leases[ack_id] = entry
            if stream:
                entry.stream = stream
                stream.add(entry)
        return self._without_dropped(taken) if self._faults.drop else taken

    def _without_dropped(self, taken: list[Entry]) -> list[Entry]:
        shown: list[Entry] = []
        broken: set[Lane] = set()
        for entry in taken:
            if entry.lane in broken or self._faults.happens(self._faults.drop):
                if entry.lane:  # what follows must not overtake it
                    broken.add(entry.lane)
                    entry.lane.owner = None
            else:
                shown.append(entry)
        return shown

    def find(self, ack_id: str) -> Entry | None:
        """The leased message of an ack id; further copies of a delivery carry `#` and a number behind it."""
        return self.leases.get(ack_id) or self.leases.get(ack_id.partition("#")[0])

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Done with these; unknown or outdated ack ids are passed over, as Google does."""
        done: list[int] = []
        for ack_id in ack_ids:
            entry = self.find(ack_id)
            if entry and not self._faults.happens(self._faults.lose_acks):
                self._release(entry)
                self._finish(entry)
                done.append(entry.message.number)
        self._settled(self.config.name, done)
        self.wake()

    def pending(self) -> dict[int, Any]:
        """The messages that are not acknowledged, by number."""
        return {number: entry.message.pb for number, entry in self.entries.items() if not entry.acked}

    def forget(self, numbers: Iterable[int]) -> None:
        """These were acknowledged in an earlier life."""
        for number in numbers:
            if entry := self.entries.get(number):
                entry.acked = True
                self._forget(entry)

    def _finish(self, entry: Entry) -> None:
        entry.acked = True
        if entry.lane is None:
            self._forget(entry)
            return
        for done in entry.lane.settle():
            self._forget(done)
        self._queue.offer(entry.lane)

    def _forget(self, entry: Entry) -> None:
        self.entries.pop(entry.message.number, None)
        if self.config.retain_acked_messages:
            self._archive.append(entry)

    def _release(self, entry: Entry) -> None:
        self.leases.pop(entry.ack_id, None)
        entry.ack_id = ""
        if entry.stream:
            entry.stream.remove(entry)
            entry.stream = None

    def modify(self, ack_ids: Iterable[str], seconds: float) -> None:
        """Lease for `seconds` from now; 0 gives the messages back."""
        deadline = self._clock.now() + seconds
        for ack_id in ack_ids:
            entry = self.find(ack_id)
            if entry and seconds:
                entry.deadline = deadline
                self._next_deadline = min(self._next_deadline, deadline)
            elif entry:
                self._fail(entry)
        self.wake()

    def _fail(self, entry: Entry) -> None:
        """A message was given back, or its lease ran out."""
        self._release(entry)
        entry.failures += 1
        if self._is_dead(entry):
            self._finish(entry)
            self._settled(self.config.name, [entry.message.number])
            return
        opens = self._clock.now() + self._backoff(entry.failures)
        if entry.lane is None:
            self._queue.give_back(entry, opens)
            return
        for follower in entry.lane.rewind(entry):
            if follower.ack_id:
                self._release(follower)
            follower.acked = False
        self._queue.hold_back(entry.lane, opens)

    def _is_dead(self, entry: Entry) -> bool:
        policy = self.config.dead_letter_policy
        if not policy.dead_letter_topic or entry.failures < policy.max_delivery_attempts:
            return False
        return self._bury(entry, self.config)

    def _backoff(self, failures: int) -> float:
        if self.config.HasField("retry_policy"):
            policy = self.config.retry_policy
            least, most = (
                d.seconds + d.nanos / 1e9 for d in (policy.minimum_backoff, policy.maximum_backoff)
            )
        elif self.config.push_config.push_endpoint:
            least, most = PUSH_BACKOFF
        else:
            return 0.0
        return min(most, least * 2 ** min(failures - 1, 30))

    def tick(self) -> None:
        """Let leases run out and backoffs end."""
        now = self._clock.now()
        ended = self._queue.tick()
        if now >= self._next_deadline:
            self._expire(now)
            ended = True
        if ended:
            self.wake()

    def _expire(self, now: float) -> None:
        for entry in list(self.leases.values()):
            if entry.ack_id and entry.deadline <= now:
                self._fail(entry)
        self._next_deadline = min((e.deadline for e in self.leases.values()), default=NEVER)

    def drop_older(self) -> None:
        """Drop what is older than the subscription's retention, acknowledged or not; leased messages stay."""
        oldest = self._clock.now() - self.config.message_retention_duration.seconds
        while self._archive and self._archive[0].message.published < oldest:
            self._archive.popleft()
        gone: list[Entry] = []
        for entry in self.entries.values():
            if entry.message.published >= oldest:
                break
            if not entry.ack_id and not entry.acked:
                gone.append(entry)
        for entry in gone:
            entry.acked = True
            del self.entries[entry.message.number]

    def seek(self, instant: float) -> None:
        """Everything published before `instant` is acknowledged, everything since then is not."""
        retained = [*self._archive, *self.entries.values()]
        retained.sort(key=lambda entry: entry.message.number)
        for entry in list(self.leases.values()):
            self._release(entry)
        self.entries = {}
        self._archive.clear()
        self._queue = Queue(self._clock)
        for entry in retained:
            if entry.message.published >= instant:
                self._enter(entry.message)
            elif self.config.retain_acked_messages:
                self._archive.append(entry)
        self.wake()

    def close(self, stream: Stream) -> None:
        """A stream is gone; its leases run on."""
        stream.open = False
        self.waiters.discard(stream.news)
        self._queue.unbind(stream)
        self.wake()

    def wake(self) -> None:
        """Let everybody who waits for messages look again."""
        for event in self.waiters:
            event.set()
