"""An event that breaks a rule is refused alone, with the path; what is stored can be folded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.conftest import answers

from acceptance.system import (
    BATCH,
    LINES,
    System,
    array,
    checkpoints,
    head,
    judged,
    post,
    text,
    told,
)
from progress_context.intake.cloudevents import decode_structured
from progress_context.log.event import NewEvent
from waiting import eventually
from world import World

KIB = 1024


def of(**changes: Any) -> Callable[[], bytes]:
    return lambda: text(judged(**changes))


def data(**changes: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        event = judged()
        members = (event["data"] | changes).items()
        return text(event | {"data": {name: value for name, value in members if value is not ...}})

    return make


def raw(old: str, new: str) -> Callable[[], bytes]:
    """A valid event with a piece of its text replaced."""

    def make() -> bytes:
        valid = text(judged())
        assert old.encode() in valid
        return valid.replace(old.encode(), new.encode())

    return make


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat()


# What is wrong with one event, and the path that its answer must name.
INVALID_EVENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "a number": (lambda: b"7", ""),
    "null": (lambda: b"null", ""),
    "a text": (lambda: b'"event"', ""),
    "an array": (lambda: b"[]", ""),
    "an empty object": (lambda: b"{}", "specversion"),
    "no id": (of(id=...), "id"),
    "empty id": (of(id=""), "id"),
    "id that is a number": (of(id=7), "id"),
    "id too long": (of(id="x" * 201), "id"),
    "no source": (of(source=...), "source"),
    "source and id too long": (of(source="ü" * 1_300), "source"),
    "no type": (of(type=...), "type"),
    "another version of CloudEvents": (of(specversion="0.3"), "specversion"),
    "no subject": (of(subject=...), "subject"),
    "empty subject": (of(subject=""), "subject"),
    "subject that is an object": (of(subject={"id": 1}), "subject"),
    "subject too long": (of(subject="x" * 513), "subject"),
    "no time": (of(time=...), "time"),
    "time that is a number": (of(time=1_700_000_000), "time"),
    "time without offset": (of(time="2026-03-01T12:00:00"), "time"),
    "year 1": (of(time="0001-01-01T00:00:00Z"), "time"),
    "year 1, east of Greenwich": (of(time="0001-01-01T00:00:00+14:00"), "time"),
    "year 9999": (of(time="9999-12-31T23:59:59Z"), "time"),
    "year 9999, west of Greenwich": (of(time="9999-12-31T23:59:59-12:00"), "time"),
    "in two days": (lambda: text(judged(time=in_hours(48))), "time"),
    "30 February": (of(time="2026-02-30T12:00:00Z"), "time"),
    "25 o'clock": (of(time="2026-02-03T25:00:00Z"), "time"),
    "a zone on Mars": (of(timezone="Mars/Olympus"), "timezone"),
    "a zone that is a path": (of(timezone="../../etc/passwd"), "timezone"),
    "no data": (of(data=...), "data"),
    "data that is null": (of(data=None), "data"),
    "data that is a list": (of(data=[1]), "data"),
    "data twice": (of(data_base64="e30="), "data_base64"),
    "judgment unknown": (data(judgment="Perhaps"), "data.judgment"),
    "no item": (data(item_id=...), "data.item_id"),
    "negative time": (data(response_time_ms=-1), "data.response_time_ms"),
    "time as text": (data(response_time_ms="900"), "data.response_time_ms"),
    "time beyond integer": (data(response_time_ms=2**31), "data.response_time_ms"),
    "1e999999": (raw("900", "1e999999"), "data.response_time_ms"),
    "1e999999 in a field of nobody's": (raw('"item_id"', '"x": 1e999999, "item_id"'), "data.x"),
    "1e-999999": (raw('"item_id"', '"x": 1e-999999, "item_id"'), "data.x"),
    "1e-400": (
        lambda: text(
            told("learning.ItemMasteryUpdated", item_id="i", mastery_level=0.25, mastered=False)
        ).replace(b"0.25", b"1e-400"),
        "data.mastery_level",
    ),
    "a number of 10,000 digits": (raw("900", "9" * 10_000), "data.response_time_ms"),
    "U+0000 in data": (raw("item-", "item\\u0000"), "data.item_id"),
    "U+0000 in a key": (raw('"item_id"', '"a\\u0000": 1, "item_id"'), "data.a\\x00"),
    "U+0000 in the id": (raw("judged-", "judged\\u0000"), "id"),
    "U+0000 in the subject": (raw("learner-", "learner\\u0000"), "subject"),
    "half a surrogate pair in data": (raw("item-", "\\ud800"), "data.item_id"),
    "half a surrogate pair in the id": (raw("judged-", "\\udc00"), "id"),
    "half a surrogate pair in the subject": (raw("learner-", "\\ud83d"), "subject"),
    "the same key twice": (raw('"subject"', '"id": "other", "subject"'), "id"),
    "the same key twice in data": (raw('"item_id"', '"item_id": "other", "item_id"'), "data.item_id"),
    "the same key twice, once with an escape": (raw('"subject"', '"i\\u0064": "x", "subject"'), "id"),
    "300 KiB": (data(note="x" * 300 * KIB), ""),
    "nested 40 deep": (raw("900", "[" * 40 + "]" * 40), "data.response_time_ms" + "[0]" * 30),
}


@pytest.mark.parametrize("name", INVALID_EVENTS)
def test_an_invalid_event_is_refused_with_its_path(unharmed: System, name: str) -> None:
    make, path = INVALID_EVENTS[name]
    sent = make()
    answer = post(unharmed.url, sent, "application/cloudevents+json")
    result = answer.json()
    assert (answer.status_code, result["status"], result["path"]) == (422, "invalid", path)
    assert result["reason"]


def test_bad_events_do_not_refuse_their_batch(system: System) -> None:
    before = head(system.database)
    bad = [make() for make, _ in INVALID_EVENTS.values()]
    mixed = [element for one in bad for element in (one, text(judged()))]
    lines = b"\n".join(element for element in mixed if b"\n" not in element)
    for number, (body, content_type) in enumerate([(array(mixed), BATCH), (lines, LINES)], start=1):
        answer = post(system.url, body, content_type)
        assert answer.status_code == 207
        statuses = [result["status"] for result in answer.json()["results"]]
        assert statuses == ["invalid", "stored" if number == 1 else "duplicate"] * len(bad)
        paths = [result["path"] for result in answer.json()["results"][::2]]
        assert paths == [path for _, path in INVALID_EVENTS.values()]
    assert head(system.database) == before + len(bad)


# Valid by every rule, and yet unlike anything a read model expects.
ODD = "\N{MUSICAL SYMBOL G CLEF}" * 200
TINY = 5e-324
EXTREME_EVENTS = {
    "long ids": lambda: told(
        "learning.CorrectnessJudged", item_id=ODD, session_id=ODD, judgment="AutoConfirmed"
    ),
    "a tiny session": lambda: told("learning.SessionCompleted", session_id=ODD, duration_seconds=TINY),
    "a long session": lambda: told("learning.SessionCompleted", session_id="long", duration_seconds=10**9),
    "many items": lambda: told("learning.SessionAbandoned", session_id="none", completed_count=2**31 - 1),
    "tiny mastery": lambda: told(
        "learning.ItemMasteryUpdated", item_id="tiny", mastery_level=TINY, mastered=False
    ),
    "a tiny activity": lambda: told(
        "learning.ActivityRecorded", activity_id="a", verb="b", duration_seconds=1e-300
    ),
    "a review in 9999": lambda: told(
        "algorithm.ReviewScheduled", item_id="late", interval_days=1_000_000,
        next_review_at="9999-12-31T23:59:59.999999999Z",
    ),
    "a review in year 1": lambda: told(
        "algorithm.ReviewScheduled", item_id="early", interval_days=0,
        next_review_at="0001-01-01T00:00:00+15:59",
    ),
    "easiness 1,000": lambda: told(
        "algorithm.DifficultyAdjusted", item_id="x", old_easiness_factor=0, new_easiness_factor=1_000
    ),
    "dear AI": lambda: told("ai.UsageRecorded", task_type="t", tokens_used=2**31 - 1, cost=1e6),
    "1969 on the wall": lambda: judged(time="1970-01-01T00:00:00Z", timezone="Etc/GMT+12"),
    "tomorrow": lambda: judged(time=in_hours(23), timezone="Pacific/Kiritimati"),
    "a later version": lambda: judged(dataschema="x/2", data={"response_time_ms": "soon"}),
    "an unknown act": lambda: told("learning.Dreamed", duration_seconds="long", item_id={"a": [None]}),
    "a zone with a two-hour summer": lambda: told(
        "user.PreferencesUpdated", day_rollover_hour=23, time_zone="Antarctica/Troll"
    ),
    "no level": lambda: judged(
        type="vocabulary.ItemUpdated", subject=ODD, data={"item_id": ODD, "level": None}
    ),
    "nothing but a type": lambda: judged(type="\N{PILE OF POO}", subject=..., data=...),
}  # fmt: skip


@pytest.mark.parametrize("name", EXTREME_EVENTS)
def test_whatever_is_stored_can_be_folded(system: System, name: str) -> None:
    """One event that a read model cannot fold would stop them all."""
    answer = post(system.url, text(EXTREME_EVENTS[name]()))
    assert (answer.status_code, answer.json()["status"]) == (201, "stored")
    eventually(lambda: checkpoints(system.database) == {head(system.database)}, timeout=5)
    assert answers(f"{system.projection_url}/readyz")


AT_NOON = {"time": "2026-03-01T12:00:00Z"}
PROFILES_OF_TOMORROW = {
    "a later version": told("user.PreferencesUpdated", day_rollover_hour="noon") | {"dataschema": "x/9"},
    "an unknown type": told("user.Renamed", day_rollover_hour="noon", time_zone=["Mars"]),
}


@pytest.mark.parametrize("name", PROFILES_OF_TOMORROW)
async def test_a_profile_that_nobody_described_can_be_folded(database_url: str, name: str) -> None:
    world = await World(database_url).open()
    try:
        event = decode_structured(text(PROFILES_OF_TOMORROW[name] | AT_NOON), now=datetime.now(UTC))
        assert isinstance(event, NewEvent)
        await world.append([event])
        await world.catch_up()
        assert await world.rows("learner_calendar") == {}
    finally:
        await world.close()
