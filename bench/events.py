"""The events of the append benchmark: ten facts each, the same for us and for every peer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

LEARNERS = 2_000
ITEMS = 5_000
START = datetime(2026, 9, 1, tzinfo=UTC)
JUDGMENTS = ("AutoConfirmed", "UserConfirmedCorrect", "UserConfirmedIncorrect")
DOMAINS = ("reading", "writing", "listening", "speaking")
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")
SCATTER = 2_654_435_761  # odd: neighbours go to learners far from each other

Facts = dict[str, Any]


def facts(number: int) -> Facts:
    """The ten facts of event `number`."""
    scattered = number * SCATTER & 0xFFFFFFFF
    learner = scattered % LEARNERS
    moment = START + timedelta(seconds=number % 5_000_000, milliseconds=scattered % 1_000)
    return {
        "id": f"{scattered:08x}-7c1e-4f3a-9d52-{number:012x}",
        "source": "urn:bench:learning",
        "learner": f"bench-{learner:05d}",
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "timezone": ZONES[learner % len(ZONES)],
        "session_id": f"session-{number // 20:09d}",
        "item_id": f"item-{(scattered >> 11) % ITEMS:05d}",
        "judgment": JUDGMENTS[(scattered >> 7) % len(JUDGMENTS)],
        "response_time_ms": 400 + scattered % 9_000,
        "domain": DOMAINS[(scattered >> 5) % len(DOMAINS)],
    }


def cloud_event(given: Facts) -> bytes:
    """The same facts as a CloudEvent in structured JSON."""
    data = {name: given[name] for name in ("session_id", "item_id", "judgment", "response_time_ms", "domain")}
    return msgspec.json.encode({
        "specversion": "1.0",
        "id": given["id"],
        "source": given["source"],
        "type": "learning.CorrectnessJudged",
        "subject": given["learner"],
        "time": given["time"],
        "timezone": given["timezone"],
        "data": data,
    })  # fmt: skip


def write_inputs(folder: Path, count: int) -> tuple[Path, Path]:
    """Write `count` events twice, as CloudEvents for us and as plain facts for the peers: JSON lines."""
    ours, theirs = folder / "cloudevents.jsonl", folder / "facts.jsonl"
    with ours.open("wb") as cloud_events, theirs.open("wb") as plain:
        for given in map(facts, range(count)):
            cloud_events.write(cloud_event(given) + b"\n")
            plain.write(msgspec.json.encode(given) + b"\n")
    return ours, theirs


def read_lines(file: Path, count: int) -> Iterator[bytes]:
    """The first `count` lines; raises ValueError when the file has fewer."""
    read = 0
    with file.open("rb") as lines:
        for read, line in enumerate(lines, start=1):
            yield line.rstrip(b"\n")
            if read == count:
                return
    raise ValueError(f"{file} has {read} lines, {count} are wanted")
