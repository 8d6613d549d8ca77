"""`batch run` and `parked`: what an operator asks of the projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from progress_context.commands.common import console, with_pool

if TYPE_CHECKING:
    from progress_context.log.database import Pool
    from progress_context.settings import Settings

batch = App(name="batch", help="Read models that are kept every few minutes.")
parked = App(name="parked", help="Events that a read model could not take, put aside with their learner.")


@batch.command(name="run")
def run_now() -> None:
    """Bring the batch read models up to date now, without waiting for the timer."""
    from progress_context.engine.batch import run_batch
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> None:
        async with acquire(pool) as connection:
            advance = await run_batch(connection)
        if advance is None:
            console.print("nothing to do")
        else:
            console.print(
                f"positions {advance.after + 1:,} to {advance.upto:,}, {len(advance.learners):,} learners"
            )

    with_pool(work)


@parked.command(name="list")
def list_parked() -> None:
    """Show what is put aside: position, learner, type and reason."""
    from progress_context.engine import parking
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> None:
        async with acquire(pool) as connection:
            rows = await parking.parked(connection)
        table = Table("position", "learner", "type", "attempts", "since", "reason", box=None)
        for row in rows:
            table.add_row(
                str(row["position"]), escape(row["learner_id"] or "(nobody)"), row["type"],
                str(row["attempts"]), f"{row['parked_at']:%Y-%m-%d %H:%M}", escape(row["reason"]),
            )  # fmt: skip
        Console().print(table if rows else "nothing is parked")

    with_pool(work)


@parked.command
def retry(*positions: int) -> None:
    """Compute the learners of parked events anew from all their events, and let them go on.

    Parameters
    ----------
    positions
        Positions of parked events. Default: all that belong to a learner.
    """
    from progress_context.engine import parking
    from progress_context.log.database import acquire

    async def work(pool: Pool, settings: Settings) -> None:
        async with acquire(pool) as connection:
            waiting = [r["position"] for r in await parking.parked(connection) if r["learner_id"] is not None]
        for position in positions or waiting:
            done = await parking.retry(pool, position, settings.shards)
            console.print(f"{position}: {'goes on' if done else 'still fails, see `parked list`'}")
        if not positions and not waiting:
            console.print("nothing is parked")

    with_pool(work)
