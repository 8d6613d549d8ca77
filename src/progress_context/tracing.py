"""Traces for an OpenTelemetry collector: spans of requests, commits and pages, never of single events.

Off until `configure` finds an address; then `span` costs one look at a variable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import islice
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from progress_context import __version__

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

MAX_LINKS = 32  # of one span: a large group is an example of its events, not their list
LOOKED_AT = 1_000  # events whose traces are looked for
MAX_TEXT = 256
FLUSH_SECONDS = 2.0
STANDARD = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_IN_CONTEXT = re.compile(rf'"traceparent": ?"({TRACEPARENT.pattern})"')

Kind = Literal["internal", "server", "producer", "consumer"]
Attribute = str | int | float | bool


class Span(Protocol):
    """One piece of work; `set` says what is known of it: positions, counts, keys, never a learner's id."""

    def set(self, **attributes: Attribute | None) -> None: ...


class _Off:
    """The span of a service that traces nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def set(self, **attributes: Attribute | None) -> None:
        return None


class _Recorded:
    """A span that is current for a block; an error that leaves the block is noted by its type alone."""

    __slots__ = ("_current", "_span")

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> Self:
        from opentelemetry.trace import use_span

        self._current = use_span(
            self._span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )
        self._current.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        from opentelemetry.trace import StatusCode

        if kind is not None:
            self._span.set_status(StatusCode.ERROR, kind.__name__)
        self._current.__exit__(kind, error, traceback)

    def set(self, **attributes: Attribute | None) -> None:
        for name, value in attributes.items():
            if value is not None:
                shown = value[:MAX_TEXT] if isinstance(value, str) else value  # senders choose some names
                self._span.set_attribute(f"progress.{name}", shown)


_OFF = _Off()
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None


def configure(service: str, endpoint: str = "") -> None:
    """Send spans to the collector at `endpoint` (OTLP over HTTP), or where the standard variables say.

    Without either nothing is loaded and nothing is traced. Sampling, headers and time limits follow the
    standard `OTEL_…` variables.
    """
    global _provider, _tracer
    if not endpoint and not any(os.environ.get(name) for name in STANDARD):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": service, "service.version": __version__})
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("progress_context", __version__)


def shutdown() -> None:
    """Send what is left and trace nothing more; a collector that does not answer is waited for briefly."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        sending = Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_SECONDS)


def enabled() -> bool:
    """Whether spans are recorded: ask before gathering what only they need."""
    return _tracer is not None


def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: Mapping[str, str] | None = None,
    links: Iterable[str] = (),
    **attributes: Attribute | None,
) -> AbstractContextManager[Span]:
    """A span for a block of work, below the current one.

    `parent` holds the headers of a request: its `traceparent`, if any, comes before the current span.
    `links` are the traceparents of the events concerned; the first 32 different ones count, and nothing
    is taken from the iterable when tracing is off.
    """
    if _tracer is None:
        return _OFF
    from opentelemetry.trace import SpanKind

    started = _Recorded(
        _tracer.start_span(
            name,
            context=_extracted(parent) if parent and "traceparent" in parent else None,
            kind=SpanKind[kind.upper()],
            links=[_link(found) for found in _distinct(links)],
        )
    )
    started.set(**attributes)
    return started


def headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """The trace context among the headers of an ASGI request; nothing when tracing is off."""
    if _tracer is None:
        return {}
    names = {b"traceparent", b"tracestate"}
    return {
        name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name.lower() in names
    }


def traceparent() -> str | None:
    """The current span as others may name it; `None` when there is none that is recorded."""
    context = _current()
    if context is None or not context.trace_flags.sampled:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def trace_id() -> str | None:
    """The trace of the current span, for log lines."""
    context = _current()
    return None if context is None else f"{context.trace_id:032x}"


def traceparents_in(contexts: Iterable[str | None]) -> Iterator[str]:
    """The traceparents in the context attributes (JSON) of events; of the first 1,000 events only."""
    for context in islice(contexts, LOOKED_AT):
        if context is not None and (found := _IN_CONTEXT.search(context)):
            yield found[1]


def _current() -> trace.SpanContext | None:
    if _tracer is None:
        return None
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return context if context.is_valid else None


def _distinct(links: Iterable[str]) -> list[re.Match[str]]:
    found: dict[str, re.Match[str]] = {}
    for link in links:
        if match := TRACEPARENT.fullmatch(link):
            found.setdefault(link, match)
        if len(found) == MAX_LINKS:
            break
    return list(found.values())


def _link(found: re.Match[str]) -> trace.Link:
    from opentelemetry.trace import Link, SpanContext, TraceFlags

    flags = TraceFlags(int(found[3], 16))
    return Link(SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags))


def _extracted(headers: Mapping[str, str]) -> Context | None:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
    return TraceContextTextMapPropagator().extract(carrier)
