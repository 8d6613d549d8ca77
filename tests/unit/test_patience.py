"""One timer for many waits: each ends in time, none ends another, and cancelling stays cancelling."""

from __future__ import annotations

import asyncio

import pytest

from progress_context.patience import Patience


async def wait_with(patience: Patience, event: asyncio.Event) -> str:
    try:
        with patience.limit():
            await event.wait()
    except TimeoutError:
        return "too late"
    return "in time"


async def test_each_wait_ends_at_its_own_deadline() -> None:
    patience = Patience(0.05)
    answered, never = asyncio.Event(), asyncio.Event()
    early = [asyncio.create_task(wait_with(patience, never)) for _ in range(3)]
    answered_one = asyncio.create_task(wait_with(patience, answered))
    await asyncio.sleep(0.03)
    late = asyncio.create_task(wait_with(patience, never))
    answered.set()
    assert await answered_one == "in time"
    assert await asyncio.gather(*early) == ["too late"] * 3
    assert not late.done()
    assert await late == "too late"


async def test_a_wait_begun_when_all_others_ended_is_limited_too() -> None:
    patience = Patience(0.02)
    answered = asyncio.Event()
    answered.set()
    assert await wait_with(patience, answered) == "in time"
    await asyncio.sleep(0.03)
    assert await wait_with(patience, asyncio.Event()) == "too late"


async def test_waits_may_be_nested() -> None:
    outer, inner = Patience(0.02), Patience(10)
    with pytest.raises(TimeoutError), outer.limit():
        assert await wait_with(inner, asyncio.Event()) == "in time"


async def test_cancelling_a_waiting_task_cancels_it() -> None:
    patience = Patience(10)
    task = asyncio.create_task(wait_with(patience, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_another_error_passes() -> None:
    with pytest.raises(ValueError, match="mine"), Patience(10).limit():
        raise ValueError("mine")
