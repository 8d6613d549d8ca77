"""The law: whatever happened, however it was delivered, paged and interrupted, the rows equal a recount."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.compare import differences
from oracle.decoded import decode
from oracle.histories import batch_sizes, histories
from oracle.recount import Policy as OraclePolicy
from oracle.recount import recount
from progress_context.engine.definition import Policy
from progress_context.log.event import NewEvent
from world import World

STORED = (
    "item_catalogue", "sessions", "item_progress", "daily_stats", "active_days", "streak_runs",
    "weekly_totals", "level_totals", "level_items", "skill_totals", "skill_reviews", "skill_items",
)  # fmt: skip
COMPUTED_WHEN_ASKED = ("accuracy", "incorrect", "average_response_time_ms")
LEARNERS_OF_A_HISTORY = 6
EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "grace"])
async def world(request: pytest.FixtureRequest, module_database_url: str) -> AsyncIterator[World]:
    world = await World(module_database_url, Policy(streak_grace=request.param)).open()
    yield world
    await world.close()


async def disagreements(world: World) -> list[str]:
    """Where any stored read model differs from a recount of the log."""
    policy = OraclePolicy(streak_grace=world.catalog.policy.streak_grace)
    truth = recount(await world.events(), policy)
    found: list[str] = []
    for name in STORED:
        rows = decode(name, await world.rows(name), policy)
        wrong = differences(getattr(truth, name), rows, leave_out=COMPUTED_WHEN_ASKED)
        found += [f"{name} {difference}" for difference in wrong]
    return found


@EXAMPLES
@given(
    history=histories(),
    groups=batch_sizes(),
    pages=batch_sizes(),
    crash_at=st.none() | st.integers(0, 8),
    interleaved=st.integers(0, 30),
    batch_between=st.booleans(),
)
async def test_any_history_any_pages_and_a_crash_anywhere_give_the_recount(
    world: World,
    history: list[NewEvent],
    groups: list[int],
    pages: list[int],
    crash_at: int | None,
    interleaved: int,
    batch_between: bool,
) -> None:
    await world.clear()
    await world.append(history[:interleaved], groups)
    await world.catch_up(pages, crash_at=crash_at)
    if batch_between:
        await world.run_batch()
    await world.append(history[interleaved:], groups)
    await world.catch_up(pages, crash_at=crash_at)
    await world.run_batch()
    assert await disagreements(world) == []


@settings(EXAMPLES, max_examples=10)
@given(history=histories(), pages=batch_sizes(), shards=st.integers(1, 3))
async def test_a_rebuild_gives_the_rows_that_live_work_gave(
    world: World, history: list[NewEvent], pages: list[int], shards: int
) -> None:
    await world.clear()
    await world.append(history)
    await world.catch_up(pages)
    await world.run_batch()
    live = await world.tables()
    await world.rebuild(shards=shards)
    assert await world.tables() == live
    assert await disagreements(world) == []


@settings(EXAMPLES, max_examples=10)
@given(history=histories(), repeated=st.integers(0, 40))
async def test_delivering_again_changes_nothing(world: World, history: list[NewEvent], repeated: int) -> None:
    await world.clear()
    first = await world.append(history)
    await world.catch_up()
    await world.run_batch()
    before = await world.tables()
    again = await world.append(history[:repeated])
    await world.catch_up()
    await world.run_batch()
    assert all(outcome.status in ("duplicate", "conflict") for outcome in again)
    assert [o.position for o in again] == [
        o.position if o.status != "conflict" else None for o in first[:repeated]
    ]
    assert await world.tables() == before


@settings(EXAMPLES, max_examples=16)
@given(history=histories(), hours=st.integers(-24 * 40, 24 * 20))
async def test_lazy_read_models_equal_the_recount(world: World, history: list[NewEvent], hours: int) -> None:
    await world.clear()
    await world.append(history)
    await world.catch_up()
    await world.run_batch()
    truth = recount(await world.events(), OraclePolicy(streak_grace=world.catalog.policy.streak_grace))
    latest = max((e.occurred_at for e in history if e.occurred_at), default=datetime(2026, 3, 1, tzinfo=UTC))
    at = latest - timedelta(hours=hours)
    for learner in range(1, LEARNERS_OF_A_HISTORY):
        items = await world.ask("item_stats", learner, at, at.date())
        expected = truth.item_stats(learner, at)
        for row in expected.values():
            row["mastered"] = row["mastered"] is True
        assert differences(expected, items) == []
        streak = await world.ask("streak", learner, at, at.date())
        known = {(learner,): truth.streak(learner, at.date())} if streak else {}
        assert differences(known, streak) == []
        summary = await world.ask("user_summary", learner, at, at.date())
        for row in summary.values():
            row["study_ms"] = round(row["study_seconds"] * 1000)
        totals = {(learner,): truth.user_summary(learner, at.date())} if summary else {}
        renamed = {"current", "longest", "alive", "active_today", "freezes_used"}
        assert differences(totals, summary, leave_out=renamed) == []


def test_the_policy_of_the_oracle_is_that_of_the_product() -> None:
    assert repr(OraclePolicy()) == repr(Policy())
