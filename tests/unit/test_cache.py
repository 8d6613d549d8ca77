"""The parts of the response cache that need no server."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_context.query.cache_bounds import DAY, HOUR, MINUTE, Keepable
from progress_context.query.cache_entries import entry, key_of, packed, unpacked
from progress_context.query.cache_http import still_holds, validators
from progress_context.query.cache_memory import LARGEST_PART, Memory
from progress_context.query.cache_redis import LONGEST_PAUSE, Breaker
from progress_context.query.cache_versions import Seen, askable
from progress_context.query.outline import Bound
from progress_context.query.responses import Reply

TODAY = date(2026, 11, 23)
YESTERDAY = date(2026, 11, 22)
KEY, OTHER = b"k" * 32, b"o" * 32


def seen(**changes: Any) -> Seen:
    values: dict[str, Any] = {
        "versions": "1", "generation": "g", "position": 9, "settled": True,
        "keys": (1,), "learners": ("1 9",), "todays": (TODAY,),
    }  # fmt: skip
    return Seen(**(values | changes))


def bound(last: date | None = None, *, past: bool = False, fixed: bool = False) -> Bound:
    return Bound("ada", {"day_from": last, "day_to": last}, past, fixed, 0, 1)


@given(data=st.binary(max_size=300), until=st.floats(0, 4e9))
def test_an_entry_survives_its_journey(data: bytes, until: float) -> None:
    assert unpacked(KEY, packed(KEY, entry(data, until))) == entry(data, until)


@given(data=st.binary(max_size=60), at=st.integers(0), change=st.integers(1, 255), cut=st.integers(1))
def test_a_damaged_entry_is_none(data: bytes, at: int, change: int, cut: int) -> None:
    whole = packed(KEY, entry(data, 9.0))
    damaged = bytearray(whole)
    damaged[at % len(whole)] ^= change
    assert unpacked(KEY, bytes(damaged)) is None
    assert unpacked(KEY, whole[: -1 - cut % len(whole)]) is None
    assert unpacked(KEY, whole + b"x") is None


def test_an_entry_of_another_key_is_none() -> None:
    assert unpacked(OTHER, packed(KEY, entry(b"data", 9.0))) is None


def key(**changes: Any) -> bytes:
    question: dict[str, Any] = {
        "served": b"served", "text": "{a}", "operation": None, "variables": {"u": "ada"},
        "whose": ("learner", ("ada",)), "seen": seen(),
    }  # fmt: skip
    return key_of(**(question | changes))


def test_whatever_an_answer_depends_on_is_in_its_key() -> None:
    keys = [
        key(),
        key(served=b"other"),
        key(text="{b}"),
        key(operation="name"),
        key(variables={"u": "bob"}),
        key(whose=("learner", ("bob",))),
        key(whose=("coach", ("ada",))),
        key(seen=seen(generation="h")),
        key(seen=seen(learners=("1 10",))),
    ]
    assert len(set(keys)) == len(keys)


def test_the_same_question_has_the_same_key_whatever_the_position() -> None:
    assert key(variables={"b": 1, "a": 2}, seen=seen(position=10)) == key(variables={"a": 2, "b": 1})


def test_memory_keeps_to_its_bytes_and_drops_what_was_not_asked_for_longest() -> None:
    memory = Memory(LARGEST_PART * 1_300)
    keys = [bytes([number]) * 32 for number in range(LARGEST_PART + 1)]
    for key in keys[:-1]:
        memory.put(key, entry(b"x" * 1_000, 100.0))
    assert memory.bytes == LARGEST_PART * 1_300
    assert memory.get(keys[0], 0.0) is not None
    memory.put(keys[-1], entry(b"x" * 1_000, 100.0))
    assert memory.bytes == LARGEST_PART * 1_300
    assert memory.get(keys[1], 0.0) is None
    assert memory.get(keys[0], 0.0) is not None


def test_memory_forgets_in_time_and_takes_nothing_huge() -> None:
    memory = Memory(LARGEST_PART * 1_000)
    memory.put(KEY, entry(b"data", 10.0))
    assert memory.get(KEY, 9.9) is not None
    assert memory.get(KEY, 10.0) is None
    memory.put(KEY, entry(b"x" * 1_000, 10.0))
    assert (len(memory), memory.bytes) == (0, 0)


def test_an_entry_put_twice_counts_once() -> None:
    memory = Memory(100_000)
    memory.put(KEY, entry(b"one", 10.0))
    memory.put(KEY, entry(b"three", 10.0))
    assert memory.bytes == entry(b"three", 10.0).size


def test_a_breaker_keeps_away_for_longer_each_time_and_lets_one_through() -> None:
    now = 0.0
    breaker = Breaker(1.0, lambda: now)
    pauses: list[float] = []
    for _ in range(8):
        breaker.failed()
        since = now
        while not breaker.lets_through():
            now += 0.5
        pauses.append(now - since)
        assert not breaker.lets_through()
    assert pauses[:3] == [1.0, 2.0, 4.0]
    assert pauses[-1] == LONGEST_PAUSE
    breaker.succeeded()
    assert breaker.lets_through()
    assert breaker.lets_through()


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ([("dailyStats", bound())], 5 * MINUTE),
        ([("dailyStats", bound(TODAY))], 5 * MINUTE),
        ([("dailyStats", bound(YESTERDAY))], DAY),
        ([("weeklyTrend", bound())], HOUR),
        ([("userSummary", bound())], 10 * MINUTE),
        ([("learningStreak", bound(YESTERDAY))], 5 * MINUTE),
        ([("userSummary", bound(past=True))], DAY),
        ([("weeklyTrend", bound()), ("learningStreak", bound())], 5 * MINUTE),
    ],
)
def test_an_answer_is_kept_no_longer_than_its_shortest_field(
    fields: list[tuple[str, Bound]], seconds: int
) -> None:
    assert Keepable(("ada",), tuple(fields)).seconds(TODAY) == seconds


@pytest.mark.parametrize("user", ["a\0b", "\ud800", "x" * 2_000])
def test_what_postgresql_could_not_take_is_not_asked(user: str) -> None:
    assert not askable(user)
    assert askable("d'arcy\\\"%")


def test_only_what_may_be_kept_has_a_tag_and_only_a_get_is_spared() -> None:
    plain, kept = Reply(b"{}"), Reply(b"{}", tag='W/"1"')
    assert validators(plain, [(b"cache-control", b"no-store")]) == [(b"cache-control", b"no-store")]
    told = dict(validators(kept, [(b"cache-control", b"no-store"), (b"x", b"y")]))
    assert told == {b"x": b"y", b"cache-control": b"private, no-cache", b"etag": b'W/"1"'}
    assert still_holds("GET", {"if-none-match": 'W/"0", W/"1"'}, kept)
    assert not still_holds("POST", {"if-none-match": 'W/"1"'}, kept)
    assert not still_holds("GET", {"if-none-match": 'W/"2"'}, kept)
    assert not still_holds("GET", {"if-none-match": "*"}, plain)
