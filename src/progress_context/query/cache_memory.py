"""Answers kept in this process: the latest asked for, up to so many bytes."""

from __future__ import annotations

from collections import OrderedDict

from progress_context import telemetry
from progress_context.query.cache_entries import Entry

LARGEST_PART = 16  # an entry takes at most this part of the memory, so that one does not drive out all


class Memory:
    """Entries by key; the one that was not asked for the longest goes first."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, now: float) -> Entry | None:
        """The entry of a key, unless its time is up."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found.until <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, value: Entry) -> None:
        """Keep an entry, in place of others if need be."""
        if value.size > self._most // LARGEST_PART:
            return
        if key in self._entries:
            self._drop(key)
        self._entries[key] = value
        self.bytes += value.size
        while self.bytes > self._most:
            self._drop(next(iter(self._entries)))
            telemetry.CACHE_EVICTIONS.inc()
        telemetry.CACHE_BYTES.set(self.bytes)

    def _drop(self, key: bytes) -> None:
        self.bytes -= self._entries.pop(key).size
        telemetry.CACHE_BYTES.set(self.bytes)
