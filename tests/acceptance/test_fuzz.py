"""Random bytes, random JSON and mutilated events: never a 5xx, and `stored` always means stored, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acceptance.system import (
    BATCH,
    LINES,
    SOURCE,
    System,
    array,
    checkpoints,
    head,
    judged,
    names_in_log,
    serial,
    text,
)
from waiting import eventually

MEDIA_TYPES = ["application/json", BATCH, LINES, "application/cloudevents+json", "text/plain", ""]
PATHS = ["/events", "/xapi/statements"]
quick = settings(
    max_examples=150,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["2026-03-01T12:00:00Z", "1.0", "Europe/Berlin", "\0", "\ud800", "learner-1", "1e400"])
)
names = st.text(max_size=8) | st.sampled_from(["id", "source", "data", "item_id", "verb", "actor", "time"])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
NAME = "name-000000"  # exchanged for a new name of the same length just before an event is sent
TIME = "2026-03-01T12:00:00Z"
valid = st.sampled_from([
    ("learning.CorrectnessJudged", {"item_id": "i", "judgment": "AutoConfirmed", "response_time_ms": 900}),
    ("learning.SessionCompleted", {"session_id": "s", "total_items": 3, "correct_count": 1}),
    ("learning.EventVoided", {"source": SOURCE, "id": "name-000001"}),
    ("user.PreferencesUpdated", {"time_zone": "Asia/Kathmandu", "day_rollover_hour": 4}),
    ("algorithm.ReviewScheduled", {"item_id": "i", "next_review_at": TIME, "interval_days": 1}),
    ("vocabulary.ItemPublished", {"item_id": "learner-0", "spelling": "x", "level": "A1"}),
])  # fmt: skip


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """A valid event with a few members exchanged, added or left out, or with a few bytes changed."""
    type_, data = draw(valid)
    event = judged(id=NAME, subject="learner-0", time=TIME, type=type_, data=dict(data))
    for _ in range(draw(st.integers(0, 2))):
        target = event["data"] if draw(st.booleans()) and isinstance(event.get("data"), dict) else event
        name = draw(st.sampled_from(sorted(target)) if target else names)
        if draw(st.booleans()):
            target[name] = draw(documents)
        else:
            target.pop(name, None)
    body = bytearray(text(event))
    for _ in range(draw(st.integers(0, 2))):
        body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    return bytes(body)


def named(event: bytes) -> bytes:
    """The event under a name nobody used before, unless a mutation has hit the old one."""
    return event.replace(NAME.encode(), f"name-{next(serial):06}".encode())


class Fuzzed:
    """Posts whatever comes, and remembers what was answered."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._client = httpx.Client(base_url=system.url, timeout=30)
        self._before = head(system.database)
        self.stored: list[tuple[str, str, int]] = []

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        answer = self._client.post(path, content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        told = answer.json() if answer.status_code in (200, 201, 207, 409, 422) else {}
        for result in told.get("results", [told]):
            if result.get("status") == "stored":
                self.stored.append((result["source"], result["id"], result["position"]))

    def check(self) -> None:
        """Everything answered `stored` is in the log at that position, and nothing else came in."""
        self._client.close()
        names = names_in_log(self._system.database)
        assert all(names[source, event_id] == [position] for source, event_id, position in self.stored)
        assert head(self._system.database) == self._before + len(self.stored)
        eventually(lambda: checkpoints(self._system.database) == {head(self._system.database)}, timeout=10)


@pytest.fixture
def fuzzed(system: System) -> Iterator[Fuzzed]:
    fuzzed = Fuzzed(system)
    yield fuzzed
    fuzzed.check()


@quick
@given(
    st.binary(max_size=300),
    st.sampled_from(PATHS),
    st.sampled_from(MEDIA_TYPES),
    st.sampled_from(["identity", "gzip", "GZIP", "br"]),
)
def test_random_bytes(fuzzed: Fuzzed, body: bytes, path: str, media_type: str, encoding: str) -> None:
    fuzzed.post(path, body, {"content-type": media_type, "content-encoding": encoding})


@quick
@given(documents, st.sampled_from(PATHS), st.sampled_from(MEDIA_TYPES[:4]))
def test_random_json(fuzzed: Fuzzed, document: Any, path: str, media_type: str) -> None:
    fuzzed.post(path, json.dumps(document).encode(), {"content-type": media_type})


@quick
@given(st.lists(mutilated(), min_size=1, max_size=4), st.sampled_from(["array", "lines", "single"]))
def test_mutilated_events(fuzzed: Fuzzed, events: list[bytes], mode: str) -> None:
    events = [named(event) for event in events]
    if mode == "array":
        fuzzed.post("/events", array(events), {"content-type": BATCH})
    elif mode == "lines":
        fuzzed.post("/events", b"\n".join(events), {"content-type": LINES})
    else:
        fuzzed.post("/events", events[0], {"content-type": "application/cloudevents+json"})


@quick
@given(
    st.dictionaries(
        st.sampled_from(["ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-timezone", "ce-x"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=30),
    ),
    st.sampled_from(MEDIA_TYPES),
    documents,
)
def test_random_headers(fuzzed: Fuzzed, headers: dict[str, str], media_type: str, document: Any) -> None:
    valid = judged()
    names = ("specversion", "id", "source", "type", "time", "subject")
    known = {f"ce-{name}": valid[name] for name in names}
    sent = known | headers | {"content-type": media_type}
    encoded = {name: value.encode("latin-1") for name, value in sent.items()}
    fuzzed.post("/events", json.dumps(document).encode(), encoded)  # pyright: ignore[reportArgumentType] - httpx takes bytes
