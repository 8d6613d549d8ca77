"""Connections to PostgreSQL, and statements kept in `.sql` files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import asyncpg

from progress_context.errors import LogUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:  # the classes are generic in the stubs only
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

T = TypeVar("T")

Role = Literal["progress_command", "progress_projection", "progress_query"]

# What a client sees when the server stops, starts, has no room left or was promoted away.
UNAVAILABLE: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke off in the middle of an answer
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
)


# For sessions of services that write: one that hangs in the middle of a transaction, its machine paused or
# cut off, must not keep others from the rows it has locked for longer than leases last.
LETTING_GO = {"idle_in_transaction_session_timeout": "5s"}


@cache
def resource(package: str | None, file: str) -> str:
    """The text of a file in a package of this project."""
    return (files(package or "") / file).read_text(encoding="utf-8")


def statement(package: str | None, name: str) -> str:
    """The text of `name`.sql in a package of this project."""
    return resource(package, f"{name}.sql")


def settings_of(role: Role | None) -> dict[str, str]:
    """Server settings of every session: UTC, the service's role, no compilation of small queries."""
    settings = {"timezone": "UTC", "jit": "off", "search_path": "read, pg_catalog"}
    if role is not None:
        settings |= {"role": role, "application_name": role.replace("_", "-")}
    return settings


async def connect(url: str, role: Role | None = None) -> asyncpg.Connection[asyncpg.Record]:
    """One connection in `role`; raises LogUnavailable when the server cannot be reached."""
    try:
        return await _connect(url, server_settings=settings_of(role), timeout=10)
    except (*UNAVAILABLE, asyncpg.CannotConnectNowError) as error:
        raise LogUnavailable(f"PostgreSQL cannot be reached: {in_words(error)}") from error


async def open_pool(
    url: str,
    role: Role,
    *,
    size: int,
    patience: float = 60,
    session: Mapping[str, str] | None = None,
    kept_bytes: int = 15 * 1024,
) -> Pool:
    """A pool that connects when first used, so a service starts before its database does.

    A statement that is not answered within `patience` seconds fails with TimeoutError. `session` adds server
    settings; statements of up to `kept_bytes` stay prepared.
    """
    return await asyncpg.create_pool(
        url,
        connect=_connect,
        min_size=0,
        max_size=size,
        server_settings={**settings_of(role), **(session or {})},
        max_cacheable_statement_size=kept_bytes,
        timeout=5,
        command_timeout=patience,
        max_inactive_connection_lifetime=600,
        reset=_keep,
    )


async def _connect(*arguments: Any, **named: Any) -> Any:
    """As asyncpg does; raises LogUnavailable on a server that was never migrated, which lacks our roles."""
    try:
        return await asyncpg.connect(*arguments, **named)
    except asyncpg.InvalidParameterValueError as error:
        raise LogUnavailable(f"{error}; run `progress-context migrate` first") from error


def pool_state(pool: Pool) -> dict[str, Callable[[], float]]:
    """How many connections a pool has open, how many of them are idle, and how many it may have."""
    return {"open": pool.get_size, "idle": pool.get_idle_size, "max": pool.get_max_size}


async def _keep(_connection: Connection) -> None:
    """Nothing to reset: what we set, we set for a transaction. This saves a round trip per use."""


@asynccontextmanager
async def acquire(pool: Pool, *, patience: float | None = 10) -> AsyncGenerator[Connection]:
    """A connection of the pool; whatever says "the server is away" becomes LogUnavailable.

    So does waiting for `patience` seconds; None leaves that to the caller.
    """
    try:
        async with pool.acquire(timeout=patience) as connection:
            yield connection
    except UNAVAILABLE as error:
        raise LogUnavailable(f"PostgreSQL is not available: {in_words(error)}") from error


def in_words(error: BaseException) -> str:
    """What went wrong, also for time-outs, which carry no text."""
    return str(error) or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


async def until_available(attempt: Callable[[], Awaitable[T]], *, patience: float) -> T:
    """The result of `attempt`, tried again with growing pauses for `patience` seconds."""
    deadline = asyncio.get_running_loop().time() + patience
    pause = 0.05
    while True:
        try:
            return await attempt()
        except LogUnavailable:
            if asyncio.get_running_loop().time() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)


async def fetch_one(connection: Connection, query: str, *arguments: object) -> asyncpg.Record:
    """The one row a query always has."""
    row = await connection.fetchrow(query, *arguments)
    if row is None:
        raise LookupError(f"no row from: {query}")
    return row
