"""Messages become events in the log, or dead letters: only then may they be acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias, get_args

import asyncpg
import msgspec
import structlog

from progress_context import telemetry
from progress_context.errors import IntakeError, ProgressError
from progress_context.intake.envelope import Parsed
from progress_context.intake.pubsub_message import (
    Limits,
    Message,
    Refusal,
    decode_message,
    judge,
    refusal_of,
)
from progress_context.intake.pubsub_push import unwrap
from progress_context.intake.trace_context import with_trace
from progress_context.log.database import UNAVAILABLE, Pool, acquire
from progress_context.log.dead_letters import DeadLetter, bury
from progress_context.log.event import NewEvent, Outcome, Status
from progress_context.log.group_commit import Submit

# What an event can do to a statement; every other error of the database is no message's fault.
POISON = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.RaiseError,
)

Bury: TypeAlias = Callable[[Sequence[DeadLetter]], Awaitable[None]]

log = structlog.get_logger(__name__)

_APPENDED = {status: telemetry.APPENDED.labels(status) for status in get_args(Status)}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of a message: one outcome per event, and why it is a dead letter now, if it is one."""

    outcomes: Sequence[Outcome]
    refusal: Refusal | None = None


class MessageIntake:
    """Takes messages from wherever they come; `submit` appends, `bury` keeps dead letters."""

    def __init__(
        self,
        submit: Submit,
        bury: Bury,
        limits: Limits,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._submit = submit
        self._bury = bury
        self._limits = limits
        self._clock = clock

    async def take(self, messages: Sequence[Message]) -> list[Verdict]:
        """Append the events of `messages` in order; what cannot be stored becomes a dead letter.

        Raises an error when the log or its database cannot answer now. Nothing may be acknowledged
        then, and all can be given again: what is stored already counts as duplicate.
        """
        verdicts = await self._judge(messages)
        letters = [
            dead_letter(message, verdict.refusal)
            for message, verdict in zip(messages, verdicts, strict=True)
            if verdict.refusal
        ]
        if letters:
            await self._bury(letters)
        _count(messages, verdicts)
        return verdicts

    async def _judge(self, messages: Sequence[Message]) -> list[Verdict]:
        """The verdicts; a message that an error is about is found by halving, and refused."""
        try:
            return await self._append(messages)
        except Exception as error:
            if not is_fault_of_message(error):
                raise
            if len(messages) == 1:
                log.exception("message_poisoned", message_id=messages[0].message_id)
                return [Verdict([], Refusal("poison", "", f"{type(error).__name__}: {error}"))]
        half = len(messages) // 2
        return await self._judge(messages[:half]) + await self._judge(messages[half:])

    async def _append(self, messages: Sequence[Message]) -> list[Verdict]:
        read = [self._read(message) for message in messages]
        events = [
            event
            for message, each in zip(messages, read, strict=True)
            for event in with_trace(_valid(each), message.attributes)
        ]
        said = iter(await self._submit(events, sum(len(message.data) for message in messages)))
        if unknown := sum(not event.known for event in events):
            telemetry.UNKNOWN_TYPES.inc(unknown)
        return [_verdict(each, said) for each in read]

    def _read(self, message: Message) -> list[Parsed] | Refusal:
        try:
            inner = unwrap(message.data) if message.wrapped else message
            return decode_message(inner, self._clock(), self._limits)
        except IntakeError as error:
            return refusal_of(error)


def is_fault_of_message(error: Exception) -> bool:
    """Whether an error says something about an event, not about the log, the database or the service."""
    if isinstance(error, POISON):
        return True
    return not isinstance(error, (ProgressError, asyncpg.PostgresError, *UNAVAILABLE))


def buried_in(pool: Pool) -> Bury:
    """Keep dead letters in this database; raises LogUnavailable."""

    async def keep(letters: Sequence[DeadLetter]) -> None:
        async with acquire(pool) as connection:
            await bury(connection, letters)

    return keep


def dead_letter(message: Message, refusal: Refusal) -> DeadLetter:
    """A refused message, as it is kept."""
    return DeadLetter(
        channel=message.channel,
        subscription=message.subscription,
        message_id=message.message_id,
        ordering_key=message.ordering_key,
        published_at=message.published_at,
        wrapped=message.wrapped,
        attributes=message.attributes,
        payload=message.data,
        code=refusal.code,
        path=refusal.path,
        reason=refusal.reason,
    )


def _valid(read: list[Parsed] | Refusal) -> list[NewEvent]:
    return [] if isinstance(read, Refusal) else [each for each in read if isinstance(each, NewEvent)]


def _verdict(read: list[Parsed] | Refusal, said: Iterator[Outcome]) -> Verdict:
    if isinstance(read, Refusal):
        return Verdict([], read)
    outcomes = [next(said) if isinstance(each, NewEvent) else each.outcome for each in read]
    return Verdict(outcomes, judge(outcomes))


def _count(messages: Sequence[Message], verdicts: Sequence[Verdict]) -> None:
    for message, verdict in zip(messages, verdicts, strict=True):
        for outcome in verdict.outcomes:
            _APPENDED[outcome.status].inc()
        became = "dead_letter" if verdict.refusal else "stored"
        telemetry.INTAKE_SETTLED.labels(short_name(message.subscription), became).inc()


def short_name(subscription: str) -> str:
    """The last part of a subscription's name, for metrics and people."""
    return subscription.rpartition("/")[2][:100]
