"""`relay`: how far the log was published, what could not be, and publishing again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cyclopts import App
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from progress_context.commands.common import console, settings_with_database, with_pool
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from progress_context.log.database import Pool
    from progress_context.settings import Settings

app = App(name="relay", help="The publishing of the log to Pub/Sub.")


@app.command(name="list")
def list_relays() -> None:
    """Show how far the log was published, and every event that Pub/Sub refused."""
    from progress_context.delivery import relay_books
    from progress_context.log.database import acquire

    async def work(pool: Pool, _settings: Settings) -> None:
        async with acquire(pool) as connection:
            topics, refused = await relay_books.relays(connection), await relay_books.unpublished(connection)
        table = Table("topic", "position", "since", "published by", box=None)
        for row in topics:
            who = row["holder"] if row["held"] else "(nobody)"
            table.add_row(row["topic"], f"{row['position']:,}", f"{row['moved_at']:%Y-%m-%d %H:%M:%S}", who)
        Console().print(table if topics else "nothing was ever published")
        for row in refused:
            Console().print(f"position {row['position']}, {row['type']}: {row['reason']}", markup=False)

    with_pool(work, role="progress_command")


@app.command
def rewind(topic: str, position: int) -> None:
    """Publish everything behind a position again; followers hear of it once more and need not care.

    Needs the owner's DATABASE_URL, as `migrate` does.

    Parameters
    ----------
    topic
        The full name, as `relay list` shows it.
    position
        The last position that is not to be published again; 0: publish the whole log.
    """
    from progress_context.delivery import relay_books
    from progress_context.log.database import connect

    settings = settings_with_database()

    async def work() -> bool:
        connection = await connect(settings.database_url)
        try:
            return await relay_books.rewind(connection, topic, position)
        finally:
            await connection.close()

    if position < 0:
        raise SettingsError(f"{position} is no position of the log; 0 publishes the whole log")
    if not asyncio.run(work()):
        raise SettingsError(f"{topic} was not published beyond position {position}; see `relay list`")
    console.print(f"{escape(topic)}: published again from position {position + 1:,} on")
