"""`POST /events` and `POST /xapi/statements`: bytes in, one outcome per event out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args

import msgspec
from starlette.routing import Route
from starlette.types import ASGIApp, Receive

from progress_context import telemetry
from progress_context.intake.answers import Endpoint, Response, encode
from progress_context.intake.binary import decode_binary
from progress_context.intake.body import BodyReader, Headers
from progress_context.intake.documents import split_array, split_lines
from progress_context.intake.envelope import Parsed, invalid_line
from progress_context.intake.modes import LINES, decode_events, limited, media_type, unsupported
from progress_context.intake.senders import Senders
from progress_context.intake.trace_context import with_trace
from progress_context.intake.xapi import map_statement, read_statement
from progress_context.log.event import NewEvent, Outcome, Status
from progress_context.log.group_commit import Submit

_APPENDED = {str(status): telemetry.APPENDED.labels(status) for status in get_args(Status)}

Decode = Callable[[Headers, bytes], tuple[list[Parsed], bool]]


class Result(msgspec.Struct, omit_defaults=True):
    """The answer for one event of a request, in the order of the request."""

    status: str
    source: str | None = None
    id: str | None = None
    position: int | None = None
    path: str | None = None
    reason: str | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    """The answer for a request: how many of each status, and one result per event."""

    stored: int
    duplicate: int
    conflict: int
    invalid: int
    results: list[Result]


class Intake:
    """The HTTP face of the log; `clock` and the limits are passed in."""

    def __init__(
        self,
        submit: Submit,
        *,
        max_body: int,
        max_events: int,
        max_skew: timedelta,
        read_seconds: float = 60.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        senders: Senders | None = None,
    ) -> None:
        self._submit = submit
        self._senders = senders or Senders()
        self._max_events = max_events
        self._max_skew = max_skew
        self._bodies = BodyReader(max_body, read_seconds)
        self._clock = clock

    def endpoints(self) -> dict[str, ASGIApp]:
        """What answers a POST, by path.

        `/events` takes CloudEvents in structured, batch, newline-delimited or binary mode,
        `/xapi/statements` xAPI statements: one, an array, or newline-delimited.
        """
        return {
            "/events": Endpoint(partial(self._answer, self._decode_events)),
            "/xapi/statements": Endpoint(partial(self._answer, self._decode_statements)),
        }

    def routes(self) -> list[Route]:
        """The same as routes, which answer other methods with 405."""
        return [Route(path, serve, methods=["POST"]) for path, serve in self.endpoints().items()]

    async def _answer(self, decode: Decode, headers: Headers, receive: Receive) -> Response:
        if (refusal := await self._senders.refuse(headers)) is not None:
            return refusal
        body = await self._bodies.read(headers, receive)
        parsed, single = decode(headers, body)
        return respond(await self._append(parsed, len(body), headers), single=single)

    async def _append(self, parsed: list[Parsed], size: int, headers: Headers) -> Answer:
        events = with_trace([p for p in parsed if isinstance(p, NewEvent)], headers)
        outcomes = iter(await self._submit(events, size))
        results = [
            _result(p, next(outcomes)) if isinstance(p, NewEvent) else _result(p, p.outcome) for p in parsed
        ]
        counts = dict.fromkeys(_APPENDED, 0)
        for result in results:
            counts[result.status] += 1
        for status, count in counts.items():
            if count:
                _APPENDED[status].inc(count)
        if unknown := sum(not event.known for event in events):
            telemetry.UNKNOWN_TYPES.inc(unknown)
        return Answer(results=results, **counts)

    def _decode_events(self, headers: Headers, body: bytes) -> tuple[list[Parsed], bool]:
        now, skew = self._clock(), self._max_skew
        return decode_events(
            headers,
            body,
            lambda: decode_binary(headers.pairs, body, now=now, max_skew=skew),
            now=now,
            max_skew=skew,
            max_events=self._max_events,
        )

    def _decode_statements(self, headers: Headers, body: bytes) -> tuple[list[Parsed], bool]:
        kind, most = media_type(headers), self._max_events
        now, skew = self._clock(), self._max_skew
        if kind in LINES:
            lines = limited(split_lines(body), most)
            return [invalid_line(read_statement(raw, now + skew), number) for number, raw in lines], False
        if kind == "application/json" and body.lstrip()[:1] == b"[":
            return [read_statement(raw, now + skew) for raw in limited(split_array(body), most)], False
        if kind == "application/json":
            return [map_statement(body, now=now, max_skew=skew)], False
        raise unsupported(kind, "application/json or application/x-ndjson")


def respond(answer: Answer, *, single: bool) -> Response:
    """201 stored · 200 known already · 207 mixed · 409 conflict · 422 nothing could be stored."""
    accepted = answer.stored + answer.duplicate
    refused = answer.conflict + answer.invalid
    if not refused:
        status = 201 if answer.stored else 200
    elif accepted:
        status = 207
    else:
        status = 422 if answer.invalid else 409
    return status, encode(answer.results[0] if single else answer), []


def _result(parsed: Parsed, outcome: Outcome) -> Result:
    return Result(outcome.status, parsed.source, parsed.id, outcome.position, outcome.path, outcome.reason)
