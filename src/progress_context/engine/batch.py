"""The batch binding: what is kept every few minutes follows the realtime read models in one go."""

from __future__ import annotations

from progress_context.engine import versions as books
from progress_context.engine.catalog import Catalog
from progress_context.engine.maintain import Advance, Maintainer
from progress_context.log.database import Connection

PAGE = 100_000  # events whose learners are computed in one commit


async def run_batch(connection: Connection, catalog: Catalog, token: int | None = None) -> Advance | None:
    """Bring all batch read models to where every realtime one is; `None` when they are there already.

    The learners with events since the last batch are computed anew, and rows that differ are written.
    Raises CheckpointLost when the versions were swapped meanwhile, or another process holds the lease.
    """
    versions = await books.active_versions(connection, catalog)
    batched = books.in_batches(versions)
    if not batched:
        return None
    after = first = (await books.checkpoints(connection, batched))[0]
    upto = min((await books.checkpoints(connection, books.realtime(versions))).values(), default=0)
    maintainer = Maintainer(batched, catalog.policy, stored=versions, lease="batch")
    learners: set[int] = set()
    while after < upto:
        page_end = min(upto, after + PAGE)
        learners |= (await maintainer.advance(connection, after, page_end, token)).learners
        after = page_end
    return Advance(first, upto, upto, frozenset(learners)) if upto > first else None
