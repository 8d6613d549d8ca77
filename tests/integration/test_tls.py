"""Connections to PostgreSQL through TLS: in the clear only where nobody asked for more."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from progress_context.errors import LogUnavailable
from progress_context.local.ports import LOOPBACK
from progress_context.log.database import connect
from tunnels import certificate, server_side, tunnel


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_server_without_tls_is_told_nothing(database_url: str, mode: str, tmp_path: Path) -> None:
    authority, _ = certificate(tmp_path)
    with pytest.raises(LogUnavailable):
        await connect(f"{database_url}?sslmode={mode}&sslrootcert={authority}", "progress_query")


async def test_only_a_server_that_proves_its_name_is_asked(database_url: str, tmp_path: Path) -> None:
    known, secret = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other")
    port = urlsplit(database_url).port
    assert port is not None
    async with tunnel((LOOPBACK, port), server_side(known, secret), postgres=True) as through:
        address = database_url.replace(f":{port}/", f":{through}/")
        connection = await connect(f"{address}?sslmode=verify-full&sslrootcert={known}", "progress_query")
        assert await connection.fetchval("SELECT position FROM log.head") == 0
        connection.terminate()
        with pytest.raises(LogUnavailable):
            await connect(f"{address}?sslmode=verify-full&sslrootcert={other}", "progress_query")
