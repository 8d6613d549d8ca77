"""Messages that could not be stored: kept as they came, with the reason, until somebody settles them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, TypeAlias

import asyncpg
import msgspec

from progress_context.log.database import Connection, statement

MAX_PAYLOAD = 32 * 1024 * 1024  # bytes; Pub/Sub carries 10 MB, which are 14 MB in a push
MAX_MESSAGE_ID = 200
MAX_TEXT = 1_000

Settlement: TypeAlias = Literal["stored", "edited", "dropped"]

LIST = """
    SELECT letter_id, channel, subscription, message_id, code, path, reason, attempts, size, published_at,
           first_seen_at, last_seen_at, settled_as, settled_at
      FROM ops.dead_letters
     WHERE ($1 OR settled_at IS NULL)
       AND ($2::text IS NULL OR subscription = $2 OR right(subscription, length($2) + 1) = '/' || $2)
       AND ($3::text IS NULL OR code = $3)
     ORDER BY letter_id DESC LIMIT $4
"""
FIND = "SELECT * FROM ops.dead_letters WHERE letter_id = $1"
WAITING = "SELECT letter_id FROM ops.dead_letters WHERE settled_at IS NULL ORDER BY letter_id"
COUNT_WAITING = "SELECT count(*) FROM ops.dead_letters WHERE settled_at IS NULL"
FAILED = """
    UPDATE ops.dead_letters
       SET attempts = attempts + 1, last_seen_at = clock_timestamp(), code = $2, path = $3, reason = $4
     WHERE letter_id = $1 AND settled_at IS NULL
"""
SETTLE = """
    UPDATE ops.dead_letters
       SET settled_as = $2, settled_at = clock_timestamp(),
           payload = NULL, attributes = NULL, ordering_key = ''
     WHERE letter_id = $1 AND settled_at IS NULL RETURNING letter_id
"""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message with the reason why it could not be stored: `code` is stable, `path` the field at fault."""

    channel: str
    subscription: str
    message_id: str
    ordering_key: str
    published_at: datetime | None
    wrapped: bool
    attributes: Mapping[str, str]
    payload: bytes
    code: str
    path: str
    reason: str


async def bury(connection: Connection, letters: Sequence[DeadLetter]) -> None:
    """Keep these messages. One that is here already counts another attempt, under its newest reason.

    A letter that was settled stays so: what somebody decided is not undone by a redelivery.
    """
    await connection.executemany(statement(__package__, "bury_letter"), [_row(letter) for letter in letters])


async def listed(
    connection: Connection, *, settled: bool, subscription: str | None, code: str | None, limit: int
) -> list[asyncpg.Record]:
    """Letters without their payloads, the newest first; `settled` adds those that wait no longer.

    `subscription` is a full name, or its last part.
    """
    return await connection.fetch(LIST, settled, subscription, code, limit)


async def find(connection: Connection, letter_id: int) -> asyncpg.Record | None:
    """All of one letter; `payload` and `attributes` are null once it is settled."""
    return await connection.fetchrow(FIND, letter_id)


async def waiting(connection: Connection) -> list[int]:
    """The letters that wait to be settled, the oldest first."""
    return [row["letter_id"] for row in await connection.fetch(WAITING)]


async def count_waiting(connection: Connection) -> int:
    """How many letters wait to be settled."""
    return await connection.fetchval(COUNT_WAITING)


async def note_failure(connection: Connection, letter_id: int, code: str, path: str, reason: str) -> None:
    """The letter was tried again in vain."""
    await connection.execute(FAILED, letter_id, _text(code), _text(path), _text(reason))


async def settle(connection: Connection, letter_id: int, settled_as: Settlement) -> bool:
    """Forget payload, attributes and ordering key, keep the fact; `False` for a letter that does not wait."""
    return await connection.fetchval(SETTLE, letter_id, settled_as) is not None


def _row(letter: DeadLetter) -> tuple[object, ...]:
    return (
        letter.channel,
        _text(letter.subscription),
        _name(letter.message_id),
        _text(letter.code),
        _text(letter.path),
        _text(letter.reason),
        letter.published_at,
        _text(letter.ordering_key),
        letter.wrapped,
        len(letter.payload),
        json.dumps(dict(letter.attributes)),
        letter.payload[:MAX_PAYLOAD],
    )


def _name(message_id: str) -> str:
    """The id, or a digest of one that is longer than Google gives them: it must fit into an index."""
    if len(message_id) <= MAX_MESSAGE_ID:
        return _text(message_id)
    return "sha256:" + hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()


def _text(text: str) -> str:
    """The same as a column can hold it: bounded, without U+0000 and halves of surrogate pairs."""
    return text[:MAX_TEXT].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
