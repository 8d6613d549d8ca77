"""When the log cannot keep up, the command service says so, keeps its memory, and keeps its word."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx
import pytest
from tests.conftest import answers, running_system

from acceptance.system import BATCH, System, array, children, database_of, judged, names_in_log, text
from progress_context.feeding.sending import Sender
from waiting import eventually

QUEUE = 50
MIB = 1024 * 1024
REQUESTS = 1_200
CLIENTS = 40


@pytest.fixture(scope="module")
def narrow(scratch: Path) -> Iterator[System]:
    """A system where few events may wait."""
    folder = scratch / "narrow"
    with running_system(folder, environment={"PROGRESS_APPEND_QUEUE_EVENTS": str(QUEUE)}) as running:
        (process,) = children(running.process.pid, "serve", "command")
        yield System(running.command_url, database_of(folder), running.projection_url, process)


@asynccontextmanager
async def frozen_log(database: str) -> AsyncGenerator[None]:
    """Nothing can be appended meanwhile: the counter row is locked."""
    connection = await asyncpg.connect(database)
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM log.head FOR UPDATE")
            yield
    finally:
        await connection.close()


class Hammer:
    """Clients that post batches of five events, each one name each, whatever they are told."""

    def __init__(self, url: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, timeout=60, limits=httpx.Limits(max_connections=CLIENTS + 5)
        )
        self.statuses: Counter[int] = Counter()
        self.retry_after: set[str] = set()
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()

    async def post(self) -> None:
        events = [judged(note="x" * 4_000) for _ in range(5)]
        names = {event["id"] for event in events}
        answer = await self._client.post(
            "/events", content=array([text(event) for event in events]), headers={"content-type": BATCH}
        )
        self.statuses[answer.status_code] += 1
        if answer.status_code == 201:
            self.acknowledged |= names
        else:
            self.refused |= names
            self.retry_after.add(answer.headers["retry-after"])

    async def post_all(self, count: int) -> None:
        for _ in range(count):
            await self.post()

    async def close(self) -> None:
        await self._client.aclose()


def test_a_full_queue_is_told_and_nothing_acknowledged_is_lost(narrow: System) -> None:
    hammer = asyncio.run(hammer_a_frozen_log(narrow))
    assert set(hammer.statuses) == {201, 429}
    assert hammer.retry_after == {"1"}
    in_log = {name for _, name in names_in_log(narrow.database)}
    assert len(hammer.acknowledged) >= QUEUE
    assert hammer.acknowledged <= in_log
    assert not hammer.refused & in_log
    eventually(lambda: answers(f"{narrow.url}/readyz"))


async def hammer_a_frozen_log(narrow: System) -> Hammer:
    """Fill the queue, go on far beyond that, let the log go; the memory does not grow meanwhile."""
    assert narrow.process is not None
    hammer = Hammer(narrow.url)
    await hammer.post()
    before = narrow.process.memory_info().rss
    async with frozen_log(narrow.database):
        waiting = [asyncio.create_task(hammer.post()) for _ in range(QUEUE // 5)]
        for _ in range(QUEUE):
            if not hammer.statuses[429]:
                await hammer_once(hammer, waiting)
        assert hammer.statuses[429]
        await asyncio.gather(*(hammer.post_all(REQUESTS // CLIENTS) for _ in range(CLIENTS)))
        assert hammer.statuses[201] == 1
        assert hammer.statuses[429] > REQUESTS / 2
        assert answers(f"{narrow.url}/healthz")
        patient = asyncio.create_task(asyncio.to_thread(send_patiently, narrow.url))
        assert narrow.process.memory_info().rss - before < 100 * MIB
    await asyncio.gather(*waiting, patient)
    await hammer.close()
    return hammer


async def hammer_once(hammer: Hammer, waiting: list[asyncio.Task[None]]) -> None:
    """One more request; while there is room it waits, and its task joins the others."""
    task = asyncio.create_task(hammer.post())
    done, _ = await asyncio.wait([task], timeout=0.2)
    if not done:
        waiting.append(task)


def send_patiently(url: str) -> None:
    with Sender(url) as sender:
        assert sender.send_lines("/events", [text(judged()) for _ in range(20)]).stored == 20
