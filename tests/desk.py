"""A desk at which tests ask the query side about a world of their own."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from progress_context.engine.definition import Policy
from progress_context.log.database import Pool, open_pool
from progress_context.log.event import NewEvent
from progress_context.log.profiles import Calendar
from progress_context.query.execute import Executor
from progress_context.query.positions import Positions
from world import World

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Desk:
    """Asks the query side about a world whose clock stands at `now`."""

    def __init__(self, world: World, pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.now = NOW
        self.positions = Positions(pool, timeout=1.0, poll=0.05)
        self.executor = Executor(pool, world.catalog, Calendar("UTC", 0), self.positions, lambda: self.now)

    async def tell(self, *events: NewEvent) -> None:
        """Append events and fold them."""
        await self.world.append(events)
        await self.world.catch_up()

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer that has no errors."""
        answer = await self.executor.answer(query, variables)
        assert "errors" not in answer, answer
        return answer["data"]

    async def refused(self, query: str, **variables: Any) -> tuple[str | None, str]:
        """(code, message) of the first error."""
        answer = await self.executor.answer(query, variables)
        error = answer["errors"][0]
        return error.get("extensions", {}).get("code"), error["message"]


def event(number: int, kind: str, data: dict[str, Any], *, at: datetime = NOW, **changes: Any) -> NewEvent:
    return NewEvent(
        "urn:test", f"e{number}", kind, 1, changes.pop("learner", "ada"), at, changes.pop("zone", None),
        json.dumps(data), **changes,
    )  # fmt: skip


def judged(number: int, item: str = "apple", judgment: str = "AutoConfirmed", **changes: Any) -> NewEvent:
    data = {"item_id": item, "judgment": judgment, "response_time_ms": 1000 + number}
    return event(number, "learning.CorrectnessJudged", data, **changes)


@asynccontextmanager
async def desk_at(url: str, policy: Policy | None = None) -> AsyncGenerator[Desk]:
    """A desk in an empty world."""
    world = await World(url, policy).open()
    pool = await open_pool(url, "progress_query", size=4)
    try:
        yield Desk(world, pool)
    finally:
        pool.terminate()
        await world.close()
