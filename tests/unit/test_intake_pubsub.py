"""Pub/Sub messages: the same events and the same refusals as over HTTP, and who is to blame for an error."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from progress_context.errors import AppendQueueFull, IntakeError, LogUnavailable
from progress_context.intake.binary import decode_binary
from progress_context.intake.cloudevents import decode_batch, decode_lines, decode_structured
from progress_context.intake.envelope import InvalidEvent, Parsed
from progress_context.intake.messages import MessageIntake, dead_letter, is_fault_of_message
from progress_context.intake.pubsub_message import Limits, Message, Refusal, decode_message
from progress_context.intake.pubsub_push import NOWHERE, read_push, unwrap
from progress_context.log.dead_letters import DeadLetter
from progress_context.log.event import NewEvent, Outcome

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(max_body=100_000, max_events=3, max_skew=timedelta(hours=24))
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}
LINES = {"content-type": "application/x-ndjson"}
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "e-1", "source": "/app", "type": "learning.CorrectnessJudged", "subject": "ada",
    "time": "2026-03-01T11:00:00+09:00", "data": {"item_id": "w-1", "judgment": "AutoConfirmed"},
}  # fmt: skip


def named(event_id: str, **changes: Any) -> dict[str, Any]:
    return EVENT | {"id": event_id} | changes


def text(value: object) -> bytes:
    return json.dumps(value).encode()


def message(data: bytes, attributes: Mapping[str, str] = STRUCTURED, **fields: Any) -> Message:
    standard: dict[str, Any] = {
        "channel": "pull",
        "subscription": "projects/p/subscriptions/s",
        "message_id": "7",
    }
    return Message(data=data, attributes=attributes, **(standard | fields))


def decoded(data: bytes, attributes: Mapping[str, str] = STRUCTURED) -> list[Parsed]:
    return decode_message(message(data, attributes), NOW, LIMITS)


def in_attributes(event: dict[str, Any]) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in event.items() if name != "data"}


@pytest.mark.parametrize(
    "event", [EVENT, named("x" * 201), named("e", time="soon"), named("e", data={"item_id": 7})], ids=str
)
def test_every_mode_says_what_http_says(event: dict[str, Any]) -> None:
    same = [decode_structured(text(event), now=NOW)]
    assert decoded(text(event)) == decoded(text(event), {}) == same
    assert decoded(text([event, EVENT]), BATCH) == decode_batch(text([event, EVENT]), now=NOW)
    assert decoded(text(event) + b"\n\n" + text(EVENT), LINES) == decode_lines(
        text(event) + b"\n\n" + text(EVENT), now=NOW
    )
    attributes = in_attributes(event) | {"content-type": "application/json"}
    in_binary = decode_binary(attributes.items(), text(event["data"]), now=NOW)
    assert decoded(text(event["data"]), attributes) == [in_binary]


def test_attributes_stand_for_themselves() -> None:
    """Over HTTP they are percent-encoded, trimmed and quoted; Pub/Sub carries any text."""
    attributes = in_attributes(named("100%25", subject=' "Zoë" ')) | {"CE-Source": "urn:ü"}
    del attributes["ce-source"]
    (event,) = decoded(text(EVENT["data"]), attributes)
    assert isinstance(event, NewEvent)
    assert (event.id, event.learner_id, event.source) == ("100%25", ' "Zoë" ', "urn:ü")


@pytest.mark.parametrize(
    ("attributes", "path"),
    [({"ce-subject": "a\0b"}, "subject"), ({"CE-ID": "e-2"}, "id"), ({"ce-time": ""}, "time")],
)
def test_attributes_are_checked(attributes: dict[str, str], path: str) -> None:
    (event,) = decoded(text(EVENT["data"]), in_attributes(EVENT) | attributes)
    assert isinstance(event, InvalidEvent)
    assert event.path == path


def test_attributes_of_others_are_ignored() -> None:
    attributes = STRUCTURED | {"googclient_schemaencoding": "JSON", "x": "\0"}
    assert decoded(text(EVENT), attributes) == decoded(text(EVENT))


def test_data_may_be_packed_or_anything() -> None:
    packed = gzip.compress(text(EVENT))
    assert decoded(packed, STRUCTURED | {"content-encoding": "gzip"}) == decoded(text(EVENT))
    image = in_attributes(named("i", type="app.Shown")) | {"content-type": "image/png"}
    (event,) = decoded(b"\x00\xff", image)
    assert isinstance(event, NewEvent)
    assert event.data == '"AP8="'


UNREADABLE: dict[str, tuple[bytes, dict[str, str], str, str]] = {
    "no JSON": (b"{", STRUCTURED, "malformed_json", ""),
    "nothing": (b"", STRUCTURED, "malformed_json", ""),
    "no UTF-8": (b'{"id": "\xff"}', STRUCTURED, "malformed_json", ""),
    "no array": (text(EVENT), BATCH, "not_an_array", ""),
    "no JSON in binary mode": (b"{", in_attributes(EVENT), "malformed_json", ""),
    "too many": (text([EVENT] * 4), BATCH, "too_many_events", ""),
    "another format": (b"<a/>", {"content-type": "application/xml"}, "unsupported_media_type", "content-type"),
    "Avro": (b"\0", {"content-type": "application/cloudevents+avro"}, "unsupported_media_type", "content-type"),
    "another packing": (b"", STRUCTURED | {"content-encoding": "br"}, "unsupported_encoding", "content-encoding"),
    "no gzip": (b"x", STRUCTURED | {"content-encoding": "gzip"}, "bad_gzip", "content-encoding"),
    "half a gzip": (gzip.compress(b"{}")[:-9], STRUCTURED | {"content-encoding": "gzip"}, "bad_gzip", "content-encoding"),
    "a bomb": (gzip.compress(bytes(10**8)), STRUCTURED | {"content-encoding": "gzip"}, "body_too_large", ""),
    "too large": (b" " * 100_001, STRUCTURED, "body_too_large", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_at_all_is_refused_as_over_http(name: str) -> None:
    data, attributes, code, path = UNREADABLE[name]
    with pytest.raises(IntakeError) as caught:
        decoded(data, attributes)
    assert (caught.value.code, caught.value.path) == (code, path)


def wrapped(**changes: Any) -> bytes:
    inner = {
        "data": base64.b64encode(text(EVENT)).decode(), "attributes": STRUCTURED, "messageId": "77",
        "message_id": "77", "publishTime": "2026-03-01T11:59:00.123Z", "orderingKey": "ada",
    } | changes  # fmt: skip
    sent = {name: value for name, value in inner.items() if value is not ...}
    return text({"message": sent, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": 3})


def test_a_push_is_unwrapped() -> None:
    expected = message(
        text(EVENT), channel="push", message_id="77", ordering_key="ada",
        published_at=datetime(2026, 3, 1, 11, 59, 0, 123_000, UTC),
    )  # fmt: skip
    assert unwrap(wrapped()) == read_push(wrapped()) == expected
    assert unwrap(wrapped(publishTime="yesterday")).published_at is None
    assert unwrap(wrapped(data=..., attributes=None)).data == b""


@pytest.mark.parametrize(
    ("body", "path"),
    [(b"", ""), (b"{", ""), (b"null", ""), (b"{}", ""), (b'{"message": 7}', ""), (b"\xff", ""), (text(EVENT), ""),
     (wrapped(attributes={"a": 1}), ""), (wrapped(messageId=...), "message.messageId"),
     (wrapped(data="no base64!"), "message.data"), (wrapped(data="e30"), "message.data"),
     (wrapped(data="é"), "message.data"), (b"[" * 100_000, "")],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_push_without_a_message_is_kept_whole(body: bytes, path: str) -> None:
    with pytest.raises(IntakeError) as caught:
        unwrap(body)
    assert caught.value.path == path
    kept = read_push(body)
    named = path == "message.data"
    assert (kept.wrapped, kept.data) == (True, body)
    assert kept.subscription == ("projects/p/subscriptions/s" if named else NOWHERE)
    assert kept.message_id == read_push(body).message_id
    assert (kept.message_id == "77") == named
    assert named or kept.message_id != read_push(body + b" ").message_id


class Log:
    """Stands for the log: stores everything but what it is told to choke on."""

    def __init__(self, choke: Mapping[str, Exception] | None = None) -> None:
        self.choke = choke or {}
        self.stored: list[str] = []
        self.buried: list[DeadLetter] = []
        self.intake = MessageIntake(self.submit, self.bury, LIMITS, clock=lambda: NOW)

    async def submit(self, events: Sequence[NewEvent], size: int) -> list[Outcome]:
        for event in events:
            if event.id in self.choke:
                raise self.choke[event.id]
        outcomes: list[Outcome] = []
        for event in events:
            known = event.id in self.stored
            outcomes.append(Outcome("duplicate" if known else "stored", 1))
            self.stored += [] if known else [event.id]
        return outcomes

    async def bury(self, letters: Sequence[DeadLetter]) -> None:
        self.buried += letters


async def test_a_message_that_is_partly_bad_is_kept_whole_and_its_good_part_stored() -> None:
    log = Log()
    sent = message(text([named("a"), named("b", time="soon"), named("c", subject=7)]), BATCH)
    good = message(text(named("d")), message_id="8")
    verdicts = await log.intake.take([sent, good])
    assert log.stored == ["a", "d"]
    assert [verdict.refusal is None for verdict in verdicts] == [False, True]
    reason = verdicts[0].refusal
    assert reason
    assert (reason.code, reason.path) == ("invalid_event", "time")
    assert reason.reason.startswith("Event 2 of 3, 2 refused in all: ")
    assert log.buried == [dead_letter(sent, reason)]


async def test_a_conflict_is_a_reason_too() -> None:
    log = Log()

    async def submit(events: Sequence[NewEvent], size: int) -> list[Outcome]:
        return [Outcome("conflict", 4, "data", "Another event")]

    intake = MessageIntake(submit, log.bury, LIMITS, clock=lambda: NOW)
    (verdict,) = await intake.take([message(text(EVENT))])
    assert verdict.refusal == Refusal("conflict", "data", "Another event")
    assert len(log.buried) == 1


@pytest.mark.parametrize(
    "error", [asyncpg.DataError("out of range"), ValueError("a fault of ours")], ids=repr
)
async def test_one_poisoned_message_is_found_among_many(error: Exception) -> None:
    log = Log({"e-5": error})
    sent = [message(text(named(f"e-{number}")), message_id=str(number)) for number in range(9)]
    verdicts = await log.intake.take(sent)
    assert log.stored == [f"e-{number}" for number in range(9) if number != 5]  # in the order of delivery
    assert [letter.message_id for letter in log.buried] == ["5"]
    assert log.buried[0].code == "poison"
    assert str(error) in log.buried[0].reason
    assert sum(verdict.refusal is not None for verdict in verdicts) == 1


BLAMELESS = [
    LogUnavailable("away"), AppendQueueFull(9, 1.0), OSError(), TimeoutError(),
    asyncpg.InsufficientPrivilegeError("no"), asyncpg.UndefinedTableError("no"), asyncpg.DiskFullError("full"),
    asyncpg.InterfaceError("closed"),
]  # fmt: skip


@pytest.mark.parametrize("error", BLAMELESS, ids=repr)
async def test_an_error_of_the_log_is_no_message_s_fault(error: Exception) -> None:
    assert not is_fault_of_message(error)
    log = Log({"e-1": error})
    with pytest.raises(type(error)):
        await log.intake.take([message(text(EVENT)), message(b"{", message_id="8")])
    assert log.stored == []
    assert log.buried == []


async def test_the_trace_of_a_message_is_kept_with_its_events() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    seen: list[NewEvent] = []

    async def submit(events: Sequence[NewEvent], size: int) -> list[Outcome]:
        seen.extend(events)
        return [Outcome("stored", 1)] * len(events)

    intake = MessageIntake(submit, Log().bury, LIMITS, clock=lambda: NOW)
    await intake.take([message(text(EVENT), STRUCTURED | {"traceparent": trace})])
    assert json.loads(seen[0].context or "{}")["traceparent"] == trace
