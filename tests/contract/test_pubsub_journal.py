"""An emulator that is killed goes on where it was, as Google does: nothing accepted is lost, nothing comes back."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from google.api_core.exceptions import NotFound
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions

from ports import free_port
from pubsub_emulator import EmulatorProcess

TOPIC = "projects/journal/topics/events"
FIRST, SECOND, GONE = (f"projects/journal/subscriptions/{name}" for name in ("first", "second", "gone"))

numbers = itertools.count(1)


class Life:
    """One life of an emulator, and clients of it."""

    def __init__(self, emulator: EmulatorProcess) -> None:
        self._options = PublisherOptions(enable_message_ordering=True)
        self.emulator = emulator

    def publish(self, count: int, key: str = "") -> list[str]:
        """Publish so many messages; their ids."""
        publisher = PublisherClient(publisher_options=self._options)
        sent = [publisher.publish(TOPIC, str(next(numbers)).encode(), ordering_key=key) for _ in range(count)]
        ids = [each.result(timeout=10) for each in sent]
        publisher.stop()
        publisher.transport.close()
        return ids

    def pull(self, subscription: str, count: int) -> dict[str, str]:
        """Up to so many messages: ids and ack ids."""
        with SubscriberClient() as subscriber:
            answer = subscriber.pull({"subscription": subscription, "max_messages": count})
        return {each.message.message_id: each.ack_id for each in answer.received_messages}

    def acknowledge(self, subscription: str, ack_ids: list[str]) -> None:
        with SubscriberClient() as subscriber:
            subscriber.acknowledge(subscription=subscription, ack_ids=ack_ids)


@contextmanager
def killed_in_the_end(journal: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Life]:
    port = free_port()
    with EmulatorProcess("--port", str(port), "--journal", str(journal)) as emulator:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
        yield Life(emulator)
        (process,) = (child for child in psutil.Process().children() if str(journal) in child.cmdline())
        process.kill()


def subscribe(*names: str) -> None:
    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        publisher.create_topic(name=TOPIC)
        for name in names:
            subscriber.create_subscription(
                {"name": name, "topic": TOPIC, "enable_message_ordering": name == FIRST}
            )


def test_what_was_accepted_and_acknowledged_outlives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"
    with killed_in_the_end(journal, monkeypatch) as life:
        subscribe(FIRST, SECOND, GONE)
        plain, ordered = life.publish(6), life.publish(4, "ada")
        done = life.pull(FIRST, 4)
        life.acknowledge(FIRST, list(done.values()))
        in_hand = life.pull(SECOND, 5)
        with SubscriberClient() as subscriber:
            subscriber.delete_subscription(subscription=GONE)
    for _ in range(2):  # the second life begins with a journal that the first one began anew
        with killed_in_the_end(journal, monkeypatch) as life:
            life.acknowledge(SECOND, list(in_hand.values()))  # of an earlier life: they mean nothing now
            left = [name for name in [*plain, *ordered] if name not in done]
            assert list(life.pull(FIRST, 100)) == left
            assert sorted(life.pull(SECOND, 100)) == sorted([*plain, *ordered])
            with pytest.raises(NotFound):
                life.pull(GONE, 1)
    with killed_in_the_end(journal, monkeypatch) as life:
        fresh = life.publish(3)
        assert min(map(int, fresh)) > max(map(int, [*plain, *ordered]))
        assert {*life.pull(SECOND, 100)} == {*plain, *ordered, *fresh}


def test_a_request_that_was_cut_off_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "journal"
    with killed_in_the_end(journal, monkeypatch) as life:
        subscribe(FIRST)
        (kept,) = life.publish(1)
        life.publish(1)
    journal.write_bytes(journal.read_bytes()[:-1])
    with killed_in_the_end(journal, monkeypatch) as life:
        assert list(life.pull(FIRST, 9)) == [kept]
