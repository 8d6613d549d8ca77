"""Messages from Pub/Sub: acknowledged once stored or kept as a dead letter, never before, never lost."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import signal
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from acceptance.broker import (
    STRUCTURED,
    Broker,
    CommandService,
    ids_in_log,
    letters,
    pulling,
)
from acceptance.system import BATCH, LINES, array, judged, text
from acceptance.test_bad_events import INVALID_EVENTS
from ports import free_port
from progress_context.delivery.pubsub import pauses, subscriber_client
from progress_context.errors import AppendQueueFull
from progress_context.intake.leases import LEASE_SECONDS
from progress_context.intake.messages import Verdict
from progress_context.intake.pubsub_message import Message
from progress_context.intake.pull import MOST_MESSAGES, Pull
from progress_context.local.postgres import EmbeddedPostgres
from progress_context.services.all_in_one import migrated
from pubsub_emulator.process import EmulatorProcess
from waiting import eventually, until

MEGABYTE = 1_000_000

prefixes = (f"t{number}-" for number in itertools.count())


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as process:
        yield process


@pytest.fixture
def broker(emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    emulator.control.reset()
    broker = Broker(emulator, next(prefixes), monkeypatch)
    yield broker
    emulator.control.reset()
    broker.close()


@pytest.fixture
def service(broker: Broker, database_url: str, tmp_path: Path) -> Iterator[CommandService]:
    with pulling(database_url, tmp_path / "service.log", broker) as running:
        yield running


def test_every_mode_is_stored_and_acknowledged(broker: Broker, service: CommandService) -> None:
    event, one, two, three, four, packed = (judged() for _ in range(6))
    binary = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    broker.publish(text(event["data"]), binary | {"content-type": "application/json"})
    broker.publish(array([text(one), text(two)]), {"content-type": BATCH})
    broker.publish(text(three) + b"\n" + text(four), {"content-type": LINES})
    broker.publish(gzip.compress(text(packed)), STRUCTURED | {"content-encoding": "gzip"})
    eventually(broker.is_done)
    sent = {each["id"] for each in (event, one, two, three, four, packed)}
    assert set(ids_in_log(service.database)) == sent
    assert letters(service.database) == []


def test_every_invalid_event_is_a_dead_letter_with_its_path(broker: Broker, service: CommandService) -> None:
    sent = {name: make() for name, (make, _) in INVALID_EVENTS.items()}
    ids = {broker.publish(body): name for name, body in sent.items()}
    broker.publish(text(judged(id="good")))
    eventually(broker.is_done)
    assert ids_in_log(service.database) == ["good"]
    found = {ids[letter["message_id"]]: letter for letter in letters(service.database)}
    assert {name: letter["path"] for name, letter in found.items()} == {
        name: path for name, (_, path) in INVALID_EVENTS.items()
    }
    for name, letter in found.items():
        assert (letter["code"], letter["payload"], letter["attributes"]) == (
            "invalid_event", sent[name], STRUCTURED,
        )  # fmt: skip
        assert letter["reason"]
        assert (letter["channel"], letter["subscription"]) == ("pull", broker.subscription)


WHOLE: dict[str, tuple[Callable[[], bytes], dict[str, str], str]] = {
    "no JSON": (lambda: b'{"id": ', STRUCTURED, "malformed_json"),
    "bytes": (lambda: bytes(range(256)), STRUCTURED, "malformed_json"),
    "another format": (lambda: b"<event/>", {"content-type": "text/xml"}, "unsupported_media_type"),
    "Avro": (lambda: b"\0\1", {"content-type": "application/cloudevents+avro"}, "unsupported_media_type"),
    "another packing": (lambda: b"x", STRUCTURED | {"content-encoding": "zstd"}, "unsupported_encoding"),
    "no gzip": (lambda: b"x", STRUCTURED | {"content-encoding": "gzip"}, "bad_gzip"),
    "a bomb": (
        lambda: gzip.compress(bytes(50 * MEGABYTE)), STRUCTURED | {"content-encoding": "gzip"}, "body_too_large",
    ),
    "10 MB": (lambda: text(judged(note="x" * 9_900_000)), STRUCTURED, "body_too_large"),
    "10 MB of data": (lambda: b"x" * 9_900_000, {"ce-id": "x", "ce-specversion": "1.0"}, "body_too_large"),
    "7 MB": (lambda: text(judged(note="x" * 7 * MEGABYTE)), STRUCTURED, "invalid_event"),
    "no base64": (
        lambda: text(judged(data=..., data_base64="no base64!")), STRUCTURED, "invalid_event",
    ),
    "too many": (lambda: array([b"{}"] * 5_001), {"content-type": BATCH}, "too_many_events"),
    "only attributes": (lambda: b"", {"ce-id": "a\0b", "ce-\0": "\0"}, "invalid_event"),
    "a batch with one bad event": (
        lambda: array([text(judged(id="of a batch")), b"{}"]), {"content-type": BATCH}, "invalid_event",
    ),
    "a name that is taken": (lambda: text(judged(id="taken", type="a.B")), STRUCTURED, "conflict"),
}  # fmt: skip


def test_whatever_cannot_be_stored_is_kept_byte_for_byte(broker: Broker, service: CommandService) -> None:
    broker.publish(text(judged(id="taken")))
    eventually(broker.is_done)
    sent = {name: (make(), attributes, code) for name, (make, attributes, code) in WHOLE.items()}
    ids = {broker.publish(body, attributes): name for name, (body, attributes, _) in sent.items()}
    eventually(broker.is_done, timeout=60)
    assert ids_in_log(service.database) == ["taken", "of a batch"]
    found = {ids[letter["message_id"]]: letter for letter in letters(service.database)}
    assert {
        name: (found[name]["payload"], found[name]["attributes"], found[name]["code"]) for name in found
    } == sent
    assert {letter["attempts"] for letter in found.values()} == {1}
    name = broker.subscription.rpartition("/")[2]
    settled = "progress_intake_messages_settled_total"
    assert service.metric(settled, subscription=name, outcome="dead_letter") == len(WHOLE)
    assert service.metric(settled, subscription=name, outcome="stored") == 1
    assert service.metric("progress_intake_messages_received_total", subscription=name) == len(WHOLE) + 1
    eventually(lambda: service.metric("progress_dead_letters_waiting") == len(WHOLE))


def test_events_of_one_key_are_appended_in_order_whatever_the_stream_does(
    broker: Broker, service: CommandService
) -> None:
    broker.emulator.control.set(shuffle=True, copies=2, stream_unavailable=0.2, call_unavailable=0.2)
    sent = {f"key {key}": [judged(id=f"{key}-{number}") for number in range(400)] for key in range(5)}
    for key, events in sent.items():
        broker.publish_all(events, key)

    def is_done() -> bool:
        broker.let_leases_end()  # of messages that went down with a stream
        return broker.is_done()

    eventually(is_done, timeout=60, pause=0.5)
    stored = ids_in_log(service.database)
    assert len(stored) == len(set(stored)) == 2_000
    for number in range(5):
        assert [name for name in stored if name.startswith(f"{number}-")] == [
            event["id"] for event in sent[f"key {number}"]
        ]
    assert letters(service.database) == []
    subscription = broker.subscription.rpartition("/")[2]
    assert service.metric("progress_pull_restarts_total", subscription=subscription, code="UNAVAILABLE") > 0


def test_a_redelivery_counts_another_attempt(broker: Broker, service: CommandService) -> None:
    broker.emulator.control.set(lose_acks=1.0)
    broker.publish(b"no JSON")

    def attempts() -> list[int]:
        broker.let_leases_end()
        return [letter["attempts"] for letter in letters(service.database)]

    eventually(lambda: attempts() and attempts()[0] >= 3, pause=0.2)
    assert len(attempts()) == 1


def test_nothing_is_acknowledged_that_a_killed_service_did_not_store(
    broker: Broker, service: CommandService
) -> None:
    events = [judged() for _ in range(3_000)]
    broker.emulator.control.set(latency=0.01)
    broker.publish_all(events)
    for goal in (1, 1_000, 2_000):
        eventually(lambda goal=goal: len(ids_in_log(service.database)) >= goal, timeout=30, pause=0.005)
        service.kill()
        assert len(events) - broker.unacknowledged <= len(ids_in_log(service.database))
        broker.let_leases_end()
        service.start()
    eventually(broker.is_done, timeout=60)
    assert sorted(ids_in_log(service.database)) == sorted(event["id"] for event in events)


def test_a_stop_finishes_what_is_under_way_and_gives_back_the_rest(
    broker: Broker, service: CommandService
) -> None:
    events = [judged() for _ in range(4_000)]
    broker.publish_all(events)
    eventually(lambda: len(ids_in_log(service.database)) > 0, pause=0.002)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(timeout=10) == 0  # 8 s, and the end of the process itself
    on_the_wire = broker.emulator.control.leased(broker.subscription)
    assert (
        on_the_wire <= MOST_MESSAGES
    )  # the response that came while the stream ended waits for its deadline
    stored = len(ids_in_log(service.database))
    assert broker.unacknowledged == len(events) - stored
    assert "error" not in {line.get("level") for line in log_lines(service)}
    broker.let_leases_end()
    service.start()
    eventually(broker.is_done, timeout=30)
    assert sorted(ids_in_log(service.database)) == sorted(event["id"] for event in events)


def log_lines(service: CommandService) -> list[dict[str, Any]]:
    lines = service.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_copies_of_the_service_share_a_subscription(
    broker: Broker, service: CommandService, tmp_path: Path
) -> None:
    events = [judged() for _ in range(1_000)]

    def is_done() -> bool:
        broker.let_leases_end()  # of the copy that died
        return broker.is_done()

    with pulling(service.database, tmp_path / "another.log", broker):
        broker.publish_all(events[:500])
        eventually(broker.is_done, timeout=30)
        service.kill()
        broker.publish_all(events[500:])
        eventually(is_done, timeout=30, pause=0.2)
    assert sorted(ids_in_log(service.database)) == sorted(event["id"] for event in events)


@pytest.fixture
def own_postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(tmp_path / "postgres", port=free_port())
    postgres.start()
    asyncio.run(migrated(postgres.url))
    yield postgres
    postgres.stop()


def test_an_outage_of_the_database_acknowledges_nothing_and_loses_nothing(
    broker: Broker, own_postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    with pulling(own_postgres.url, tmp_path / "service.log", broker) as service:
        first, second = [judged() for _ in range(100)], [judged() for _ in range(100)]
        broker.publish_all(first)
        eventually(broker.is_done)
        own_postgres.stop()
        broker.publish_all(second)
        broker.publish(b"no JSON")
        eventually(lambda: "messages_wait" in service.log.read_text(), timeout=30)
        assert broker.unacknowledged == 101
        own_postgres.start()
        eventually(broker.is_done, timeout=30)
        assert ids_in_log(own_postgres.url) == [event["id"] for event in first + second]
        assert [letter["attempts"] for letter in letters(own_postgres.url)] == [1]


def test_a_subscription_may_come_later(broker: Broker, database_url: str, tmp_path: Path) -> None:
    broker.unsubscribe()
    with pulling(database_url, tmp_path / "service.log", broker) as service:
        eventually(lambda: "NOT_FOUND" in service.log.read_text())
        broker.subscribe()
        broker.publish(text(judged(id="at last")))
        eventually(broker.is_done, timeout=30)
    assert ids_in_log(database_url) == ["at last"]


def test_pulling_needs_a_project(database_url: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="PROGRESS_PULL is set, but PROGRESS_PUBSUB_PROJECT"):
        CommandService(database_url, tmp_path / "log", "--pull").start()


class Taker:
    """Stands for the log: takes messages, or is full."""

    def __init__(self) -> None:
        self.is_full = True
        self.asked = 0
        self.taken: list[str] = []

    async def take(self, messages: Sequence[Message]) -> list[Verdict]:
        self.asked += 1
        if self.is_full:
            raise AppendQueueFull(50_000, retry_after=1.0)
        self.taken += [message.message_id for message in messages]
        return [Verdict([]) for _ in messages]


@asynccontextmanager
async def pull_into(taker: Taker, broker: Broker) -> AsyncGenerator[asyncio.Event]:
    client, stop = subscriber_client(), asyncio.Event()
    task = asyncio.create_task(Pull(client, broker.subscription, taker.take, pauses).run(stop))
    yield stop
    stop.set()
    await asyncio.wait_for(task, 8)
    await client.transport.close()


async def test_pulling_stops_while_the_queue_is_full(broker: Broker) -> None:
    taker = Taker()
    ids = broker.publish_all([judged() for _ in range(MOST_MESSAGES + 500)])
    control = broker.emulator.control
    async with pull_into(taker, broker):
        await until(lambda: answer(control.leased(broker.subscription) == MOST_MESSAGES and taker.asked > 3))
        assert control.waiting(broker.subscription) == 500
        taker.is_full = False
        await until(lambda: answer(broker.is_done()), seconds=20)
    assert sorted(taker.taken) == sorted(ids)


async def test_leases_are_extended_while_messages_wait(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("progress_context.intake.leases.EXTEND_SECONDS", 0.02)
    taker = Taker()
    message_id = broker.publish(b"x")
    async with pull_into(taker, broker):
        await until(lambda: answer(taker.asked > 0))
        for goal in range(2, 6):  # nine tenths of a lease, again and again
            broker.emulator.control.advance(LEASE_SECONDS * 0.9)
            await until(lambda goal=goal: answer(taker.asked > goal))
            assert broker.emulator.control.leased(broker.subscription) == 1
        taker.is_full = False
        await until(lambda: answer(broker.is_done()))
    assert taker.taken == [message_id]


async def test_what_a_full_queue_holds_is_given_back_at_the_end(broker: Broker) -> None:
    taker = Taker()
    broker.publish(b"x")
    async with pull_into(taker, broker):
        await until(lambda: answer(taker.asked > 1))
    assert broker.emulator.control.waiting(broker.subscription) == 1


async def answer(value: object) -> object:
    return value
