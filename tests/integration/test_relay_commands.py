"""`relay list` and `relay rewind`: what an operator sees, and a log that is published again."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest

from delivering import PubsubWay, Trouble, judged, prefixes, running
from delivering import emulator as emulator
from pubsub_emulator import Emulator
from waiting import until
from world import World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    world = await World(database_url).open()
    yield world
    await world.close()


@pytest.fixture
async def way(world: World, emulator: Emulator) -> PubsubWay:
    way = await PubsubWay(world.log_pool, next(prefixes)).prepare()
    return way.trouble(emulator, Trouble())


async def relay(url: str, *arguments: str) -> tuple[int, str]:
    """Exit code and everything that `progress-context relay …` printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "progress_context", "relay", *arguments,
        env={**os.environ, "DATABASE_URL": url, "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def is_published(way: PubsubWay, messages: int) -> bool:
    return len(way.backlog.entries) == messages


async def test_what_was_refused_is_listed_and_published_after_a_rewind(world: World, way: PubsubWay) -> None:
    await world.append([judged(n, f"learner-{n % 2}") for n in range(10)])
    way.emulator.broker.faults.set(refused_keys=["1"])
    async with running(way.outgoing.run):
        await until(lambda: is_published(way, 5))
        await until(lambda: is_listed(world, "position 9, learning.CorrectnessJudged"))
        way.emulator.broker.faults.reset()
        code, said = await relay(world.url, "rewind", way.topic, "4")
        assert (code, "published again from position 5 on" in said) == (0, True)
        await until(lambda: is_published(way, 5 + 6))
        code, said = await relay(world.url, "list")
        assert [line for line in said.splitlines() if "position 5," in line or "position 9," in line] == []
        assert "position 3," in said
    assert code == 0
    assert way.topic in said


async def is_listed(world: World, text: str) -> bool:
    return text in (await relay(world.url, "list"))[1]


async def test_a_position_that_was_never_reached_is_refused(world: World, way: PubsubWay) -> None:
    for arguments in (("no/such/topic", "0"), (way.topic, "5"), (way.topic, "--", "-1")):
        code, said = await relay(world.url, "rewind", *arguments)
        assert code == 2
        assert "error:" in said


async def test_before_anything_was_published_the_list_says_so(world: World) -> None:
    assert await relay(world.url, "list") == (0, "nothing was ever published\n")
