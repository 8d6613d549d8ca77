"""Events as Pub/Sub messages: the CloudEvents binding, and Google's limits."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from progress_context.delivery.message import to_message
from progress_context.delivery.port import OutgoingEvent
from progress_context.delivery.publisher import BATCH_BYTES, BATCH_MESSAGES, batches_of, lanes_of

AT = datetime(2026, 11, 2, 12, 30, 0, 250_000, tzinfo=UTC)


def event(position: int = 7, **changes: Any) -> OutgoingEvent:
    facts: dict[str, Any] = {
        "position": position,
        "source": "urn:app",
        "id": "e7",
        "type": "learning.CorrectnessJudged",
        "learner_key": 42,
        "subject": "ada",
        "occurred_at": AT,
        "recorded_at": AT,
        "data": '{"item_id": "i1"}',
        "context": None,
    }
    return OutgoingEvent(**(facts | changes))


def test_an_event_is_a_cloudevent_in_binary_mode() -> None:
    message = to_message(event())
    assert message.data == b'{"item_id": "i1"}'
    assert message.ordering_key == "42"
    assert dict(message.attributes) == {
        "ce-specversion": "1.0",
        "ce-id": "e7",
        "ce-source": "urn:app",
        "ce-type": "learning.CorrectnessJudged",
        "ce-subject": "ada",
        "ce-time": "2026-11-02T12:30:00.250000+00:00",
        "ce-recordedtime": "2026-11-02T12:30:00.250000+00:00",
        "content-type": "application/json",
        "position": "7",
    }


def test_what_the_sender_said_around_the_data_goes_along() -> None:
    context = {
        "traceparent": "00-ab-cd-01",
        "time": "2026-11-02T13:30:00.25+01:00",
        "retries": 3,
        "late": True,
    }
    attributes = to_message(event(context=json.dumps(context))).attributes
    assert attributes["ce-traceparent"] == "00-ab-cd-01"
    assert attributes["ce-time"] == "2026-11-02T13:30:00.25+01:00"
    assert attributes["ce-retries"] == "3"
    assert attributes["ce-late"] == "true"


def test_an_event_of_no_learner_has_no_ordering_key_and_keeps_its_own_subject() -> None:
    message = to_message(event(learner_key=None, subject=None, context='{"subject": "item-9"}'))
    assert message.ordering_key == ""
    assert message.attributes["ce-subject"] == "item-9"


def test_a_forgotten_learner_is_not_named() -> None:
    message = to_message(event(subject=None))
    assert message.ordering_key == "42"
    assert "ce-subject" not in message.attributes


def test_wrapped_bytes_are_unwrapped() -> None:
    data = json.dumps(base64.b64encode(b"\x00\xff").decode())
    message = to_message(event(data=data, context='{"data_base64": true, "datacontenttype": "image/png"}'))
    assert message.data == b"\x00\xff"
    assert message.attributes["content-type"] == "image/png"
    assert "ce-data_base64" not in message.attributes


@pytest.mark.parametrize("content_type", ["application/json", "image/png"])
@pytest.mark.parametrize(
    "extensions", [{"note": 1_025 * "x"}, {"note": 520 * "é"}, {f"x{n}": "y" for n in range(100)}]
)
def test_what_does_not_fit_into_attributes_goes_whole_as_json(
    extensions: dict[str, str], content_type: str
) -> None:
    wrapped = content_type != "application/json"
    context: dict[str, Any] = dict(extensions)
    if wrapped:
        context |= {"data_base64": True, "datacontenttype": content_type}
    data = json.dumps(base64.b64encode(b"abc").decode()) if wrapped else '{"a":1}'
    message = to_message(event(data=data, context=json.dumps(context)))
    assert dict(message.attributes) == {"content-type": "application/cloudevents+json", "position": "7"}
    assert message.ordering_key == "42"
    whole = json.loads(message.data)
    assert (whole["id"], whole["subject"], whole["datacontenttype"]) == ("e7", "ada", content_type)
    assert whole.items() >= extensions.items()
    assert whole["data_base64"] == "YWJj" if wrapped else whole["data"] == {"a": 1}


def test_an_attribute_of_just_the_limit_fits() -> None:
    assert "ce-note" in to_message(event(context=json.dumps({"note": 1_024 * "x"}))).attributes


def test_lanes_keep_each_learners_events_together_and_in_order() -> None:
    events = [event(n, learner_key=n * 7 % 97 or None) for n in range(1, 2_001)]
    lanes = lanes_of(events)
    assert len(lanes) > 1
    assert sorted(e.position for lane in lanes for e in lane) == list(range(1, 2_001))
    assert all([e.position for e in lane] == sorted(e.position for e in lane) for lane in lanes)
    whose = [{e.learner_key for e in lane} for lane in lanes]
    assert sum(map(len, whose)) == len(set().union(*whose))


def test_few_events_are_one_request() -> None:
    assert len(lanes_of([event(n, learner_key=n) for n in range(1, 100)])) == 1


def test_batches_hold_no_more_than_google_takes() -> None:
    many = list(batches_of(event(n) for n in range(1, 2_502)))
    assert [len(batch) for batch in many] == [BATCH_MESSAGES, BATCH_MESSAGES, 501]
    large = [event(n, data=f'"{4_000_000 * "x"}"') for n in range(1, 6)]
    assert [len(batch) for batch in batches_of(large)] == [2, 2, 1]
    assert [len(batch) for batch in batches_of([event(data=f'"{BATCH_BYTES * "x"}"'), event()])] == [1, 1]
