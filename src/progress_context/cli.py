"""The command line: one command per thing a person wants to do."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
)
from rich.table import Table

from progress_context import __version__
from progress_context.commands import (
    dead_letters,
    projection,
    pubsub,
    read_models,
    rebuild,
    relay,
    report,
    schema,
    show,
    snapshots,
    status,
    token,
    verify,
)
from progress_context.commands.common import console, progress_bar, settings_with_database
from progress_context.errors import ProgressError, PubSubRefused, ReadModelError, SettingsError
from progress_context.settings import Settings, describe

EXIT_CODES: dict[type[ProgressError], int] = {SettingsError: 2, ReadModelError: 2, PubSubRefused: 2}
SAMPLE_LEARNERS = 30
SAMPLE_DAYS = 400

app = App(
    name="progress-context",
    help="Event-sourced learning progress: keeps every event, shows every angle.",
    version=__version__,
)
importing = App(name="import", help="Bring in events from files.")
GROUPS = (
    importing,
    dead_letters.app,
    projection.batch,
    projection.parked,
    pubsub.app,
    read_models.app,
    relay.app,
    snapshots.app,
)
for group in GROUPS:
    app.command(group)
app.command(rebuild.rebuild)
app.command(rebuild.rollback)
app.command(report.report)
app.command(schema.schema)
app.command(show.show)
app.command(status.status)
app.command(token.token)
app.command(verify.verify)


@app.command
def up(*, data_dir: Path | None = None, sample: bool = False) -> None:
    """Run everything on this machine until Ctrl-C: PostgreSQL, Valkey and the three services.

    Settings DATABASE_URL and REDIS_URL, where set, are used instead of the embedded servers.

    Parameters
    ----------
    data_dir
        Where the data lives; it survives a restart. Default: this user's data folder.
    sample
        Fill an empty store with generated learners.
    """
    from progress_context.local.data_dir import default_data_dir
    from progress_context.services.all_in_one import OneMachine

    settings = Settings.from_environment()
    folder = (data_dir or default_data_dir()).absolute()
    with OneMachine(settings, folder, lambda text: console.print(f"[dim]{escape(text)}[/]")) as machine:
        if sample and machine.log_is_empty():
            console.print("[dim]loading a sample of simulated learners[/]")
            simulate(learners=SAMPLE_LEARNERS, days=SAMPLE_DAYS, post=machine.command_url)
        console.print(f"\n  dashboard  {machine.query_url}/")
        console.print(f"  GraphQL    {machine.query_url}/graphql")
        console.print(f"  events     {machine.command_url}/events")
        console.print(f"  data       {escape(str(folder))}\n")
        console.print("Ctrl-C stops everything.")
        machine.wait()


@app.command
def serve(service: Literal["command", "projection", "query"], /, *, pull: bool = False) -> None:
    """Run one service until SIGTERM or Ctrl-C.

    Parameters
    ----------
    service
        command receives events, projection keeps the read models, query answers GraphQL.
    pull
        command also pulls events from Pub/Sub, as PROGRESS_PULL=true says.
    """
    from importlib import import_module

    from progress_context.services.server import run

    if pull and service != "command":
        raise SettingsError("--pull is for `serve command`: the other services receive no events")
    settings = settings_with_database()
    settings = replace(settings, pull=settings.pull or pull)
    module = import_module(f"progress_context.services.{service}")
    run(lambda stop: module.serve(settings, stop))


@app.command
def migrate() -> None:
    """Bring the database at DATABASE_URL to the schema this version needs."""
    from progress_context.services.all_in_one import migrated

    settings = settings_with_database()
    applied = asyncio.run(migrated(settings.database_url))
    console.print(f"applied {', '.join(applied)}" if applied else "nothing to do")


@app.command
def settings() -> None:
    """List every setting: its environment variable, default and meaning."""
    table = Table("variable", "default", "meaning", box=None)
    for row in describe():
        table.add_row(*row)
    Console().print(table)


@importing.command
def xapi(
    *files: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    url: str | None = None,
    from_start: bool = False,
    data_dir: Path | None = None,
) -> None:
    """Import xAPI statements through the running service: JSON arrays, JSON lines, gzip, or - for stdin.

    An interrupted import goes on where it stopped when the same command is given again.

    Parameters
    ----------
    files
        Files of statements.
    url
        Address of progress-command-service. Default: this machine, at PROGRESS_COMMAND_PORT.
    from_start
        Send everything again; what is stored already is answered as duplicate.
    data_dir
        Where to remember how far an interrupted import came.
    """
    from progress_context.feeding.xapi_files import Journal, import_file
    from progress_context.local.data_dir import default_data_dir
    from progress_context.services.development import sending_token

    if not files:
        raise SettingsError("name at least one file, or - for standard input")
    for file in files:
        if str(file) != "-" and not file.is_file():
            raise SettingsError(f"{file} is no file")
    settings = Settings.from_environment()
    address = url or f"http://127.0.0.1:{settings.command_port}"
    token = sending_token(settings)
    for file in files:
        journal = Journal(data_dir or default_data_dir(), file, address)
        if from_start:
            journal.forget()
        with progress_bar(DownloadColumn()) as bar:
            size = file.stat().st_size if str(file) != "-" else None
            task = bar.add_task(file.name, total=size)

            def read(done: int, task: TaskID = task) -> None:
                bar.update(task, completed=done)

            summary = import_file(file, address, journal, read, token=token)
        console.print(escape(summary.text()), highlight=False)


@app.command
def simulate(
    *,
    learners: int = 100,
    days: int = 90,
    seed: int = 1,
    end: datetime | None = None,
    out: Path | None = None,
    post: str | None = None,
    log: bool = False,
) -> None:
    """Generate believable learners: the same arguments give the same events, byte for byte.

    Parameters
    ----------
    learners
        How many learners.
    days
        How many days of their lives.
    seed
        Another seed, other learners.
    end
        The last day. Default: yesterday (UTC).
    out
        Write JSON lines to this file. Without any target they go to standard output.
    post
        Send them to progress-command-service at this address.
    log
        Append them straight to the log at DATABASE_URL.
    """
    from progress_context.feeding.simulated import to_file, to_log, to_service
    from progress_context.services.development import sending_token
    from progress_context.simulator import Simulation, expected_count

    last = end.date() if end else (datetime.now(UTC) - timedelta(days=1)).date()
    simulation = Simulation(learners=learners, days=days, seed=seed, end=last)
    with progress_bar(MofNCompleteColumn()) as bar:
        task = bar.add_task("simulating", total=expected_count(simulation))

        def report(done: int) -> None:
            bar.update(task, completed=done)

        if post:
            counts = to_service(simulation, post, report, sending_token(Settings.from_environment()))
        elif log:
            chosen = settings_with_database()
            counts = asyncio.run(to_log(simulation, chosen, report))
        elif out:
            with out.open("wb") as file:
                counts = to_file(simulation, file, report)
        else:
            counts = to_file(simulation, sys.stdout.buffer, report)
        bar.update(task, total=sum(counts.values()), completed=sum(counts.values()))
    console.print(", ".join(f"{count:,} {status}" for status, count in counts.items() if count))


def main() -> None:
    """Run the command line; our own errors become one line and an exit code, Ctrl-C a clean 130."""
    try:
        app()
    except ProgressError as error:
        console.print("[red]error:[/]", escape(str(error)), highlight=False, soft_wrap=True)
        sys.exit(next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 1))
    except KeyboardInterrupt:
        console.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def commands() -> list[tuple[str, str]]:
    """(command, first sentence) of everything a person can type, for the docs."""
    listed: list[tuple[str, str]] = []
    for group, prefix in ((app, ""), *((group, f"{group.name[0]} ") for group in GROUPS)):
        for name in group:
            function = group[name].default_command
            if not name.startswith("-") and function is not None:
                about = (function.__doc__ or "").split("\n\n")[0].strip()
                listed.append((f"progress-context {prefix}{name}", " ".join(about.split())))
    return sorted(listed)
