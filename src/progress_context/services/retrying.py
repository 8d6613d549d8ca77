"""Dead letters go through the very same intake once more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from asyncpg import Record

from progress_context.intake.messages import MessageIntake, Verdict
from progress_context.intake.pubsub_message import Message
from progress_context.log import dead_letters
from progress_context.log.database import Pool, acquire
from progress_context.log.dead_letters import DeadLetter
from progress_context.log.event import NewEvent, Outcome
from progress_context.services.command import appender
from progress_context.services.receiving import limits_of
from progress_context.settings import Settings


class Correction(NamedTuple):
    """What a person changes: the data of the message, and attributes, of which an empty one is removed."""

    payload: bytes | None
    attributes: Mapping[str, str]

    def __bool__(self) -> bool:
        return self.payload is not None or bool(self.attributes)


class Retried(NamedTuple):
    """What became of a letter, in words."""

    settled: bool
    text: str


async def retry_letters(
    pool: Pool, settings: Settings, letters: Sequence[int], correction: Correction
) -> AsyncIterator[tuple[int, Retried]]:
    """Try each letter, or all that wait when none is named; its events are in the log, or it waits on.

    Raises LogUnavailable when the database is away.
    """
    append = appender(pool, settings).append

    async def submit(events: Sequence[NewEvent], size: int) -> list[Outcome]:
        return await append(events) if events else []

    async def keep(refused: Sequence[DeadLetter]) -> None:
        """They are kept already."""

    intake = MessageIntake(submit, keep, limits_of(settings))
    if not letters:
        async with acquire(pool) as connection:
            letters = await dead_letters.waiting(connection)
    for letter in letters:
        yield letter, await _retry(pool, intake, letter, correction)


async def _retry(pool: Pool, intake: MessageIntake, letter: int, correction: Correction) -> Retried:
    async with acquire(pool) as connection:
        row = await dead_letters.find(connection, letter)
    if row is None:
        return Retried(False, "there is no such letter")
    if row["settled_as"]:
        return Retried(True, f"was {row['settled_as']} already")
    (verdict,) = await intake.take([_message(row, correction)])
    async with acquire(pool) as connection:
        if verdict.refusal:
            why = verdict.refusal
            await dead_letters.note_failure(connection, letter, why.code, why.path, why.reason)
        else:
            await dead_letters.settle(connection, letter, "edited" if correction else "stored")
    return Retried(verdict.refusal is None, _in_words(verdict))


def _message(row: Record, correction: Correction) -> Message:
    attributes = json.loads(row["attributes"]) | dict(correction.attributes)
    return Message(
        channel=row["channel"],
        subscription=row["subscription"],
        message_id=row["message_id"],
        data=row["payload"] if correction.payload is None else correction.payload,
        attributes={name: value for name, value in attributes.items() if value},
        ordering_key=row["ordering_key"],
        published_at=row["published_at"],
        wrapped=row["wrapped"] and correction.payload is None,
    )


def _in_words(verdict: Verdict) -> str:
    if verdict.refusal:
        place = f"{verdict.refusal.path}: " if verdict.refusal.path else ""
        return f"still refused: {verdict.refusal.code}: {place}{verdict.refusal.reason}"
    done = [f"{outcome.status} at position {outcome.position:,}" for outcome in verdict.outcomes[:3]]
    rest = len(verdict.outcomes) - len(done)
    return ", ".join(done) + (f" and {rest:,} more" if rest else "") if done else "held no event"
