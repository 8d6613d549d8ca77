"""Traces: nothing when off; parts, links and ids when on; what a request says travels with its events."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from collector import Collector
from ports import free_port
from progress_context import tracing
from progress_context.intake.trace_context import with_trace
from progress_context.log.event import NewEvent

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def event(context: dict[str, Any] | None = None) -> NewEvent:
    text = None if context is None else json.dumps(context, separators=(",", ":"))
    return NewEvent("urn:t", "e1", "learning.SessionStarted", 1, "ada", None, None, "{}", text)


def context_of(found: NewEvent) -> dict[str, Any]:
    return {} if found.context is None else json.loads(found.context)


@pytest.fixture(autouse=True)
def no_standard_address(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tracing.STANDARD:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that this process traces to."""
    with Collector() as collector:
        tracing.configure("test-service", collector.url)
        yield collector
        tracing.shutdown()


def test_without_an_address_nothing_is_loaded_and_nothing_is_done() -> None:
    script = (
        "import sys\n"
        "from progress_context import tracing\n"
        "tracing.configure('x')\n"
        "def links(): raise AssertionError('links are not asked for')\n"
        "with tracing.span('a', links=(links() for _ in [1]), position=1) as span: span.set(events=2)\n"
        "assert not tracing.enabled() and tracing.trace_id() is None and tracing.traceparent() is None\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_span_is_part_of_the_trace_of_its_request(collector: Collector) -> None:
    with tracing.span("request", kind="server", parent={"traceparent": TRACEPARENT}):
        assert tracing.trace_id() == TRACE
        with tracing.span("inner", position=7, learner_key=3, absent=None):
            pass
    tracing.shutdown()
    inner, request = collector.spans
    assert (request.service, request.kind, request.trace, request.parent) == (
        "test-service",
        2,
        TRACE,
        PARENT,
    )
    assert (inner.trace, inner.parent) == (TRACE, request.span)
    assert inner.attributes == {"progress.position": 7, "progress.learner_key": 3}


@pytest.mark.parametrize("sent", ["", "rubbish", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01"])
def test_a_malformed_trace_context_begins_a_new_trace(collector: Collector, sent: str) -> None:
    with tracing.span("request", kind="server", parent={"traceparent": sent}, links=[sent]):
        pass
    tracing.shutdown()
    assert collector.spans[0].parent == ""
    assert collector.spans[0].links == frozenset()


def test_links_are_distinct_and_bounded(collector: Collector) -> None:
    traces = [f"00-{number:032x}-{PARENT}-01" for number in range(1, 100)]
    with tracing.span("append", links=[TRACEPARENT, *traces, TRACEPARENT]):
        pass
    tracing.shutdown()
    assert len(collector.spans[0].links) == tracing.MAX_LINKS
    assert TRACE in collector.spans[0].links


def test_an_error_is_noted_by_its_type_alone(collector: Collector) -> None:
    with pytest.raises(ValueError, match="ada"), tracing.span("append"):
        raise ValueError("learner ada is secret")
    tracing.shutdown()
    assert collector.spans[0].failed
    assert b"ada" not in b"".join(collector.bodies)
    assert b"ValueError" in b"".join(collector.bodies)


def test_the_standard_variable_names_the_collector_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracing.configure("test-service")
        with tracing.span("a"):
            pass
        tracing.shutdown()
        assert [span.name for span in collector.spans] == ["a"]


def test_a_collector_that_is_away_does_not_keep_a_service_from_ending() -> None:
    script = (
        "import sys, time\n"
        "from progress_context import tracing\n"
        f"tracing.configure('x', 'http://127.0.0.1:{free_port()}')\n"
        "with tracing.span('a'): pass\n"
        "began = time.monotonic()\n"
        "tracing.shutdown()\n"
        "assert time.monotonic() - began < tracing.FLUSH_SECONDS + 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)


def test_events_carry_the_trace_of_their_request() -> None:
    bare, with_context, with_own = event(), event({"timezone": "UTC"}), event({"traceparent": "own"})
    headers = {"traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    found = [context_of(e) for e in with_trace([bare, with_context, with_own], headers)]
    told = {"traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    assert found == [told, {"timezone": "UTC", **told}, {"traceparent": "own"}]
    assert list(tracing.traceparents_in([e.context for e in with_trace([bare, with_own], headers)])) == [
        TRACEPARENT
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "00-nonsense"},
        {"traceparent": f"00-{'0' * 32}-{PARENT}-01"},
        {"tracestate": "a=1"},
    ],
)
def test_without_a_trace_events_stay_as_they_are(headers: dict[str, str]) -> None:
    events = [event(), event({"timezone": "UTC"})]
    assert with_trace(events, headers) is events


@pytest.mark.parametrize("state", ["x" * 513, "a=\x00", "a=\u00e9"])
def test_a_state_that_is_none_is_left_out(state: str) -> None:
    (found,) = with_trace([event()], {"traceparent": TRACEPARENT, "tracestate": state})
    assert context_of(found) == {"traceparent": TRACEPARENT}


def test_events_name_the_span_that_received_them_while_traces_are_on(collector: Collector) -> None:
    with tracing.span("POST /events", kind="server", parent={"traceparent": TRACEPARENT}):
        (found,) = with_trace([event()], {"traceparent": TRACEPARENT})
    tracing.shutdown()
    assert context_of(found)["traceparent"] == f"00-{TRACE}-{collector.spans[0].span}-01"
