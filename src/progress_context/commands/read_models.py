"""`read-models`: check files, list what is there, describe one, preview an edit."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import MofNCompleteColumn
from rich.syntax import Syntax
from rich.table import Table

from progress_context.commands.common import console, progress_bar, settings_with_database, with_pool
from progress_context.commands.rebuild import what_waits
from progress_context.errors import LogError, ReadModelError, SettingsError
from progress_context.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from progress_context.engine.catalog import Catalog
    from progress_context.engine.compare import Comparison, Difference
    from progress_context.engine.definition import ReadModel
    from progress_context.engine.preview import Preview
    from progress_context.log.database import Pool

app = App(name="read-models", help="The read models there are, yours included.")


@app.command
def check(*files: Path) -> None:
    """Say everything that is wrong with read-model files, one error a line; exit code 1 if there is any.

    Types and functions are checked too when a migrated database is at hand: DATABASE_URL, or that of `up`.

    Parameters
    ----------
    files
        Files to check beside ours and those in PROGRESS_READ_MODELS.
    """
    from progress_context.services.projection import catalog_of

    out = Console()
    settings = Settings.from_environment()
    try:
        catalog = catalog_of(settings, *files)
        unasked = _ask_database(catalog)
    except ReadModelError as error:
        for complaint in error.complaints:
            out.print(escape(str(complaint)), highlight=False, soft_wrap=True)
        console.print(f"{len(error.complaints)} error{'s' * (len(error.complaints) > 1)}")
        sys.exit(1)
    by_whom = f"here; not by PostgreSQL: {unasked}" if unasked else "here and by PostgreSQL"
    console.print(
        escape(f"{len(catalog.models)} read models, no errors: checked {by_whom}"),
        highlight=False,
        soft_wrap=True,
    )


@app.command(name="list")
def list_read_models() -> None:
    """List all read models: how they are kept, how large they are, and how far behind the log."""
    from progress_context.engine.inventory import inventory
    from progress_context.log.database import acquire
    from progress_context.services.projection import catalog_of

    async def work(pool: Pool, settings: Settings) -> None:
        catalog = catalog_of(settings)
        async with acquire(pool) as connection:
            active = await inventory(connection)
            waiting = await what_waits(connection, catalog, settings)
        table = Table("name", "kind", "update", "grain", box=None)
        for heading in ("rows", "size", "version", "position", "lag"):
            table.add_column(heading, justify="right")
        for model in sorted(catalog, key=lambda model: model.name):
            table.add_row(
                model.name, model.kind, model.update, ", ".join(model.grain), *_state(model, active)
            )
        for name in sorted(set(active) - set(catalog.models)):
            table.add_row(name, "", "", "", "", "", "no file defines it")
        out = Console()
        out.print(table)
        for line in waiting:
            out.print(line, highlight=False, soft_wrap=True)

    with_pool(work)


@app.command
def describe(name: str, /) -> None:
    """Show what a read model is: what it is about, its columns with their types and merge laws, its SELECT.

    Parameters
    ----------
    name
        A read model.
    """
    from progress_context.engine.planned import column_types
    from progress_context.log.database import acquire
    from progress_context.services.projection import catalog_of

    async def work(pool: Pool, settings: Settings) -> None:
        catalog = catalog_of(settings)
        model = _known(catalog, name)
        async with acquire(pool) as connection:
            types = await column_types(connection, catalog, name)
        _describe(model, types)

    with_pool(work)


@app.command
def diff(name: str, /, *, sample: int | None = None, seed: int = 0) -> None:
    """Show what the file of a read model would change in the rows that are stored now. Only reads.

    Parameters
    ----------
    name
        A read model.
    sample
        Look at this many learners only.
    seed
        Another seed, other learners.
    """
    from progress_context.engine.preview import preview
    from progress_context.services.projection import catalog_of

    if sample is not None and sample < 1:
        raise SettingsError("--sample must be at least 1")

    async def work(pool: Pool, settings: Settings) -> None:
        catalog = catalog_of(settings)
        _known(catalog, name)
        with progress_bar(MofNCompleteColumn()) as bar:
            task = bar.add_task("comparing learners", total=None)
            found = await preview(
                pool, catalog, name, sample=sample, seed=seed,
                report=lambda done, total: bar.update(task, completed=done, total=total),
            )  # fmt: skip
        _print_preview(catalog[name], found)

    with_pool(work)


def print_differences(found: Comparison) -> None:
    """The first rows that differ, one line each."""
    out = Console()
    for difference in found.examples:
        out.print("  " + escape(_in_words(difference)), highlight=False, soft_wrap=True)
    if found.differing > len(found.examples):
        out.print(f"  … and {found.differing - len(found.examples):,} more")


def _in_words(difference: Difference) -> str:
    from json import dumps

    row = ", ".join(f"{column} {value}" for column, value in difference.grain.items())
    if difference.stored is None or difference.computed is None:
        return f"{row}: {'missing' if difference.stored is None else 'stored, but should not be'}"
    changes = [
        f"{c} is {dumps(difference.stored[c], ensure_ascii=False)}, computed"
        f" {dumps(difference.computed[c], ensure_ascii=False)}"
        for c in difference.columns()
    ]
    return f"{row}: {'; '.join(changes)}"


def _ask_database(catalog: Catalog) -> str:
    """Let PostgreSQL look at the read models; why it was not asked, or nothing."""
    import asyncpg

    from progress_context.engine.planned import check_planned
    from progress_context.log.database import connect
    from progress_context.log.migrate import check as check_schema

    async def ask(url: str) -> None:
        connection = await connect(url, "progress_projection")
        try:
            await check_schema(connection)
            await check_planned(connection, catalog)
        finally:
            await connection.close()

    try:
        asyncio.run(ask(settings_with_database().database_url))
    except SettingsError:
        return "neither DATABASE_URL nor `progress-context up` is at hand"
    except (LogError, asyncpg.PostgresError) as error:
        return str(error)
    return ""


def _known(catalog: Catalog, name: str) -> ReadModel:
    if name not in catalog.models:
        raise SettingsError(f"there is no read model {name!r}; there are {', '.join(sorted(catalog.models))}")
    return catalog[name]


def _state(model: ReadModel, active: Mapping[str, Any]) -> tuple[str, ...]:
    """Rows, size, version, position and lag of what is stored; the version says when it is another."""
    if not model.stored or model.name not in active:
        return ("", "", "not built" if model.stored else "", "", "")
    row = active[model.name]
    version = row["fingerprint"][:6]
    return (
        f"{row['rows']:,}" if row["rows"] >= 0 else "?",
        decimal(row["bytes"]),
        version if row["fingerprint"] == model.fingerprint else f"{version}, file: {model.fingerprint[:6]}",
        f"{row['position']:,}",
        f"{row['lag']:,}",
    )


def _describe(model: ReadModel, types: Mapping[str, str]) -> None:
    out = Console()
    facts = {
        "about": model.about, "file": model.file, "kind": model.kind, "update": model.update,
        "grain": ", ".join(model.grain), "reads": ", ".join(model.inputs), "version": model.fingerprint[:6],
    }  # fmt: skip
    for fact, value in facts.items():
        out.print(f"[dim]{fact:8}[/] {escape(value)}", highlight=False)
    merges = model.stored and not model.is_view
    table = Table("column", "type", *(["merges by"] if merges else []), box=None)
    for column, type_ in types.items():
        law = "(grain)" if column in model.grain else model.law(column)
        table.add_row(column, type_, *([law] if merges else []))
    out.print()
    out.print(table)
    out.print()
    out.print(Syntax(model.select, "postgresql", background_color="default"))


def _print_preview(model: ReadModel, found: Preview) -> None:
    out = Console()
    says = {
        "same": f"{model.name} is built as its file says: nothing would change",
        "new": f"{model.name} would be built: nothing is stored under this name yet",
        "lazy": f"{model.name} is lazy: nothing is stored",
    }
    if found.state in says:
        out.print(says[found.state])
        return
    for column in found.added:
        out.print(f"+ column {column}")
    for column in found.removed:
        out.print(f"- column {column}")
    for column, (before, after) in found.retyped.items():
        out.print(f"~ column {column}: {before} becomes {after}", highlight=False)
    if found.rows is None:
        out.print(f"the grain was {', '.join(found.grain_before)}: every row would be another")
        return
    looked = f" of {found.learners:,} learners" if model.by_learner else ""
    rows = found.rows
    out.print(
        f"{rows.rows:,} rows{looked}: {rows.only_computed:,} would be added, {rows.only_stored:,} removed,"
        f" {rows.changed:,} changed"
    )
    print_differences(rows)
