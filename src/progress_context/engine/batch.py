"""The batch binding: what is kept every few minutes follows the realtime read models in one go."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from progress_context import telemetry
from progress_context.engine import versions as books
from progress_context.engine.active import active
from progress_context.engine.maintain import Advance, Maintainer
from progress_context.engine.parking import POISON, park
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost
from progress_context.log.database import Connection

REACHED = "SELECT version_id, position FROM engine.checkpoints WHERE version_id = ANY ($1::bigint[])"
STEP_BACK = "UPDATE engine.checkpoints SET position = $2 WHERE version_id = ANY ($1::bigint[])"
PAGE = 100_000  # events whose learners are computed in one commit

log = structlog.get_logger(__name__)


async def run_batch(connection: Connection, token: int | None = None) -> Advance | None:
    """Bring all batch read models to where every realtime one is; `None` when they are there already.

    The learners with events since the last batch are computed anew, and rows that differ are written.
    A learner whose events a read model cannot take is parked; everyone else goes on.
    Raises CheckpointLost when the versions were swapped meanwhile, or another process holds the lease.
    """
    standing = await active(connection)
    versions = standing.versions
    batched = {version.version_id: version for version in books.in_batches(versions)}
    if not batched:
        return None
    upto = min((await books.checkpoints(connection, books.realtime(versions))).values(), default=0)
    first = await _step_back(connection, batched)
    learners: set[int] = set()
    while (reached := await _reached(connection, batched)) and (after := min(reached.values())) < upto:
        behind = [batched[version_id] for version_id, position in reached.items() if position == after]
        page_end = min(upto, after + PAGE, *(position for position in reached.values() if position > after))
        maintainer = Maintainer(behind, standing.catalog.policy, stored=versions, lease="batch")
        learners |= await _advance(connection, maintainer, after, page_end, token)
    return Advance(first, upto, upto, frozenset(learners)) if upto > first else None


async def _advance(
    connection: Connection, maintainer: Maintainer, after: int, upto: int, token: int | None
) -> frozenset[int]:
    """The learners of a page, or of as much of it as could be folded.

    A page that cannot be folded is halved, down to the event; its learner is put aside.
    """
    try:
        return (await maintainer.advance(connection, after, upto, token)).learners
    except POISON as error:
        if upto - after > 1:
            return await _advance(connection, maintainer, after, after + (upto - after) // 2, token)
        if not await park(connection, upto, error):
            raise
        log.error("learner_parked", position=upto, reason=str(error), batch=True)
        telemetry.PARKED.inc()
        return frozenset()


async def _step_back(connection: Connection, batched: Mapping[int, Version]) -> int:
    """The position of the one that is furthest behind, as a new one may be; all that can be are put there.

    What is computed anew may be computed again. Folds, which may not, wait for the others.
    """
    reached = await _reached(connection, batched)
    first = min(reached.values())
    if max(reached.values()) > first:
        recomputed = [number for number, version in batched.items() if version.model.recomputed]
        await connection.execute(STEP_BACK, recomputed, first)
    return first


async def _reached(connection: Connection, batched: Mapping[int, Version]) -> dict[int, int]:
    """The position of each, inputs first. Raises CheckpointLost when one is not there any more."""
    rows = await connection.fetch(REACHED, list(batched))
    found = {row["version_id"]: row["position"] for row in rows}
    if len(found) < len(batched):
        raise CheckpointLost("the batch read models were swapped")
    return {number: found[number] for number in batched}
