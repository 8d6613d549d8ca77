"""What is written to a client: in order, one at a time, and not what is not wanted any more."""

from __future__ import annotations

import asyncio

import pytest

from progress_context.query.subscriptions.outbox import FULL, Outbox


class Line:
    """A client that takes a text only when there is room for it."""

    def __init__(self, room: int = 0) -> None:
        self.taken: list[str] = []
        self.room = asyncio.Semaphore(room)

    async def write(self, text: str) -> None:
        await self.room.acquire()
        self.taken.append(text)


class Owner:
    """Whose text it is."""

    def __init__(self) -> None:
        self.left = False
        self.heard = 0

    def written(self) -> None:
        self.heard += 1


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_texts_wait_for_somebody_to_take_them_and_keep_their_order() -> None:
    outbox, line = Outbox(), Line(9)
    outbox.put("b", "c")
    outbox.put("d")
    outbox.put_first("a")
    outbox.attach(line.write)
    outbox.put("e")
    await turns()
    assert line.taken == ["a", "bc", "d", "e"]
    assert outbox.busy_since is None


async def test_what_is_not_wanted_any_more_is_not_written() -> None:
    outbox, line, owner, other = Outbox(), Line(), Owner(), Owner()
    outbox.attach(line.write)
    outbox.put("first")
    await turns()
    assert outbox.busy_since is not None
    outbox.put("stopped", ticket=owner)
    outbox.put("kept", ticket=other)
    owner.left = True
    for _ in range(3):
        line.room.release()
    await turns()
    assert line.taken == ["first", "kept"]
    assert other.heard == 1


async def test_whoever_reads_waits_while_much_is_unwritten() -> None:
    outbox, line = Outbox(), Line()
    outbox.attach(line.write)
    outbox.put("x" * FULL)
    waiting = asyncio.create_task(outbox.room())
    await turns()
    assert not waiting.done()
    line.room.release()
    await asyncio.wait_for(waiting, 5)
    await outbox.room()


async def test_the_last_text_comes_after_the_one_under_way_and_instead_of_the_others() -> None:
    outbox, line = Outbox(), Line()
    outbox.attach(line.write)
    outbox.put("under way")
    await turns()
    outbox.put("forgotten")
    last = asyncio.create_task(outbox.last(lambda: line.write("farewell"), 5))
    await turns()
    for _ in range(3):
        line.room.release()
    await last
    assert line.taken == ["under way", "farewell"]


async def test_a_farewell_that_nobody_takes_is_given_up() -> None:
    outbox, line = Outbox(), Line()
    outbox.attach(line.write)
    outbox.put("under way")
    await outbox.last(lambda: line.write("farewell"), 0.01)
    outbox.close()
    line.room.release()
    await turns()
    assert line.taken == []


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError])
async def test_a_client_that_is_gone_is_written_nothing(error: type[OSError]) -> None:
    outbox = Outbox()
    tried: list[str] = []

    async def write(text: str) -> None:
        tried.append(text)
        raise error

    outbox.put("a")
    outbox.put("b")
    outbox.attach(write)
    await turns()
    assert tried == ["a"]
