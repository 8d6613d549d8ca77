"""Go back to the versions that were active before the last swap.

What was made active together goes back together, and what it replaced comes back together: an activation is
a row of engine.builds; active versions know theirs (`build_id`), retired ones what retired them
(`replaced_by`). Since a swap takes all read models that are connected with one another, what comes back
reads only what comes back too, or what was not touched since. What another swap has built anew since then
stays as it is. The definitions that would then be active must fit together as they did, or the rollback is
refused.

A rollback is a swap itself, so a second one goes forward again. Until then, or until one of the files says
something else, or `rebuild` is asked for, the files' versions stay rolled back: see `wishes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from progress_context.engine import builds
from progress_context.engine.active import as_defined, revive
from progress_context.engine.builds import Build
from progress_context.engine.rebuild import Report, complete, patiently
from progress_context.engine.shadow import Shadow
from progress_context.errors import RollbackImpossible
from progress_context.log.database import Connection, Pool, acquire, fetch_one

COLUMNS = "read_model, version_id, fingerprint, table_name, definition, policy, build_id, left_out"
ACTIVE = f"SELECT {COLUMNS} FROM engine.versions WHERE status = 'active'"
FORMER = f"SELECT {COLUMNS} FROM engine.versions WHERE status = 'retired' AND replaced_by = $1"
RETURNING = f"SELECT {COLUMNS} FROM engine.versions WHERE status = 'building' AND build_id = $1"
ADD = """
    INSERT INTO engine.builds (kind, filled, upto, last_learner, chunk_learners, left_out)
    VALUES ('rollback', true, 0, 0, 1, $1) RETURNING build_id
"""
REVIVE = """
    WITH revived AS (
      UPDATE engine.versions SET status = 'building', build_id = $1 WHERE version_id = ANY ($2::bigint[])
      RETURNING version_id, stopped_at)
    INSERT INTO engine.checkpoints (version_id, shard, position)
    SELECT version_id, number - 1, position
      FROM revived, unnest(stopped_at) WITH ORDINALITY AS stopped (position, number)
"""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What came back, what went because it had not existed before, and at which position."""

    position: int
    names: tuple[str, ...]
    removed: tuple[str, ...]


async def rollback(pool: Pool, name: str, *, report: Report = lambda _: None) -> Rollback:
    """Bring the former version of a read model back, with all that was replaced together with it.

    It catches up with live work first; serving goes on meanwhile. Raises RollbackImpossible, and
    BuildUnderWay when another process is rebuilding any of these. Interrupted, it goes on when asked again.
    """

    async def begin() -> tuple[Build, tuple[str, ...]]:
        async with acquire(pool) as connection, connection.transaction():
            return await _begin(connection, name)

    build, removed = await patiently(begin)
    position = await complete(pool, build, removed, report=report)
    return Rollback(position, tuple(build.versions), removed)


async def _begin(connection: Connection, name: str) -> tuple[Build, tuple[str, ...]]:
    await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
    standing = await connection.fetch(ACTIVE)
    undone = next((row["build_id"] for row in standing if row["read_model"] == name), None)
    if undone is None:
        raise RollbackImpossible(f"{name} is not active")
    for other in await builds.overlapping(connection, [name]):
        if other.kind == "rollback":
            rows = await connection.fetch(RETURNING, other.build_id)
            return await _build(connection, other.build_id, rows), _removed(standing, rows, undone)
        await builds.drop(connection, other)
    former = await _former(connection, name, standing, undone)
    for other in await builds.overlapping(connection, [row["read_model"] for row in former]):
        await builds.drop(connection, other)
    return await _revive(connection, former), _removed(standing, former, undone)


async def _former(
    connection: Connection, name: str, standing: Sequence[asyncpg.Record], undone: int
) -> list[asyncpg.Record]:
    """What a swap replaced and nothing has replaced since; raises RollbackImpossible."""
    staying = [row for row in standing if row["build_id"] != undone]
    untouched = {row["read_model"] for row in staying}
    former = [r for r in await connection.fetch(FORMER, undone) if r["read_model"] not in untouched]
    _check(name, former, staying)
    return former


async def _revive(connection: Connection, former: Sequence[asyncpg.Record]) -> Build:
    left_out = sorted({learner for row in former for learner in row["left_out"] or ()})
    build_id = await connection.fetchval(ADD, left_out)
    await connection.execute(REVIVE, build_id, [row["version_id"] for row in former])
    build = await _build(connection, build_id, former)
    await Shadow(build).gather(connection)
    return build


async def _build(connection: Connection, build_id: int, rows: Sequence[asyncpg.Record]) -> Build:
    row = await fetch_one(connection, builds.TAKE_OVER, build_id)
    revived = revive(rows)
    return Build(build_id, row["token"], builds.extent_of(row), True, revived.versions, revived.catalog)


def _removed(
    standing: Sequence[asyncpg.Record], former: Sequence[asyncpg.Record], undone: int
) -> tuple[str, ...]:
    """What did not exist before the swap that is undone."""
    names = {row["read_model"] for row in former}
    made = [row["read_model"] for row in standing if row["build_id"] == undone]
    return tuple(name for name in made if name not in names)


def _check(name: str, former: Sequence[asyncpg.Record], staying: Sequence[asyncpg.Record]) -> None:
    """Raise RollbackImpossible unless the former versions fit together, and with what stays active."""
    if name not in {row["read_model"] for row in former}:
        raise RollbackImpossible(f"{name} has no former version to go back to")
    if any(0 in (row["left_out"] or ()) for row in former):
        raise RollbackImpossible(
            f"an event that belongs to no learner was parked while the former version of {name} was active:"
            " it lacks that event"
        )
    rows = [*former, *staying]
    would_be = as_defined(rows).models
    for row in rows:
        model = would_be.get(row["read_model"])
        if model is None or model.fingerprint != row["fingerprint"]:
            raise RollbackImpossible(
                f"the former version of {name} does not fit the rest: {row['read_model']} was made from other"
                " definitions than it would have now, or by another release of this program"
            )
