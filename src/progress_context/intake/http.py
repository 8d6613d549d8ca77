"""`POST /events` and `POST /xapi/statements`: bytes in, one outcome per event out."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Protocol, TypeAlias, TypeVar, get_args

import msgspec
import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from progress_context import telemetry
from progress_context.errors import AppendQueueFull, IntakeError, LogError
from progress_context.intake.binary import decode_binary
from progress_context.intake.cloudevents import decode_structured, read_array, read_event
from progress_context.intake.documents import split_array, split_lines
from progress_context.intake.envelope import Parsed, invalid_line
from progress_context.intake.gunzip import Gunzip
from progress_context.intake.xapi import map_statement, read_statement
from progress_context.log.event import NewEvent, Outcome, Status
from progress_context.patience import Patience

LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"}
)
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

T = TypeVar("T")
Response: TypeAlias = tuple[int, bytes, list[tuple[bytes, bytes]]]  # status, JSON, headers beyond the usual

log = structlog.get_logger(__name__)

encode = msgspec.json.Encoder().encode

_APPENDED = {status: telemetry.APPENDED.labels(status) for status in get_args(Status)}


class Headers(dict[str, str]):
    """The headers of a request by lower-case name, and all of them as they came."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


Decode = Callable[[Headers, bytes], tuple[list[Parsed], bool]]


class _Endpoint:
    """An ASGI application as an object, which a route takes for one."""

    def __init__(self, serve: ASGIApp) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._serve(scope, receive, send)


class Submit(Protocol):
    """How events reach the log."""

    def __call__(self, events: Sequence[NewEvent], size: int) -> Awaitable[list[Outcome]]: ...


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
    ) -> None:
        self._submit = submit
        self._max_body = max_body
        self._max_events = max_events
        self._max_skew = max_skew
        self._patience = Patience(read_seconds)
        self._clock = clock

    def endpoints(self) -> dict[str, ASGIApp]:
        """What answers a POST, by path.

        `/events` takes CloudEvents in structured, batch, newline-delimited or binary mode,
        `/xapi/statements` xAPI statements: one, an array, or newline-delimited.
        """
        return {
            "/events": partial(self._serve, self._decode_events),
            "/xapi/statements": partial(self._serve, self._decode_statements),
        }

    def routes(self) -> list[Route]:
        """The same as routes, which answer other methods with 405."""
        return [Route(path, _Endpoint(serve), methods=["POST"]) for path, serve in self.endpoints().items()]

    async def _serve(self, decode: Decode, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            status, body, extra = await self._answer(decode, _headers(scope), receive)
        except Exception:
            log.exception("intake_failed")
            status, body, extra = problem(
                500, "internal_error", "this is our fault; the service's log tells more"
            )
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, decode: Decode, headers: Headers, receive: Receive) -> Response:
        try:
            body = await self._read_in_time(headers, receive)
            parsed, single = decode(headers, body)
            answer = await self._append(parsed, len(body))
        except IntakeError as error:
            return problem(error.status, error.code, error.message, path=error.path)
        except AppendQueueFull as error:
            return problem(429, "queue_full", str(error), retry_after=error.retry_after)
        except LogError as error:
            return problem(503, "log_unavailable", str(error), retry_after=1.0)
        return respond(answer, single=single)

    async def _append(self, parsed: list[Parsed], size: int) -> Answer:
        events = [p for p in parsed if isinstance(p, NewEvent)]
        outcomes = iter(await self._submit(events, size))
        results = [
            _result(p, next(outcomes)) if isinstance(p, NewEvent) else _result(p, p.outcome) for p in parsed
        ]
        counts = Counter(result.status for result in results)
        for status, count in counts.items():
            _APPENDED[status].inc(count)
        if unknown := sum(not event.known for event in events):
            telemetry.UNKNOWN_TYPES.inc(unknown)
        return Answer(counts["stored"], counts["duplicate"], counts["conflict"], counts["invalid"], results)

    def _decode_events(self, headers: Headers, body: bytes) -> tuple[list[Parsed], bool]:
        media_type = _media_type(headers)
        now, skew = self._clock(), self._max_skew
        if "ce-specversion" in headers or "ce-type" in headers or "ce-id" in headers:
            return [decode_binary(headers.pairs, body, now=now, max_skew=skew)], True
        if media_type == BATCH or (media_type == "application/json" and body.lstrip()[:1] == b"["):
            return read_array(body, self._limited(split_array(body)), now + skew), False
        if media_type in LINES:
            lines = self._limited(split_lines(body))
            return [invalid_line(read_event(raw, now + skew), number) for number, raw in lines], False
        if media_type in (STRUCTURED, "application/json"):
            return [decode_structured(body, now=now, max_skew=skew)], True
        raise _unsupported(media_type, f"{STRUCTURED}, {BATCH}, application/x-ndjson or ce-* headers")

    def _decode_statements(self, headers: Headers, body: bytes) -> tuple[list[Parsed], bool]:
        media_type = _media_type(headers)
        now, skew = self._clock(), self._max_skew
        if media_type in LINES:
            lines = self._limited(split_lines(body))
            return [invalid_line(read_statement(raw, now + skew), number) for number, raw in lines], False
        if media_type == "application/json" and body.lstrip()[:1] == b"[":
            return [read_statement(raw, now + skew) for raw in self._limited(split_array(body))], False
        if media_type == "application/json":
            return [map_statement(body, now=now, max_skew=skew)], False
        raise _unsupported(media_type, "application/json or application/x-ndjson")

    async def _read_in_time(self, headers: Headers, receive: Receive) -> bytes:
        try:
            with self._patience.limit():
                return await self._read_body(headers, receive)
        except TimeoutError:
            message = f"the body did not arrive within {self._patience.seconds:g} s"
            raise IntakeError(408, "body_too_slow", message) from None

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise IntakeError(
                415, "unsupported_encoding", f"{encoding!r}: send gzip or no encoding", "content-encoding"
            )
        gunzip = Gunzip() if encoding == "gzip" else None
        parts: list[bytes] = []
        size = received = 0
        async for chunk in _chunks(receive):
            received += len(chunk)
            for part in [chunk] if gunzip is None else gunzip.feed(chunk):
                size += len(part)
                if max(size, received) > self._max_body:
                    raise IntakeError(
                        413, "body_too_large", f"the body is larger than {self._max_body:,} bytes"
                    )
                parts.append(part)
        if gunzip is not None and not gunzip.complete:
            raise IntakeError(400, "bad_gzip", "the gzip body ends too early", "content-encoding")
        return b"".join(parts)

    def _limited(self, items: Iterable[T]) -> list[T]:
        """The items, counted before any is read: millions of tiny ones fit into a body."""
        found = list(islice(items, self._max_events + 1))
        if len(found) > self._max_events:
            raise IntakeError(413, "too_many_events", f"more than {self._max_events:,} events in one request")
        return found


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


def problem(
    status: int, code: str, message: str, *, path: str = "", retry_after: float | None = None
) -> Response:
    """A refusal of the whole request, in one shape."""
    body = {"error": code, "message": message} | ({"path": path} if path else {})
    pause = [(b"retry-after", str(max(1, round(retry_after))).encode())] if retry_after else []
    return status, encode(body), pause


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The parts of a request's body as they arrive."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise IntakeError(400, "body_broke_off", "the body ended before it was complete")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _result(parsed: Parsed, outcome: Outcome) -> Result:
    return Result(outcome.status, parsed.source, parsed.id, outcome.position, outcome.path, outcome.reason)


def _headers(scope: Scope) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])


def _media_type(headers: Headers) -> str:
    return headers.get("content-type", "application/json").split(";")[0].strip().lower()


def _unsupported(media_type: str, wanted: str) -> IntakeError:
    return IntakeError(415, "unsupported_media_type", f"{media_type!r}: send {wanted}", "content-type")
