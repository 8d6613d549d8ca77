"""Import files of xAPI statements through the running service: streamed, resumable, with reasons."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import BinaryIO, cast

from progress_context.errors import IntakeError
from progress_context.feeding.sending import Sender
from progress_context.intake.documents import split_array
from progress_context.intake.envelope import MAX_EVENT_BYTES

BATCH = 1_000
BATCH_BYTES = 4 * 1024 * 1024
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
        """`done` statements are in; whoever is killed here finds the old note or the new one."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft = self._path.with_suffix(f".{os.getpid()}")
            draft.write_text(json.dumps({"done": done}))
            draft.replace(self._path)

    def forget(self) -> None:
        """The import is complete; the next run begins at the start."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def import_file(
    file: Path,
    url: str,
    journal: Journal,
    on_bytes: Callable[[int], None],
    *,
    batch: int = BATCH,
    token: str = "",
) -> Summary:
    """Send all statements of `file` that the journal does not know of to the service at `url`.

    `on_bytes` hears how many bytes of the file were read.

    Raises IntakeError when an array or gzip cannot be read, LogUnavailable when the service stays away.
    """
    summary = Summary()
    done = journal.done()
    summary.counts["resumed"] = done
    with Sender(url, token) as sender, _opened(file) as (stream, position):
        statements = _statements(stream)
        line = sum(1 for _ in islice(statements, done))
        for lines in _batches(statements, batch):
            answer = sender.send_lines("/xapi/statements", [text for _, text in lines])
            for (number, _), result in zip(lines, answer.results, strict=True):
                summary.counts[result.status] += 1
                if result.status in ("conflict", "invalid"):
                    reason = _without_line(result.reason or "")
                    summary.refuse(f"{result.path}: {reason}" if result.path else reason, number)
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
                try:
                    yield cast("BinaryIO", unpacked), position
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    raise IntakeError(400, "bad_gzip", f"{file} is damaged: {error}") from None
        else:
            yield cast("BinaryIO", raw), position


def _raw(file: Path) -> BufferedReader:
    if file == STANDARD_INPUT:
        return cast("BufferedReader", sys.stdin.buffer)
    return file.open("rb")


def _batches(statements: Iterator[tuple[int, bytes]], most: int) -> Iterator[list[tuple[int, bytes]]]:
    """At most `most` statements each, and far fewer bytes than a request may have."""
    batch: list[tuple[int, bytes]] = []
    size = 0
    for number, text in statements:
        if batch and (len(batch) == most or size + len(text) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((number, text))
        size += len(text)
    if batch:
        yield batch


def _statements(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(line, statement) of JSON lines, or (number, statement) of a JSON array, counted from 1.

    A statement is one line, whatever it looked like in its file, and no longer than it takes for
    the service to say that it is too long.
    """
    for number, text in _texts(stream):
        yield number, text.strip().replace(b"\n", b" ").replace(b"\r", b" ")[: MAX_EVENT_BYTES + 1]


def _texts(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
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
        yield number, first
    for text in stream:
        number += 1
        if text.strip():
            yield number, text


def _without_line(reason: str) -> str:
    """The reason without the line within its batch."""
    return reason.split(": ", 1)[1] if reason.startswith("Line ") else reason
