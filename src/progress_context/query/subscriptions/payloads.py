"""Payloads: computed once for everyone who wants the same of a learner from the same position on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from graphql import ExecutionResult, execute_sync

from progress_context import telemetry
from progress_context.query.execute import Executor
from progress_context.query.responses import formatted
from progress_context.query.subscriptions.looks import MILESTONES_AT_ONCE, Look, Looker
from progress_context.query.subscriptions.rewriting import Rewritten
from progress_context.query.subscriptions.stream import MILESTONE, Stream

MOST_DAYS = 366
TRANSIENT = ("UNAVAILABLE", "POSITION_TIMEOUT", "QUERY_TIMEOUT")

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Payload:
    """A response as JSON, and the position it brings a client to."""

    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Payloads:
    """What there is to send, in order. `upto` is the position that is dealt with.

    `shown` is what decides whether a streak changed, else empty.
    """

    payloads: Sequence[Payload]
    upto: int
    shown: bytes = b""


class NotNow(Exception):
    """The payload cannot be computed at the moment."""


class PayloadRefused(Exception):
    """The payload can never be computed; `errors` is the JSON list for the client."""

    def __init__(self, errors: str) -> None:
        super().__init__(errors)
        self.errors = errors


class _Reply(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    errors: list[dict[str, Any]] | None = None


_read = msgspec.json.Decoder(_Reply).decode


class Composer:
    """Computes payloads."""

    def __init__(self, executor: Executor, looker: Looker) -> None:
        self._executor = executor
        self._looker = looker

    async def compose(self, stream: Stream, after: int, look: Look) -> Payloads:
        """What a look brings behind `after`; raises NotNow, PayloadRefused, LogUnavailable."""
        telemetry.LIVE_COMPUTED.labels(stream.field).inc()
        query = stream.selected.query
        if query is None:
            return await self._milestones(stream, after, look)
        variables = self._variables(stream, query, look)
        # Computed once for everyone and never asked again for this position, so the cache has no use for it.
        reply = _read((await self._executor.respond(query.text, variables, fresh=True)).body)
        if reply.data is None:
            _refuse(reply.errors or [])
        return _composed(stream, query, look, reply)

    def _variables(self, stream: Stream, query: Rewritten, look: Look) -> dict[str, Any]:
        values = {name: stream.variables[name] for name in query.variables if name in stream.variables}
        own: dict[str, Any] = {"user": stream.user_id, "position": look.position}
        if look.first_day is not None and look.last_day is not None:
            first = max(look.first_day, look.last_day - timedelta(days=MOST_DAYS - 1))
            own |= {"from": first.isoformat(), "to": look.last_day.isoformat()}
        return values | {query.own[purpose]: value for purpose, value in own.items()}

    async def _milestones(self, stream: Stream, after: int, look: Look) -> Payloads:
        assert stream.field == MILESTONE
        assert look.learner_key is not None
        told = await self._looker.milestones(look.learner_key, after, look.position)
        schema = (await self._executor.served()).schema
        selected = stream.selected
        payloads: list[Payload] = []
        for milestone in told:
            position = milestone["position"]
            value = {"position": position, "userId": stream.user_id, "milestone": milestone}
            result = execute_sync(
                schema,
                selected.document.node,
                root_value={selected.field: value},
                variable_values=dict(stream.variables),
                operation_name=selected.operation.name.value if selected.operation.name else None,
            )
            payloads.append(Payload(position, _response(result, position)))
        upto = told[-1]["position"] if len(told) == MILESTONES_AT_ONCE else look.position
        return Payloads(payloads, upto)


def _composed(stream: Stream, query: Rewritten, look: Look, reply: _Reply) -> Payloads:
    """The answer of a query as the payload of a subscription."""
    data = reply.data
    assert data is not None
    shown = bytes(data.pop(query.compared, b""))
    told = {"position": look.position, "userId": stream.user_id, "__typename": _type_name(stream.field)}
    told |= {"changedFrom": look.first_day, "changedTo": look.last_day}
    for key, name in query.constants.items():
        if key in data:
            data[key] = msgspec.Raw(encode(told[name]))
    response: dict[str, Any] = {"data": {stream.selected.key: data}}
    if reply.errors:
        errors = [error | {"path": [stream.selected.key, *error.get("path", ())]} for error in reply.errors]
        response = {"errors": errors, **response}
    response["extensions"] = {"position": look.position}
    return Payloads([Payload(look.position, encode(response).decode())], look.position, shown)


def _type_name(field: str) -> str:
    return {"progressUpdated": "ProgressUpdate", "streakUpdated": "StreakUpdate"}[field]


def _refuse(errors: list[dict[str, Any]]) -> None:
    codes = {error.get("extensions", {}).get("code") for error in errors}
    if codes <= set(TRANSIENT):
        raise NotNow(", ".join(str(error.get("message")) for error in errors))
    raise PayloadRefused(json.dumps(errors, ensure_ascii=False, separators=(",", ":")))


def _response(result: ExecutionResult, position: int) -> str:
    response: dict[str, Any] = {"data": result.data, "extensions": {"position": position}}
    if result.errors:
        response = {"errors": [formatted(error) for error in result.errors], **response}
    return encode(response).decode()
