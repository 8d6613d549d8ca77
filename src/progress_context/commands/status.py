"""`status`: how the whole system stands, on one screen or as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.live import Live

from progress_context.commands.common import settings_with_database
from progress_context.errors import SettingsError

if TYPE_CHECKING:
    from progress_context.engine.health import Edges, Problem, Standing
    from progress_context.settings import Settings

SERVICES = ("command", "projection", "query")
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 10.0
BETWEEN_LOOKS = 1.0  # for the rates of a single status


class Service(msgspec.Struct, frozen=True):
    """What a service says of itself: `ready`, `not ready` with a reason, or `no answer`."""

    name: str
    url: str
    state: str
    reason: str | None = None


class Status(msgspec.Struct, frozen=True):
    """Everything `--json` prints. `services` is null when they were not asked.

    `standing`, `edges` and `append_rate` (events a second) are null while the database does not answer;
    `rates` are the events a second by which each checkpoint moved since the look before.
    """

    healthy: bool
    problems: list[Problem]
    services: list[Service] | None
    append_rate: float | None
    rates: dict[str, float]
    standing: Standing | None
    edges: Edges | None


class Inside(msgspec.Struct, frozen=True):
    """What the database says, or why it does not."""

    standing: Standing | None = None
    edges: Edges | None = None
    append_rate: float | None = None
    failure: str | None = None


def status(*, watch: bool = False, every: float = 2.0, json_: bool = False, services: bool = True) -> None:
    """Show how everything stands: services, log, read models, rebuilds, what waits; exit code 1 if it is ill.

    Parameters
    ----------
    watch
        Look again and again until Ctrl-C.
    every
        Seconds between two looks of --watch.
    json_
        Print JSON; with --watch one line for each look.
    services
        Ask the services over HTTP. With --no-services only the database is looked at.
    """
    if not 0.2 <= every <= 3600:
        raise SettingsError("--every must be from 0.2 to 3600 seconds")
    settings = settings_with_database()
    if watch:
        _watch(settings, every, as_json=json_, ask=services)
        return
    found = asyncio.run(_look_twice(settings, ask=services))
    _print(Console(), found, as_json=json_)
    if not found.healthy:
        sys.exit(1)


async def looks(settings: Settings, every: float, *, ask: bool) -> AsyncIterator[Status]:
    """A status every so many seconds, for ever; never raises because something is down."""
    before: Standing | None = None
    while True:
        answers = _ask_services(settings) if ask else _nobody()
        inside, services = await asyncio.gather(look_inside(settings.database_url), answers)
        yield judged(inside, services, before, settings.batch_seconds)
        before = inside.standing or before
        await asyncio.sleep(every)


def judged(
    inside: Inside, services: list[Service] | None, before: Standing | None, batch_seconds: float
) -> Status:
    """What was seen, and what is wrong with it."""
    from progress_context.engine.health import Problem, problems, problems_at_edges

    found = [
        Problem("service-down", f"progress-{s.name}-service: {s.state}{f', {s.reason}' if s.reason else ''}")
        for s in services or ()
        if s.state != "ready"
    ]
    if inside.failure is not None:
        found.append(Problem("database-down", inside.failure))
    if inside.standing is not None:
        found += problems(inside.standing, batch_seconds)
    if inside.edges is not None:
        found += problems_at_edges(inside.edges)
    return Status(
        not found, found, services, inside.append_rate, _rates(before, inside.standing),
        inside.standing, inside.edges,
    )  # fmt: skip


async def look_inside(database_url: str) -> Inside:
    """Everything the database knows, as its owner; a database that is away, or too old, is told of."""
    from asyncpg import PostgresError

    from progress_context.engine.health import append_rate, edges, standing
    from progress_context.errors import LogError
    from progress_context.log.database import UNAVAILABLE, connect, in_words
    from progress_context.log.migrate import check

    try:
        async with asyncio.timeout(LOOK_SECONDS):
            connection = await connect(database_url)
            try:
                await check(connection)
                now = await standing(connection)
                return Inside(now, await edges(connection), await append_rate(connection, now))
            finally:
                connection.terminate()
    except (LogError, PostgresError, *UNAVAILABLE) as error:
        return Inside(failure=in_words(error))


def _rates(before: Standing | None, now: Standing | None) -> dict[str, float]:
    if before is None or now is None or now.at <= before.at:
        return {}
    seconds = (now.at - before.at).total_seconds()
    was = {model.name: model.position for model in before.read_models}
    return {m.name: (m.position - was[m.name]) / seconds for m in now.read_models if m.name in was}


async def _look_twice(settings: Settings, *, ask: bool) -> Status:
    """The second of two looks, for the rates; there is nothing to wait for when the database is away."""
    async for found in looks(settings, BETWEEN_LOOKS, ask=ask):
        if found.rates or not (found.standing and found.standing.read_models):
            return found
    raise AssertionError("looks never end")


def _watch(settings: Settings, every: float, *, as_json: bool, ask: bool) -> None:
    from progress_context.commands.status_screen import screen

    out = Console()

    async def show() -> None:
        if as_json or not out.is_terminal:
            async for found in looks(settings, every, ask=ask):
                _print(out, found, as_json=as_json, line=True)
            return
        with Live(console=out, screen=True, auto_refresh=False) as live:
            async for found in looks(settings, every, ask=ask):
                live.update(screen(found), refresh=True)

    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        return  # the way to end it


def _print(out: Console, found: Status, *, as_json: bool, line: bool = False) -> None:
    from progress_context.commands.status_screen import screen

    if as_json:
        text = msgspec.json.encode(found)
        sys.stdout.write((text if line else msgspec.json.format(text, indent=2)).decode() + "\n")
        sys.stdout.flush()
    else:
        out.print(screen(found))


async def _nobody() -> None:
    return None


async def _ask_services(settings: Settings) -> list[Service]:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared only
    named = f"[{host}]" if ":" in host else host
    urls = [(name, f"http://{named}:{getattr(settings, f'{name}_port')}") for name in SERVICES]
    return await asyncio.gather(*(asyncio.to_thread(_ask, name, url) for name, url in urls))


def _ask(name: str, url: str) -> Service:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=ANSWER_SECONDS):  # noqa: S310 - http, see above
            return Service(name, url, "ready")
    except urllib.error.HTTPError as error:
        return Service(name, url, "not ready", _reason(error))
    except OSError as error:
        return Service(name, url, "no answer", str(getattr(error, "reason", error)))


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(10_000))["reason"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP status {error.code}"
