"""The catalogue: every type of the published language, with every limit of its fields."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from progress_context.intake.catalogue import CATALOGUE, describe_types, json_schema
from progress_context.intake.cloudevents import decode_structured
from progress_context.intake.envelope import InvalidEvent
from progress_context.log.event import NewEvent

GOLDEN = Path(__file__).parents[1] / "golden/events"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def golden(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.v1.json").read_text(encoding="utf-8"))


def read(event: dict[str, Any]) -> NewEvent | InvalidEvent:
    return decode_structured(json.dumps(event).encode(), now=NOW)


def test_every_version_of_every_type_has_a_golden_file() -> None:
    expected = {f"{name}.v{version}.json" for name, version in CATALOGUE}
    assert {path.name for path in GOLDEN.iterdir()} == expected


@pytest.mark.parametrize("path", sorted(GOLDEN.iterdir()), ids=lambda path: path.stem)
def test_a_stored_version_reads_the_same_for_ever(path: Path) -> None:
    sides = json.loads(path.read_text(encoding="utf-8"))
    event = read(sides["event"])
    assert isinstance(event, NewEvent), event
    assert event.occurred_at is not None
    reads = json.loads(msgspec.json.encode(event))
    reads["occurred_at"] = event.occurred_at.isoformat()
    reads["data"] = json.loads(event.data)
    reads["context"] = json.loads(event.context) if event.context else None
    assert reads == sides["reads"]


BROKEN: list[tuple[str, str, Any]] = [
    ("learning.SessionStarted", "session_id", ""),
    ("learning.SessionStarted", "session_id", "x" * 201),
    ("learning.SessionStarted", "item_count", 0),
    ("learning.SessionStarted", "item_count", 101),
    ("learning.SessionStarted", "strategy", "random"),
    ("learning.CorrectnessJudged", "item_id", 7),
    ("learning.CorrectnessJudged", "judgment", "Correct"),
    ("learning.CorrectnessJudged", "response_time_ms", -1),
    ("learning.CorrectnessJudged", "response_time_ms", "3"),
    ("learning.CorrectnessJudged", "response_time_ms", True),
    ("learning.CorrectnessJudged", "response_time_ms", 1.5),
    ("learning.CorrectnessJudged", "response_time_ms", 2**31),
    ("learning.CorrectnessJudged", "domain", "singing"),
    ("learning.SessionCompleted", "correct_count", 21),
    ("learning.SessionCompleted", "duration_seconds", -0.1),
    ("learning.SessionCompleted", "duration_seconds", "12"),
    ("learning.SessionCompleted", "reason", "bored"),
    ("learning.SessionAbandoned", "completed_count", -1),
    ("learning.SessionAbandoned", "reason", "bored"),
    ("learning.ItemMasteryUpdated", "mastery_level", 1.01),
    ("learning.ItemMasteryUpdated", "mastery_level", -0.01),
    ("learning.ItemMasteryUpdated", "mastered", 1),
    ("learning.EventVoided", "source", ""),
    ("learning.EventVoided", "source", "é" * 2_000),
    ("learning.ActivityRecorded", "activity_id", ""),
    ("learning.ActivityRecorded", "verb", ""),
    ("learning.ActivityRecorded", "duration_seconds", -1),
    ("algorithm.ReviewRecorded", "quality", 6),
    ("algorithm.ReviewRecorded", "is_correct", "yes"),
    ("algorithm.ReviewRecorded", "review_type", "old"),
    ("algorithm.ReviewRecorded", "previous_interval_days", -1),
    ("algorithm.ReviewScheduled", "next_review_at", "2026-03-16"),
    ("algorithm.ReviewScheduled", "next_review_at", "2026-02-30T12:00:00Z"),
    ("algorithm.ReviewScheduled", "next_review_at", "2026-03-16T12:00:00Z\n"),
    ("algorithm.ReviewScheduled", "interval_days", -1),
    ("algorithm.ReviewScheduled", "easiness_factor", 1.29),
    ("algorithm.ReviewScheduled", "easiness_factor", 2.51),
    ("algorithm.DifficultyAdjusted", "new_easiness_factor", -1),
    ("algorithm.ItemMastered", "accuracy_rate", 1.1),
    ("algorithm.ItemMastered", "total_reviews", -1),
    ("algorithm.ItemMastered", "retention_days", -1),
    ("vocabulary.ItemPublished", "spelling", ""),
    ("vocabulary.ItemPublished", "level", "D1"),
    ("vocabulary.ItemPublished", "domains", "reading"),
    ("vocabulary.ItemUpdated", "level", "b2"),
    ("user.UserCreated", "time_zone", "Europe/Atlantis"),
    ("user.UserCreated", "time_zone", "+01:00"),
    ("user.UserCreated", "day_rollover_hour", 24),
    ("user.UserDeleted", "deletion_type", "robot"),
    ("ai.UsageRecorded", "tokens_used", -1),
    ("ai.UsageRecorded", "cost", -0.01),
]


@pytest.mark.parametrize(("name", "field", "value"), BROKEN)
def test_a_broken_limit_is_refused_at_its_path(name: str, field: str, value: Any) -> None:
    event = golden(name)["event"]
    event["data"][field] = value
    refused = read(event)
    assert isinstance(refused, InvalidEvent), refused
    assert (refused.source, refused.id) == (event["source"], event["id"])
    assert refused.path == f"data.{field}"
    assert refused.outcome.status == "invalid"


def required_fields() -> list[tuple[str, str]]:
    return [(t.name, f.name) for t in describe_types() for f in t.fields if f.required]


@pytest.mark.parametrize(("name", "field"), required_fields())
def test_a_required_field_is_missed_at_its_path(name: str, field: str) -> None:
    event = golden(name)["event"]
    del event["data"][field]
    refused = read(event)
    assert isinstance(refused, InvalidEvent), refused
    assert (refused.path, refused.reason) == (f"data.{field}", "Required")


@pytest.mark.parametrize("name", [name for name, _ in CATALOGUE])
def test_unknown_fields_are_kept_except_about_persons(name: str) -> None:
    event = golden(name)["event"]
    event["data"]["shoe_size"] = 43
    read_event = read(event)
    assert isinstance(read_event, NewEvent)
    assert ("shoe_size" in json.loads(read_event.data)) is not name.startswith("user.")


@pytest.mark.parametrize("name", [name for name, _ in CATALOGUE])
def test_only_item_events_do_without_a_learner(name: str) -> None:
    event = golden(name)["event"]
    del event["subject"]
    parsed = read(event)
    if name.startswith("vocabulary."):
        assert isinstance(parsed, NewEvent)
    else:
        assert isinstance(parsed, InvalidEvent)
        assert parsed.path == "subject"


def test_the_subject_of_an_item_event_is_its_item() -> None:
    event = golden("vocabulary.ItemPublished")["event"]
    event["subject"] = "another"
    refused = read(event)
    assert isinstance(refused, InvalidEvent)
    assert refused.path == "subject"


def test_descriptions_name_the_limits() -> None:
    described = {t.name: t for t in describe_types()}
    fields = {f.name: f for f in described["learning.SessionStarted"].fields}
    assert fields["item_count"] == ("item_count", "integer, 1 to 100", False)
    assert fields["session_id"] == ("session_id", "string, 1 to 200 characters", True)
    assert all(t.promise for t in described.values())
    assert len(described) == len(CATALOGUE)


def test_schemas_carry_the_limits() -> None:
    for name, version in CATALOGUE:
        assert "$defs" in json_schema(name, version)
    schema = json_schema("learning.SessionStarted")["$defs"]["SessionStarted"]
    assert schema["required"] == ["session_id"]
    assert schema["properties"]["session_id"]["maxLength"] == 200
