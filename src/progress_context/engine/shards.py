"""Change the number of learner shards: bring all to one position, then deal the learners out anew."""

from __future__ import annotations

from collections.abc import Mapping

from progress_context.engine import versions as books
from progress_context.engine.active import Active, active
from progress_context.engine.maintain import PLAN_BY_INDEX, Maintainer
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost
from progress_context.log.database import Connection, Pool, acquire

PAGE = 5_000
CLOSE_ENOUGH = 2_000  # events a shard may lag behind the foremost when everything is held still


async def reshard(pool: Pool, shards: int) -> bool:
    """Give the realtime read models this number of checkpoints; `False` when they have it.

    Workers of the former number find their checkpoints gone and stop. Raises CheckpointLost when another
    process interferes: try again.
    """
    async with acquire(pool) as connection:
        standing = await active(connection)
        versions = standing.versions
        reached = await books.checkpoints(connection, books.realtime(versions))
        if not reached or len(reached) == shards:
            return False
        workers = _maintainers(standing, len(reached))
        for shard, maintainer in enumerate(workers):
            position = reached[shard]
            while max(reached.values()) - position > CLOSE_ENOUGH:
                await maintainer.advance(connection, position, position + PAGE)
                position += PAGE
        async with connection.transaction():
            await connection.execute(PLAN_BY_INDEX)
            await _deal(connection, versions, workers, shards)
    return True


def _maintainers(standing: Active, shards: int) -> list[Maintainer]:
    realtime = books.realtime(standing.versions)
    return [
        Maintainer(realtime, standing.catalog.policy, stored=standing.versions, shard=shard, shards=shards)
        for shard in range(shards)
    ]


async def _deal(
    connection: Connection, versions: Mapping[str, Version], workers: list[Maintainer], shards: int
) -> None:
    await connection.execute("LOCK TABLE engine.versions IN SHARE ROW EXCLUSIVE MODE")
    realtime = books.realtime(versions)
    reached = await books.checkpoints(connection, realtime, lock=True)
    if len(reached) != len(workers):
        raise CheckpointLost("another process changed the number of shards")
    upto = max(reached.values())
    for shard, maintainer in enumerate(workers):
        if reached[shard] < upto:
            await maintainer.advance_within(connection, reached[shard], upto)
    dealt = [version.version_id for version in realtime if version.model.by_learner]
    await connection.execute("DELETE FROM engine.checkpoints WHERE version_id = ANY ($1::bigint[])", dealt)
    await connection.execute(
        "INSERT INTO engine.checkpoints (version_id, shard, position)"
        " SELECT version_id, shard, $3"
        "   FROM unnest($1::bigint[]) AS version_id, generate_series(0, $2::int - 1) AS shard",
        dealt,
        shards,
        upto,
    )
