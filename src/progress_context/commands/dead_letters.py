"""`dead-letters`: messages that could not be stored, and what a person does about them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.prompt import Confirm
from rich.table import Table

from progress_context.commands.common import console, with_pool
from progress_context.errors import ProgressError, SettingsError

if TYPE_CHECKING:
    from asyncpg import Record

    from progress_context.log.database import Pool
    from progress_context.settings import Settings

SHOWN_BYTES = 4_096
FACTS = (
    "subscription", "message_id", "ordering_key", "published_at", "first_seen_at", "last_seen_at", "attempts",
    "settled_as", "settled_at",
)  # fmt: skip

app = App(name="dead-letters", help="Messages that could not be stored: kept until somebody settles them.")


@app.command(name="list")
def list_letters(
    *,
    subscription: str | None = None,
    code: str | None = None,
    settled: bool = False,
    limit: int = 100,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Show the messages that wait, the newest first: from where, how often received, and what is wrong.

    Parameters
    ----------
    subscription
        Only those of this subscription.
    code
        Only those with this kind of reason, such as invalid_event or conflict.
    settled
        Also those that were stored or dropped since.
    limit
        At most so many.
    as_json
        As JSON, one object a line.
    """
    from progress_context.log import dead_letters
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> list[Record]:
        async with acquire(pool) as connection:
            return await dead_letters.listed(
                connection, settled=settled, subscription=subscription, code=code, limit=limit
            )

    rows = with_pool(work, role="progress_command")
    if as_json:
        for row in rows:
            sys.stdout.write(_as_json(row) + "\n")
        return
    Console().print(_table(rows) if rows else "no dead letters")


@app.command
def show(letter: int, /, *, payload: Path | None = None) -> None:
    """Show one message with its reason, attributes and payload.

    Parameters
    ----------
    letter
        Its number in `dead-letters list`.
    payload
        Write the payload to this file, byte for byte, to mend it for `retry --edit`.
    """
    from progress_context.log import dead_letters
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> Record | None:
        async with acquire(pool) as connection:
            return await dead_letters.find(connection, letter)

    row = with_pool(work, role="progress_command")
    if row is None:
        raise SettingsError(f"there is no dead letter {letter}; `dead-letters list` shows them")
    if payload is not None:
        _write_payload(row, payload)
    _print_letter(row)


@app.command
def retry(
    *letters: int,
    all_: Annotated[bool, Parameter(name="--all")] = False,
    edit: Path | None = None,
    attribute: Annotated[tuple[str, ...], Parameter(negative=())] = (),
) -> None:
    """Give messages to the intake again, as they came or mended; exit code 1 if any is still refused.

    Parameters
    ----------
    letters
        Their numbers in `dead-letters list`.
    all_
        All that wait, the oldest first.
    edit
        The data of the message is in this file now.
    attribute
        NAME=VALUE sets an attribute of the message, NAME= removes it; may be given several times.
    """
    from progress_context.services.retrying import Correction, retry_letters

    _check_choice(letters, all_)
    if (edit or attribute) and len(letters) != 1:
        raise SettingsError("--edit and --attribute change one message: name one letter")
    if edit is not None and not edit.is_file():
        raise SettingsError(f"{edit} is no file")
    correction = Correction(edit.read_bytes() if edit else None, _attributes(attribute))

    async def work(pool: Pool, settings: Settings) -> int:
        refused = 0
        async for letter, outcome in retry_letters(pool, settings, letters, correction):
            console.print(f"{letter}: {escape(outcome.text)}", highlight=False, soft_wrap=True)
            refused += not outcome.settled
        return refused

    if with_pool(work, role="progress_command"):
        sys.exit(1)


@app.command
def drop(*letters: int, all_: Annotated[bool, Parameter(name="--all")] = False, yes: bool = False) -> None:
    """Give messages up: their content is deleted, the fact that they came is kept.

    Parameters
    ----------
    letters
        Their numbers in `dead-letters list`.
    all_
        All that wait.
    yes
        Do not ask.
    """
    from progress_context.log import dead_letters
    from progress_context.log.database import acquire

    _check_choice(letters, all_)

    async def work(pool: Pool, _settings: Settings) -> int:
        dropped = 0
        async with acquire(pool) as connection:
            for letter in letters or await dead_letters.waiting(connection):
                dropped += await dead_letters.settle(connection, letter, "dropped")
        return dropped

    if not yes:
        _ask(f"Delete the content of {'all' if all_ else len(letters)} letters? It cannot be brought back.")
    dropped = with_pool(work, role="progress_command")
    console.print(f"dropped {dropped:,}")
    if dropped < len(letters):
        raise ProgressError(
            f"{len(letters) - dropped:,} of these do not wait; `dead-letters list` shows which do"
        )


def _check_choice(letters: tuple[int, ...], all_: bool) -> None:
    if bool(letters) == all_:
        raise SettingsError("name the letters, or say --all; `dead-letters list` shows them")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise SettingsError("nobody is here to be asked: say --yes")
    if not Confirm.ask(question, console=console, default=False):
        raise ProgressError("nothing was dropped")


def _attributes(given: tuple[str, ...]) -> dict[str, str]:
    for each in given:
        if "=" not in each:
            raise SettingsError(f"--attribute {each!r}: write NAME=VALUE")
    return dict(each.split("=", 1) for each in given)


def _table(rows: list[Record]) -> Table:
    table = Table("letter", "subscription", "received", "times", "bytes", "what is wrong", box=None)
    for row in rows:
        settled = f"[dim]({row['settled_as']})[/] " if row["settled_as"] else ""
        table.add_row(
            str(row["letter_id"]), escape(row["subscription"].rpartition("/")[2]),
            f"{row['last_seen_at']:%Y-%m-%d %H:%M}", str(row["attempts"]), f"{row['size']:,}",
            settled + escape(_what_is_wrong(row)),
        )  # fmt: skip
    return table


def _what_is_wrong(row: Record) -> str:
    place = f"{row['path']}: " if row["path"] else ""
    return f"{row['code']}: {place}{row['reason']}"


def _as_json(row: Record) -> str:
    def plain(value: Any) -> Any:
        return value.isoformat() if hasattr(value, "isoformat") else value

    return json.dumps({name: plain(value) for name, value in row.items()})


def _write_payload(row: Record, file: Path) -> None:
    if row["payload"] is None:
        raise SettingsError(f"the payload is gone: this letter was {row['settled_as']}")
    file.write_bytes(row["payload"])


def _print_letter(row: Record) -> None:
    out = Console()
    table = Table("", "", box=None, show_header=False)
    for name in FACTS:
        if row[name] not in (None, ""):
            table.add_row(name.replace("_", " "), escape(str(row[name])))
    table.add_row("what is wrong", escape(_what_is_wrong(row)))
    out.print(table)
    if row["payload"] is not None:
        for name, value in json.loads(row["attributes"]).items():
            out.print(f"{name} = {value!r}", markup=False, highlight=False, soft_wrap=True)
        out.print()
        out.print(_readable(row["payload"]), markup=False, highlight=False, soft_wrap=True)


def _readable(payload: bytes) -> str:
    """The payload as text where it is text, its beginning if it is long; no control characters."""
    text = payload[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    shown = "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text
    )
    rest = len(payload) - SHOWN_BYTES
    return shown if rest <= 0 else f"{shown}\n… and {rest:,} bytes more: --payload FILE writes all of them"
