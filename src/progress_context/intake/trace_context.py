"""The trace of a request travels with its events, so that what is done with them later can be linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from progress_context import tracing
from progress_context.log.event import NewEvent

MAX_STATE = 512

_encode = msgspec.json.Encoder().encode


def with_trace(events: Sequence[NewEvent], headers: Mapping[str, str]) -> Sequence[NewEvent]:
    """The same events; those that name no trace of their own carry that of the request, if it has one.

    `headers` may be the headers of an HTTP request or the attributes of a message: `traceparent` and
    `tracestate` count. What is not of the form W3C gives it is left out.
    """
    members = _members(headers)
    return [_carrying(event, members) for event in events] if members else events


def _members(headers: Mapping[str, str]) -> str:
    """`"traceparent":"…"`, with the state if there is one: the innermost span known, or what was sent."""
    sent = headers.get("traceparent", "")
    parent = tracing.traceparent() or (sent if tracing.TRACEPARENT.fullmatch(sent) else None)
    if parent is None:
        return ""
    context = {"traceparent": parent}
    state = headers.get("tracestate", "") if sent else ""
    if 0 < len(state) <= MAX_STATE and state.isascii() and state.isprintable():
        context["tracestate"] = state
    return _encode(context)[1:-1].decode()


def _carrying(event: NewEvent, members: str) -> NewEvent:
    if event.context is None:
        return msgspec.structs.replace(event, context=f"{{{members}}}")
    if '"traceparent"' in event.context:
        return event
    return msgspec.structs.replace(event, context=f"{event.context[:-1]},{members}}}")
