"""`schema`: the GraphQL schema of a deployment, and what would break its clients."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from progress_context.commands.common import console, with_pool
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from progress_context.log.database import Pool
    from progress_context.settings import Settings


def schema(*, compare: Path | None = None, write: Path | None = None) -> None:
    """Print the GraphQL schema: the API, and a type for the rows of every read model that is served.

    Parameters
    ----------
    compare
        Print nothing but what would break clients of the schema in this file; exit code 1 if anything does.
    write
        Write the schema to this file. What would break clients of the schema in it is refused, unless the
        version of the schema is higher.
    """
    text = with_pool(_printed)
    if compare is not None:
        changes = _breaking(compare, text)
        for change in changes:
            sys.stdout.write(f"{change}\n")
        raise SystemExit(bool(changes))
    if write is not None:
        _write(write, text)
    else:
        sys.stdout.write(text)


async def _printed(pool: Pool, settings: Settings) -> str:
    from progress_context.log.database import acquire
    from progress_context.log.migrate import check
    from progress_context.query.schema import printed
    from progress_context.query.served import look
    from progress_context.services.command import default_calendar
    from progress_context.services.projection import catalog_of

    async with acquire(pool) as connection:
        await check(connection)
        served = await look(connection, catalog_of(settings), default_calendar(settings))
    return printed(served.schema)


def _write(file: Path, text: str) -> None:
    from progress_context.query.schema import VERSION, version_of

    changes = _breaking(file, text) if file.exists() else []
    if changes and version_of(file.read_text("utf-8")) >= VERSION:
        for change in changes:
            console.print(change, highlight=False, soft_wrap=True)
        raise SettingsError(
            f"{file} was not written: this breaks clients; keep what it had, or raise the version"
        )
    file.write_text(text, "utf-8")


def _breaking(file: Path, text: str) -> list[str]:
    from graphql import GraphQLError

    from progress_context.query.schema import breaking_changes

    try:
        return breaking_changes(file.read_text("utf-8"), text)
    except (OSError, UnicodeDecodeError, GraphQLError) as error:
        raise SettingsError(f"{file} holds no schema: {error}") from None
