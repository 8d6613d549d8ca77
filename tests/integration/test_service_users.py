"""A server like Cloud SQL: the owner is no superuser, and each service logs in with the rights of its role only."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from tests.conftest import FAST

from progress_context.local.ports import LOOPBACK
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.local.programs import POSTGRES, environment, find_program
from progress_context.log.database import Role, connect
from progress_context.services.all_in_one import migrated

SQL = Path(__file__).parents[2] / "deploy/service_users.sql"
OWNER = """
    CREATE ROLE owner LOGIN CREATEDB CREATEROLE PASSWORD 'secret';
    CREATE DATABASE managed OWNER owner;
"""


@pytest.fixture(scope="module")
async def server(scratch: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server whose database belongs to an owner without special rights, migrated, with the services' users."""
    with EmbeddedPostgres(scratch / "managed", settings=FAST) as server:
        superuser = await asyncpg.connect(server.url)
        for statement in OWNER.strip().split("\n"):
            await superuser.execute(statement)
        await superuser.close()
        assert await migrated(url(server, "owner"))
        psql = find_program(POSTGRES, None).with_name("psql")
        passwords = [f"--set={name}=secret" for name in ("command", "projection", "query")]
        subprocess.run(  # noqa: ASYNC221 - nothing else goes on here
            [psql, "--quiet", *passwords, f"--file={SQL}", url(server, "owner")],
            env=environment(), check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        yield server


def url(server: EmbeddedPostgres, user: str) -> str:
    return f"postgresql://{user}:secret@{LOOPBACK}:{server.port}/managed"


@pytest.mark.parametrize("service", ["command", "projection", "query"])
async def test_a_service_takes_its_own_role_and_no_other(server: EmbeddedPostgres, service: str) -> None:
    roles: dict[str, Role] = {
        "command": "progress_command", "projection": "progress_projection", "query": "progress_query",
    }  # fmt: skip
    login = url(server, f"{roles[service]}_login")
    own = await connect(login, roles[service])
    assert await own.fetchval("SELECT position FROM log.head") == 0
    with pytest.raises(asyncpg.PostgresError):
        await own.execute("CREATE TABLE log.mine ()")
    await own.close()
    for other in roles.keys() - {service}:
        with pytest.raises(asyncpg.PostgresError):
            await connect(login, roles[other])


async def test_the_owner_migrates_again_without_a_change(server: EmbeddedPostgres) -> None:
    assert await migrated(url(server, "owner")) == []
