"""The events this service sends itself: their shape stays, and nobody else may send them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from progress_context.intake.catalogue import SENT, describe_types
from progress_context.intake.cloudevents import decode_structured
from progress_context.intake.envelope import InvalidEvent

GOLDEN = Path(__file__).parents[1] / "golden/sent"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.v1.json").read_text(encoding="utf-8"))


def sent_by_another(**changes: object) -> InvalidEvent:
    event = {
        "specversion": "1.0", "id": "e1", "source": "https://app.example", "type": "learning.ActivityRecorded",
        "subject": "learner-1", "time": "2026-03-01T12:00:00Z", "data": {"activity_id": "a", "verb": "read"},
    }  # fmt: skip
    refused = decode_structured(json.dumps(event | changes).encode(), now=NOW)
    assert isinstance(refused, InvalidEvent)
    return refused


def test_every_version_of_every_type_sent_has_a_golden_file() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.v{version}.json" for name, version in SENT}


@pytest.mark.parametrize("name", [name for name, _ in SENT])
def test_what_was_sent_once_reads_the_same_for_ever(name: str) -> None:
    data = golden(name)
    assert msgspec.to_builtins(SENT[name, 1].decode(json.dumps(data).encode())) == data


@pytest.mark.parametrize(
    ("name", "field"), [(kind.name, field.name) for kind in describe_types(SENT) for field in kind.fields]
)
def test_every_field_is_always_sent(name: str, field: str) -> None:
    data = golden(name)
    del data[field]
    with pytest.raises(msgspec.ValidationError, match=field):
        SENT[name, 1].decode(json.dumps(data).encode())


@pytest.mark.parametrize("name", [*(name for name, _ in SENT), "progress.SomethingElse"])
def test_nobody_else_may_send_our_types(name: str) -> None:
    refused = sent_by_another(type=name, data={})
    assert refused.path == "type"
    assert "this service itself" in refused.reason


def test_nobody_else_may_send_under_our_name() -> None:
    assert sent_by_another(source="progress-context").path == "source"
