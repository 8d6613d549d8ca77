"""Events that a read model cannot take: put aside with their learner, so that everyone else goes on."""

from __future__ import annotations

import asyncpg

from progress_context.engine import versions as books
from progress_context.engine.active import active
from progress_context.engine.maintain import Maintainer
from progress_context.errors import EngineError
from progress_context.log.database import Connection, Pool, acquire, in_words

# What a value can do to a SELECT; everything else is the fault of the SELECT or of the server.
POISON = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,
)

PARK = """
    INSERT INTO engine.parked (position, learner_key, type, reason)
    SELECT position, learner_key, type, $2 FROM log.events WHERE position = $1
    ON CONFLICT DO NOTHING RETURNING position
"""
LIST = """
    SELECT parked.position, learner_id, type, reason, attempts, parked_at
      FROM engine.parked LEFT JOIN log.learners USING (learner_key) ORDER BY parked.position
"""
TAKE = "DELETE FROM engine.parked WHERE position = $1 RETURNING learner_key"
FAILED = "UPDATE engine.parked SET reason = $2, attempts = attempts + 1 WHERE position = $1"


async def park(connection: Connection, position: int, error: BaseException) -> bool:
    """Leave the learner of this event out of live work from now on; `False` when that is so already."""
    return await connection.fetchval(PARK, position, in_words(error)) is not None


async def parked(connection: Connection) -> list[asyncpg.Record]:
    """What is put aside: position, learner_id (null for an event of no learner), type, reason, attempts."""
    return await connection.fetch(LIST)


async def retry(pool: Pool, position: int, shards: int) -> bool:
    """Compute the learner of a parked event anew from all events; `False`, with a new reason, if it fails.

    Raises EngineError for an event of no learner, which everyone's rows may depend on: rebuild instead.
    """
    async with acquire(pool) as connection:
        try:
            async with connection.transaction():
                await _retry(connection, position, shards)
        except POISON as error:
            await connection.execute(FAILED, position, in_words(error))
            return False
    return True


async def _retry(connection: Connection, position: int, shards: int) -> None:
    learner = await connection.fetchval(TAKE, position)
    if learner is None:
        raise EngineError(
            f"position {position} is not parked, or is an event of no learner: `rebuild --all` takes it up"
        )
    standing = await active(connection)
    versions, policy = standing.versions, standing.catalog.policy
    realtime, batched = books.realtime(versions), books.in_batches(versions)
    reached = await books.checkpoints(connection, realtime, lock=True)
    maintainer = Maintainer(realtime, policy, stored=versions)
    await maintainer.recompute(connection, [learner], reached[learner % shards])
    for upto, together in await books.together(connection, batched, lock=True):
        await Maintainer(together, policy, stored=versions).recompute(connection, [learner], upto)
