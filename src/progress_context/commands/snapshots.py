"""`snapshots`: copies of the read models at one position, for rebuilds and questions about the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cyclopts import App
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from progress_context.commands.common import console, with_pool

if TYPE_CHECKING:
    from progress_context.log.database import Pool
    from progress_context.settings import Settings

app = App(name="snapshots", help="Copies of the read models at one position: shortcuts into the past.")


@app.command(name="list")
def list_snapshots() -> None:
    """Show the snapshots there are: position, time, size, and what was found damaged."""
    from progress_context.engine import snapshots
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> None:
        async with acquire(pool) as connection:
            found = await snapshots.listed(connection)
        table = Table("id", "position", "taken", "tables", "rows", "size", "damaged", box=None)
        for each in found:
            table.add_row(
                str(each.snapshot_id), f"{each.position:,}", f"{each.taken_at:%Y-%m-%d %H:%M}",
                str(each.tables), f"{each.rows:,}", decimal(each.bytes), ", ".join(each.damaged),
            )  # fmt: skip
        Console().print(table if found else "there are no snapshots")

    with_pool(work)


@app.command
def take() -> None:
    """Copy the read models as they are now; live work goes on meanwhile."""
    from progress_context.engine import snapshots
    from progress_context.errors import EngineError
    from progress_context.services.projection import catalog_of

    async def work(pool: Pool, settings: Settings) -> None:
        with console.status("copying"):
            taken = await snapshots.take(pool, catalog_of(settings))
        if taken is None:
            raise EngineError("no snapshot was taken: the read models are empty, or not at one position")
        console.print(f"took snapshot {taken}")

    with_pool(work)


@app.command
def prune(*, keep: int | None = None) -> None:
    """Drop the snapshots that are damaged, out of date or too many.

    Parameters
    ----------
    keep
        How many to keep: the newest, and others spread over the log. Default: PROGRESS_SNAPSHOTS_KEPT.
    """
    from progress_context.engine import snapshots
    from progress_context.errors import SettingsError

    if keep is not None and keep < 0:
        raise SettingsError("--keep cannot be negative")

    async def work(pool: Pool, settings: Settings) -> None:
        dropped = await snapshots.prune(pool, settings.snapshots_kept if keep is None else keep)
        console.print(f"dropped {', '.join(map(str, dropped))}" if dropped else "nothing to drop")

    with_pool(work)


@app.command
def verify(*ids: int) -> None:
    """Compare the copies with the checksums made when they were taken; exit code 1 if one differs.

    A damaged snapshot is not used again.

    Parameters
    ----------
    ids
        Which snapshots. Default: all.
    """
    from progress_context.engine import snapshots
    from progress_context.errors import EngineError
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> None:
        async with acquire(pool) as connection:
            all_ids = [each.snapshot_id for each in await snapshots.listed(connection)]
        damaged = 0
        for snapshot_id in ids or all_ids:
            wrong = await snapshots.verify(pool, snapshot_id)
            damaged += bool(wrong)
            console.print(f"{snapshot_id}: {'damaged: ' + ', '.join(wrong) if wrong else 'sound'}")
        if damaged:
            raise EngineError(f"damaged snapshots: {damaged}; `snapshots prune` drops them")

    with_pool(work)
