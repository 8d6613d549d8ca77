"""Rate limits: never more than the limit in any minute, over all copies of the service, whatever Redis does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from faults import FaultyProxy
from ports import free_port
from progress_context.local.ports import LOOPBACK
from progress_context.local.valkey import EmbeddedValkey
from progress_context.query import rate_limit
from progress_context.query.rate_limit import (
    ALONE_SECONDS,
    REDIS_SECONDS,
    SLOT_SECONDS,
    MemoryCounter,
    RedisCounter,
)
from tunnels import certificate, server_side, tunnel

PATIENT = 5.0  # a machine that is busy with other tests is no Redis that is away
LIMIT = 10


@pytest.fixture(scope="module")
def valkey(scratch: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(scratch / "valkey") as server:
        yield server


class Window:
    """A counter whose past can be moved further away."""

    def __init__(self, counter: Any, age: Callable[[str, int], Any]) -> None:
        self.take = counter.take
        self.age = age


@pytest.fixture(params=["memory", "redis"])
async def window(
    request: pytest.FixtureRequest, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Window]:
    """Either counter, at the beginning of a slot as far as a real clock allows."""
    if request.param == "memory":
        now = [1_000_000.0]

        async def later(_key: str, slots: int) -> None:
            now[0] += slots * SLOT_SECONDS

        yield Window(MemoryCounter(lambda: now[0]), later)
        return
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", PATIENT)
    counter = RedisCounter(valkey.url)
    redis: Any = Redis.from_url(valkey.url)

    async def earlier(key: str, slots: int) -> None:
        name = f"progress:rate:{key}"
        counts = await redis.hgetall(name)
        await redis.delete(name)
        if counts:
            await redis.hset(name, mapping={int(at) - slots: int(n) for at, n in counts.items()})

    yield Window(counter, earlier)
    await counter.close()
    await redis.aclose()


@pytest.fixture
def key() -> str:
    return uuid4().hex


async def test_as_many_as_the_limit_and_not_one_more(window: Window, key: str) -> None:
    verdicts = [await window.take(key, LIMIT) for _ in range(LIMIT + 3)]
    assert [verdict.allowed for verdict in verdicts] == [True] * LIMIT + [False] * 3
    assert [verdict.left for verdict in verdicts] == [*range(LIMIT - 1, -1, -1), 0, 0, 0]
    assert all(60 - SLOT_SECONDS <= verdict.seconds <= 60 + SLOT_SECONDS for verdict in verdicts)


async def test_others_are_counted_for_themselves(window: Window, key: str) -> None:
    for _ in range(LIMIT + 1):
        await window.take(key, LIMIT)
    assert (await window.take(f"{key} another", LIMIT)).left == LIMIT - 1


async def test_a_minute_that_slides_never_holds_more(window: Window, key: str) -> None:
    """Full at once, still full after 60 seconds less a moment, free again when the slot has left."""
    for _ in range(LIMIT):
        await window.take(key, LIMIT)
    await window.age(key, 11)
    refused = await window.take(key, LIMIT)
    assert not refused.allowed
    assert 0 < refused.seconds <= 2 * SLOT_SECONDS
    await window.age(key, 2)
    assert (await window.take(key, LIMIT)).left == LIMIT - 1


async def test_what_was_asked_earlier_leaves_earlier(window: Window, key: str) -> None:
    for _ in range(4):
        await window.take(key, LIMIT)
    await window.age(key, 6)
    for _ in range(6):
        assert (await window.take(key, LIMIT)).allowed
    await window.age(key, 7)
    allowed = [(await window.take(key, LIMIT)).allowed for _ in range(6)]
    assert allowed == [True] * 4 + [False] * 2


async def test_several_at_once_are_taken_together_or_not_at_all(window: Window, key: str) -> None:
    assert (await window.take(key, LIMIT, 7)).left == 3
    refused = await window.take(key, LIMIT, 4)
    assert (refused.allowed, refused.left) == (False, 3)
    assert (await window.take(key, LIMIT, 3)).allowed


async def test_a_refusal_costs_nothing(window: Window, key: str) -> None:
    for _ in range(5 * LIMIT):
        await window.take(key, LIMIT)
    await window.age(key, 13)
    assert (await window.take(key, LIMIT)).left == LIMIT - 1


async def test_copies_of_the_service_count_together(
    valkey: EmbeddedValkey, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", PATIENT)
    copies = [RedisCounter(valkey.url) for _ in range(4)]
    verdicts = await asyncio.gather(*(copies[n % 4].take(key, 100) for n in range(240)))
    assert sum(verdict.allowed for verdict in verdicts) == 100
    for copy in copies:
        await copy.close()


async def test_nothing_is_left_in_redis_when_nobody_asks_any_more(
    valkey: EmbeddedValkey, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", PATIENT)
    counter = RedisCounter(valkey.url)
    await counter.take(key, LIMIT)
    redis: Any = Redis.from_url(valkey.url)
    assert 0 < await redis.ttl(f"progress:rate:{key}") <= 65
    await counter.close()
    await redis.aclose()


async def test_a_process_forgets_those_it_heard_of_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "KEYS_KEPT", 2)
    counter = MemoryCounter(lambda: 0.0)
    for key in ("a", "b", "c"):
        await counter.take(key, LIMIT)
    assert [(await counter.take(key, LIMIT)).left for key in ("c", "a")] == [LIMIT - 2, LIMIT - 1]


async def test_without_redis_a_process_counts_alone_and_asks_again_later() -> None:
    now = [0.0]
    counter = RedisCounter(f"redis://{LOOPBACK}:{free_port()}", clock=lambda: now[0])
    assert [(await counter.take("k", 2)).allowed for _ in range(3)] == [True, True, False]
    now[0] = ALONE_SECONDS + 1
    assert not (await counter.take("k", 2)).allowed
    await counter.close()


async def test_a_redis_that_says_nothing_costs_a_moment_once() -> None:
    async with tunnel(None) as port:
        counter = RedisCounter(f"redis://{LOOPBACK}:{port}")
        began = time.monotonic()
        verdicts = [await counter.take("k", LIMIT) for _ in range(20)]
        assert time.monotonic() - began < 1.0
        assert sum(verdict.allowed for verdict in verdicts) == LIMIT
        await counter.close()
    assert REDIS_SECONDS <= 0.1


async def test_a_redis_that_talks_nonsense_is_not_listened_to(valkey: EmbeddedValkey, key: str) -> None:
    async with FaultyProxy(valkey.port) as proxy:
        proxy.go("garbage")
        counter = RedisCounter(valkey.url.replace(f":{valkey.port}/", f":{proxy.port}/"))
        assert [(await counter.take(key, 2)).allowed for _ in range(3)] == [True, True, False]
        await counter.close()


async def test_after_redis_forgot_the_script_it_is_told_again(
    valkey: EmbeddedValkey, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", PATIENT)
    counter = RedisCounter(valkey.url)
    redis: Any = Redis.from_url(valkey.url)
    assert (await counter.take(key, LIMIT)).left == LIMIT - 1
    await redis.script_flush()
    assert (await counter.take(key, LIMIT)).left == LIMIT - 2
    await redis.flushall()
    assert (await counter.take(key, LIMIT)).left == LIMIT - 1
    await counter.close()
    await redis.aclose()


async def test_over_tls_only_a_server_that_proves_its_name_is_asked(
    valkey: EmbeddedValkey, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "REDIS_SECONDS", PATIENT)
    cert, secret = certificate(tmp_path)
    plain = RedisCounter(valkey.url)
    async with tunnel((LOOPBACK, valkey.port), server_side(cert, secret)) as port:
        password = valkey.url.split("@")[0].removeprefix("redis://")
        address = f"rediss://{password}@{LOOPBACK}:{port}/0"
        secure = RedisCounter(f"{address}?ssl_ca_certs={cert}")
        assert (await secure.take(key, LIMIT)).left == LIMIT - 1
        assert (await plain.take(key, LIMIT)).left == LIMIT - 2
        doubting = RedisCounter(address)
        assert (await doubting.take(key, LIMIT)).left == LIMIT - 1  # alone: nobody trusts that certificate
        for counter in (plain, secure, doubting):
            await counter.close()
