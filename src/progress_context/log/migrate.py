"""Bring a database to the schema this code needs, and refuse to run on any other."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from progress_context.errors import LogDamaged, SchemaMismatch
from progress_context.log.database import Connection, fetch_one

LOCK = 7_236_401_155_009_001  # any number of our own: two migrations never run at once


class Migration(NamedTuple):
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def migrations() -> list[Migration]:
    """All migrations, in order."""
    folder = files("progress_context.log") / "migrations"
    texts = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return sorted(Migration(t.name.removesuffix(".sql"), t.read_text("utf-8")) for t in texts)


async def migrate(connection: Connection) -> list[str]:
    """Apply what is missing, all or nothing, and return its names; safe to call from many at once."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS public.progress_migrations ("
            " name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz DEFAULT now())"
        )
        applied = await _applied(connection)
        _refuse_strangers(applied)
        missing = [m for m in migrations() if m.name not in applied]
        for migration in missing:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO public.progress_migrations (name, checksum) VALUES ($1, $2)",
                migration.name,
                migration.checksum,
            )
        await connection.execute("GRANT SELECT ON public.progress_migrations TO PUBLIC")
    return [m.name for m in missing]


async def check(connection: Connection) -> None:
    """Raise SchemaMismatch or LogDamaged when the database is not one that this code can work on.

    Migrations newer than ours are no obstacle: they only add, so that this version goes on working while the
    next one is rolled out.
    """
    exists = await connection.fetchval("SELECT to_regclass('public.progress_migrations')")
    applied = await _applied(connection) if exists else {}
    newest = migrations()[-1].name
    _refuse_strangers({name: checksum for name, checksum in applied.items() if name <= newest})
    missing = [m.name for m in migrations() if m.name not in applied]
    if missing:
        raise SchemaMismatch(f"the database lacks {', '.join(missing)}; run `progress-context migrate` first")
    head, last = await fetch_one(
        connection,
        "SELECT (SELECT position FROM log.head), coalesce((SELECT max(position) FROM log.events), 0)",
    )
    if head != last:
        raise LogDamaged(
            f"log.head says position {head}, the last event has {last}: the log was changed behind"
            " our back; restore it from a backup before anything is appended"
        )


async def _applied(connection: Connection) -> dict[str, str]:
    rows = await connection.fetch("SELECT name, checksum FROM public.progress_migrations")
    return {row["name"]: row["checksum"] for row in rows}


def _refuse_strangers(applied: dict[str, str]) -> None:
    ours = {m.name: m.checksum for m in migrations()}
    for name, checksum in applied.items():
        if name not in ours:
            raise SchemaMismatch(
                f"the database has migration {name}, unknown to this version of the program;"
                " run a newer version"
            )
        if ours[name] != checksum:
            raise SchemaMismatch(
                f"migration {name} differs from the one the database was made with; install the"
                " version of the program that made it, or migrate by a new file"
            )
