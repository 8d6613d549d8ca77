"""`rebuild` and `rollback`: change the versions of read models while everything goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.table import Table
from rich.text import Text

from progress_context.commands.common import console, progress_bar, with_pool
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from progress_context.engine.catalog import Catalog
    from progress_context.engine.rebuild import Plan
    from progress_context.engine.rebuild import Progress as Done
    from progress_context.log.database import Connection, Pool
    from progress_context.settings import Settings


def rebuild(
    *names: str,
    all_: Annotated[bool, Parameter("--all")] = False,
    shards: int = 2,
    from_snapshot: Annotated[bool | None, Parameter(negative="--from-scratch")] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    abandon: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Compute read models anew beside the live ones, and swap; once interrupted, go on where it stopped.

    What they are computed from, and what is computed from them, comes along. Serving and live work go on
    meanwhile.

    Parameters
    ----------
    names
        Read models to rebuild.
    all_
        Rebuild every stored read model, and retire those that no file defines any more.
    shards
        Parts worked on at the same time.
    from_snapshot
        Begin with the newest snapshot, or with the first event. Default: with a snapshot if there is one.
    dry_run
        Only say what would be done.
    abandon
        Throw away what interrupted rebuilds have left.
    """
    if abandon:
        _abandon()
        return
    if not names and not all_:
        raise SettingsError("name read models, or give --all")
    if shards < 1:
        raise SettingsError("--shards must be at least 1")

    async def work(pool: Pool, settings: Settings) -> None:
        from progress_context.engine import rebuild as engine
        from progress_context.services.projection import catalog_of

        catalog = catalog_of(settings)
        wanted = await _everything(pool, catalog) if all_ else _known(catalog, names)
        if dry_run:
            await _print_plan(pool, await engine.plan_for(pool, catalog, wanted, from_snapshot))
            return
        with _bar() as bar:
            position = await engine.rebuild(
                pool, catalog, wanted,
                shards=shards, from_snapshot=from_snapshot, announce=_announce, report=_reporter(bar),
            )  # fmt: skip
        console.print(f"rebuilt, and swapped at position {position:,}", highlight=False)

    with_pool(work, size=shards + 3)


def rollback(name: str, /) -> None:
    """Bring back the former version of a read model, and of all that was replaced together with it.

    It catches up first; serving and live work go on meanwhile. A second rollback goes forward again.

    Parameters
    ----------
    name
        A read model.
    """

    async def work(pool: Pool, _settings: Settings) -> None:
        from progress_context.engine import rollback as engine

        with _bar() as bar:
            done = await engine.rollback(pool, name, report=_reporter(bar))
        console.print(f"rolled back at position {done.position:,}: {', '.join(done.names)}", highlight=False)
        if done.removed:
            console.print(f"retired, because they did not exist before: {', '.join(done.removed)}")
        console.print(f"they stay so until one of their files changes, or `rebuild {name}` is given")

    with_pool(work)


async def what_waits(connection: Connection, catalog: Catalog, settings: Settings) -> list[str]:
    """Lines about rebuilds: under way, interrupted, awaited, and held back by a rollback."""
    from progress_context.engine.builds import under_way
    from progress_context.engine.selection import wishes

    lines: list[str] = []
    for build in await under_way(connection):
        names = ", ".join(sorted(build.names))
        goes_on = f"interrupted: {names}; the same command goes on with it, `rebuild --abandon` drops it"
        lines.append(f"under way: {build.kind} of {names}" if build.alive else goes_on)
    wished = await wishes(connection, catalog)
    if wished.edited:
        by = "the projection service, when it starts" if settings.rebuild == "auto" else "`rebuild NAME`"
        lines.append(f"edited or new: {', '.join(wished.edited)}; to be built by {by}")
    if wished.pinned:
        names = ", ".join(wished.pinned)
        lines.append(f"rolled back: {names}; until one of their files changes, or `rebuild NAME`")
    return lines


def _abandon() -> None:
    async def work(pool: Pool, _settings: Settings) -> None:
        from progress_context.engine.rebuild import abandon

        dropped = await abandon(pool)
        console.print(f"abandoned: {', '.join(dropped)}" if dropped else "nothing to abandon")

    with_pool(work)


def _known(catalog: Catalog, names: Sequence[str]) -> list[str]:
    stored = [model.name for model in catalog.stored()]
    if unknown := set(names) - set(stored):
        raise SettingsError(
            f"no stored read model {', '.join(sorted(unknown))}; there are {', '.join(stored)}"
        )
    return list(names)


async def _everything(pool: Pool, catalog: Catalog) -> list[str]:
    from progress_context.engine.selection import wishes
    from progress_context.log.database import acquire

    async with acquire(pool) as connection:
        removed = (await wishes(connection, catalog)).removed
    return [*(model.name for model in catalog.stored()), *removed]


def _announce(plan: Plan) -> None:
    names = ", ".join(model.name for model in plan.selection.models)
    console.print(f"building {names} from {_origin(plan)}", highlight=False)
    if plan.selection.removed:
        console.print(f"retiring {', '.join(plan.selection.removed)}, which no file defines any more")


def _origin(plan: Plan) -> str:
    if plan.base is None:
        return f"{plan.extent.upto:,} events"
    since = plan.extent.upto - plan.base.position
    return f"the snapshot at position {plan.base.position:,} and {since:,} events since"


async def _print_plan(pool: Pool, plan: Plan) -> None:
    from progress_context.engine.inventory import inventory
    from progress_context.log.database import acquire

    async with acquire(pool) as connection:
        active = await inventory(connection)
    out = Console()
    table = Table("read model", "begins with", box=None)
    table.add_column("rows now", justify="right")
    for model in plan.selection.models:
        in_base = plan.base is not None and model.name in plan.base.versions
        rows = f"{active[model.name]['rows']:,}" if model.name in active else "none"
        table.add_row(model.name, "snapshot" if in_base else "events", rows)
    for name in plan.selection.removed:
        table.add_row(name, "retires", "")
    out.print(table)
    out.print(f"from {_origin(plan)}; nothing was done", highlight=False)


class _Rate(ProgressColumn):
    """Events, and events per second."""

    def render(self, task: Task) -> Text:
        amount = f"{int(task.completed):,}/{int(task.total or 0):,} events"
        return Text(f"{amount} {int(task.speed):,}/s" if task.speed else amount)


def _bar() -> Progress:
    return progress_bar(_Rate())


def _reporter(bar: Progress) -> Callable[[Done], None]:
    task = bar.add_task("filling", total=None)
    begun = False

    def report(done: Done) -> None:
        nonlocal begun
        if not begun:
            if done.done and not done.catching_up:
                bar.console.print(f"going on where it stopped: {done.done:,} events are done")
            bar.reset(task, total=done.total, completed=done.done)
        begun = True
        what = "catching up" if done.catching_up else "filling"
        bar.update(task, completed=done.done, total=done.total, description=what)

    return report
