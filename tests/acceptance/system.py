"""What the acceptance tests know of a running system: its database, its processes, valid events."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil

from progress_context.local.ports import LOOPBACK

SOURCE = "https://app.example/acceptance"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
Event = dict[str, Any]

serial = itertools.count(1)


@dataclass(frozen=True)
class System:
    """A running system."""

    url: str
    database: str
    projection_url: str
    process: psutil.Process | None = None


def database_of(data_dir: Path) -> str:
    """The address of the embedded PostgreSQL of a system with this data folder."""
    folder = data_dir / "postgres"
    password, port = ((folder / name).read_text().strip() for name in ("password", "port"))
    return f"postgresql://progress:{password}@{LOOPBACK}:{port}/progress"


def fetch(url: str, query: str, *arguments: object) -> list[Any]:
    """The rows of a query."""

    async def work() -> list[Any]:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    return asyncio.run(work())


def head(url: str) -> int:
    """The last position of the log."""
    return fetch(url, "SELECT position FROM log.head")[0][0]


def checkpoints(url: str) -> set[int]:
    """Where the realtime read models are."""
    query = (
        "SELECT position FROM engine.checkpoints JOIN engine.versions USING (version_id)"
        " WHERE status = 'active' AND update_mode = 'realtime'"
    )
    return {row[0] for row in fetch(url, query)}


def names_in_log(url: str) -> dict[tuple[str, str], list[int]]:
    """(source, id) to positions of the whole log; asserts that positions are 1, 2, 3 … without a gap."""
    rows = fetch(url, "SELECT source, id, position FROM log.events ORDER BY position")
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    names: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        names.setdefault((row["source"], row["id"]), []).append(row["position"])
    return names


def judged(**changes: Any) -> Event:
    """A valid event with a name of its own; a change to `...` leaves the attribute out."""
    number = next(serial)
    moment = datetime.now(UTC) - timedelta(hours=1)
    event: Event = {
        "specversion": "1.0",
        "id": f"judged-{number}",
        "source": SOURCE,
        "type": "learning.CorrectnessJudged",
        "subject": f"learner-{number % 7}",
        "time": moment.isoformat(),
        "data": {"item_id": f"item-{number % 11}", "judgment": "AutoConfirmed", "response_time_ms": 900},
    }
    return {name: value for name, value in (event | changes).items() if value is not ...}


def told(type_: str, **data: Any) -> Event:
    """A valid event of any type."""
    return judged(type=type_, data=data)


def text(event: Any) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(event).encode()


def array(elements: Sequence[bytes]) -> bytes:
    """A JSON array of documents."""
    return b"[" + b",".join(elements) + b"]"


def post(url: str, body: bytes, content_type: str = "application/json", **headers: str) -> httpx.Response:
    """POST to /events; underscores in header names stand for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{url}/events", content=body, headers={"content-type": content_type, **named}, timeout=60
    )


def children(process_id: int, *words: str) -> list[psutil.Process]:
    """The descendants of a process whose command line holds all these words."""
    found: list[psutil.Process] = []
    for process in psutil.Process(process_id).children(recursive=True):
        try:
            if set(words) <= set(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return found


def server_process(data_dir: Path, folder: str) -> psutil.Process:
    """The embedded server (`postgres` or `valkey`) of a system with this data folder."""
    return psutil.Process(int((data_dir / folder / "lock").read_text()))
