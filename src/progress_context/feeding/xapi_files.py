"""Import files of xAPI statements through the running service: streamed, resumable, with reasons."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from progress_context.feeding.sending import Sender
from progress_context.intake.documents import split_array

BATCH = 1_000
GZIP_MAGIC = b"\x1f\x8b"
STANDARD_INPUT = Path("-")
STATUSES = ("stored", "duplicate", "conflict", "invalid")
SHOWN_LINES = 5


@dataclass(slots=True)
class Summary:
    """What became of the statements of a file; refusals by reason, with the first lines they are on."""

    counts: Counter[str] = field(default_factory=Counter[str])
    refusals: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def refuse(self, reason: str, line: int) -> None:
        """Note one refused statement."""
        self.refusals.setdefault(reason, []).append(line)

    def text(self) -> str:
        """For a person: the counts, then each reason with its first lines."""
        shown = [f"{self.counts[status]:,} {status}" for status in STATUSES]
        if self.counts["resumed"]:
            shown.append(f"{self.counts['resumed']:,} sent by an earlier run")
        lines = [", ".join(shown)]
        for reason, places in sorted(self.refusals.items(), key=lambda item: -len(item[1])):
            first = ", ".join(str(place) for place in places[:SHOWN_LINES])
            more = f" and {len(places) - SHOWN_LINES:,} more" if len(places) > SHOWN_LINES else ""
            lines.append(f"  {reason} (line {first}{more})")
        return "\n".join(lines)


class Journal:
    """Remembers how far an interrupted import came, so the same command goes on from there."""

    def __init__(self, folder: Path, file: Path, url: str) -> None:
        stat = file.stat() if file != STANDARD_INPUT else None
        mark = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns} {url}" if stat else ""
        name = hashlib.sha256(mark.encode()).hexdigest()[:16]
        self._path = folder / "imports" / f"{name}.json" if mark else None

    def done(self) -> int:
        """Statements that are already in."""
        if self._path is None or not self._path.exists():
            return 0
        return int(json.loads(self._path.read_text())["done"])

    def note(self, done: int) -> None:
        """`done` statements are in."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps({"done": done}))

    def forget(self) -> None:
        """The import is complete; the next run begins at the start."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def import_file(
    file: Path, url: str, journal: Journal, on_bytes: Callable[[int], None], *, batch: int = BATCH
) -> Summary:
    """Send all statements of `file` that the journal does not know of to the service at `url`.

    `on_bytes` hears how many bytes of the file were read.

    Raises IntakeError when an array cannot be read, LogUnavailable when the service stays away.
    """
    summary = Summary()
    done = journal.done()
    summary.counts["resumed"] = done
    with Sender(url) as sender, _opened(file) as (stream, position):
        statements = _statements(stream)
        line = sum(1 for _ in islice(statements, done))
        while lines := list(islice(statements, batch)):
            answer = sender.send_lines("/xapi/statements", [text for _, text in lines])
            for (number, _), result in zip(lines, answer.results, strict=True):
                summary.counts[result.status] += 1
                if result.status in ("conflict", "invalid"):
                    summary.refuse(f"{result.path}: {_without_line(result.reason or '')}", number)
            line += len(lines)
            journal.note(line)
            on_bytes(position())
    journal.forget()
    return summary


@contextmanager
def _opened(file: Path) -> Generator[tuple[BinaryIO, Callable[[], int]]]:
    """The bytes of a file, unpacked when they are gzip, and how far the file itself was read."""
    with _raw(file) as raw:
        position = raw.tell if raw.seekable() else lambda: 0
        if raw.peek(2)[:2] == GZIP_MAGIC:
            with gzip.open(raw) as unpacked:
                yield cast("BinaryIO", unpacked), position
        else:
            yield cast("BinaryIO", raw), position


def _raw(file: Path) -> BufferedReader:
    if file == STANDARD_INPUT:
        return cast("BufferedReader", sys.stdin.buffer)
    return file.open("rb")


def _statements(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(line, statement) of JSON lines, or (number, statement) of a JSON array, counted from 1."""
    first = b""
    number = 0
    for first in stream:
        number += 1
        if first.strip():
            break
    if first.lstrip()[:1] == b"[":
        yield from enumerate(split_array(first + stream.read()), start=1)
        return
    if first.strip():
        yield number, first.strip()
    for text in stream:
        number += 1
        if text.strip():
            yield number, text.strip()


def _without_line(reason: str) -> str:
    """The reason without the line within its batch."""
    return reason.split(": ", 1)[1] if reason.startswith("Line ") else reason
