"""A release that is rolled out: the version before it works on the migrated database until it is replaced."""

from __future__ import annotations

import asyncpg
import pytest

from progress_context.errors import SchemaMismatch
from progress_context.log.migrate import check, migrate

ADD = "INSERT INTO public.progress_migrations (name, checksum) VALUES ($1, 'x')"


async def test_a_newer_migration_does_not_stop_the_version_before_it(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(ADD, "9999_of_the_next_release")
    await check(connection)
    await connection.close()


async def test_the_version_before_it_does_not_migrate(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(ADD, "9999_of_the_next_release")
    with pytest.raises(SchemaMismatch, match="run a newer version"):
        await migrate(connection)
    await connection.close()


async def test_a_migration_that_was_never_ours_is_refused(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(ADD, "0001_of_somebody_else")
    with pytest.raises(SchemaMismatch, match="0001_of_somebody_else"):
        await check(connection)
    await connection.close()
