"""Every error of the project, one tree.

ProgressError
├── SettingsError             a setting is missing or malformed: exit code 2
├── LogError
│   ├── SchemaMismatch        the database is not at the version this code needs
│   ├── LogDamaged            counter row and last position disagree
│   ├── LogUnavailable        PostgreSQL cannot be reached or cannot write now: HTTP 503
│   └── AppendQueueFull       too much waits to be appended: HTTP 429
├── IntakeError               a request cannot be read as events: HTTP 4xx
├── TokenRefused              a bearer token is missing or not accepted: HTTP 401, or 403 for a foreign one
├── ReadModelError            read-model files are wrong: each with file, line, column, rule
├── RelayLost                 another process publishes the log now
├── PubSubRefused             Google Pub/Sub does not do what is asked: exit code 2
├── EngineError
│   ├── CheckpointLost        another worker moved this checkpoint
│   ├── EventPoisoned         one event makes a read model fail
│   ├── BuildUnderWay         another process is rebuilding these read models
│   ├── BuildLost             another process took this rebuild over
│   └── RollbackImpossible    there is no former version to go back to, or it does not fit the rest
├── QueryError                a question that has no answer, with its GraphQL code
└── LocalError                an embedded server does not start
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


class ProgressError(Exception):
    """Anything this project raises on purpose; the message says what is wrong and what to do."""


class SettingsError(ProgressError):
    """A setting is missing or malformed; the message names it."""


class LogError(ProgressError):
    """The event log cannot do what was asked."""


class SchemaMismatch(LogError):
    """The database schema is not the one this code was written for."""


class LogDamaged(LogError):
    """The counter row and the last stored position disagree: the database was changed by hand."""


class LogUnavailable(LogError):
    """PostgreSQL cannot be reached, or cannot write, at the moment. Nothing was acknowledged."""


class AppendQueueFull(LogError):
    """More events wait to be appended than the queue may hold; try again after `retry_after` s."""

    def __init__(self, waiting: int, retry_after: float) -> None:
        super().__init__(f"{waiting} events are waiting to be appended; retry in {retry_after:g} s")
        self.waiting = waiting
        self.retry_after = retry_after


@dataclass
class IntakeError(ProgressError):
    """A request that cannot be read as events: `status` is the HTTP answer, `path` the field."""

    status: int
    code: str
    message: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


@dataclass
class TokenRefused(ProgressError):
    """A bearer token is missing or not accepted; `reason` is for the log, never for the caller.

    `foreign`: it is genuine, but not meant for us.
    """

    reason: str
    foreign: bool = False

    def __str__(self) -> str:
        return "the token is not meant for this service" if self.foreign else "a valid bearer token is needed"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One broken rule of a read-model file, at a line and column counted from 1."""

    file: str
    line: int
    column: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message} [{self.rule}]"


class ReadModelError(ProgressError):
    """Read-model files break rules; `complaints` says which and where, one by one."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        super().__init__("\n".join(str(complaint) for complaint in complaints))
        self.complaints = tuple(complaints)


class RelayLost(ProgressError):
    """Another process publishes the log now, or may: stop, and stand by."""


class PubSubRefused(ProgressError):
    """Google Pub/Sub does not do what is asked of it; the message says what and why."""


class EngineError(ProgressError):
    """The projection engine cannot go on."""


class CheckpointLost(EngineError):
    """Another worker moved the checkpoint: it owns the read models now; stop, do not retry."""


@dataclass
class EventPoisoned(EngineError):
    """One event makes a read model fail; `learner_key` is null for an event of no learner."""

    read_model: str
    position: int
    type: str
    learner_key: int | None
    reason: str

    def __str__(self) -> str:
        whose = "no learner" if self.learner_key is None else f"learner {self.learner_key}"
        return (
            f"{self.read_model} cannot take the event at position {self.position}"
            f" ({self.type}, of {whose}): {self.reason}"
        )


@dataclass
class BuildUnderWay(EngineError):
    """Another process is rebuilding some of these read models; `beat_at` is when it gave a sign of life."""

    read_models: Sequence[str]
    beat_at: datetime

    def __str__(self) -> str:
        return f"another process is rebuilding {', '.join(self.read_models)}; nothing was changed"


class BuildLost(EngineError):
    """Another process took this rebuild over; what was done so far is not lost."""


class RollbackImpossible(EngineError):
    """There is no former version to go back to, or it does not fit the rest; the message says which."""


@dataclass
class QueryError(ProgressError):
    """A question without an answer; `code` is the stable GraphQL error code."""

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


class LocalError(ProgressError):
    """An embedded server does not start or stop."""
