"""What the commands share: a pool on the right database, and how they look while they work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from progress_context.errors import SettingsError
from progress_context.settings import Settings

if TYPE_CHECKING:
    from progress_context.log.database import Pool, Role

T = TypeVar("T")

console = Console(stderr=True)


def settings_with_database() -> Settings:
    """The settings, with the address of the PostgreSQL that `up` runs on this machine if they name none."""
    settings = Settings.from_environment()
    if settings.database_url:
        return settings
    from progress_context.local.data_dir import default_data_dir
    from progress_context.local.postgres import running_url

    url = running_url(default_data_dir())
    if url is None:
        raise SettingsError(
            "DATABASE_URL is not set, e.g. postgresql://user:password@host:5432/progress, and no"
            f" `progress-context up` is running on {default_data_dir()}"
        )
    return replace(settings, database_url=url)


def with_pool(
    work: Callable[[Pool, Settings], Awaitable[T]], *, size: int = 4, role: Role = "progress_projection"
) -> T:
    """The result of `work(pool, settings)` with a pool in the role of a service."""
    from progress_context.log.database import open_pool

    settings = settings_with_database()

    async def run() -> T:
        pool = await open_pool(settings.database_url, role, size=size)
        try:
            return await work(pool, settings)
        finally:
            pool.terminate()

    return asyncio.run(run())


def progress_bar(*amount: ProgressColumn) -> Progress:
    """A bar for long work: what, how far, how long it took and will take."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), *amount,
        TimeElapsedColumn(), TimeRemainingColumn(), console=console,
    )  # fmt: skip
