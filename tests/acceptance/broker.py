"""A command service that pulls from a Pub/Sub emulator, with nothing else around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.cloud.pubsub_v1.types import PublisherOptions
from tests.conftest import answers

from acceptance.system import Event, fetch, text
from ports import free_port
from progress_context.intake.leases import LEASE_SECONDS
from progress_context.intake.pull import SOURCES
from progress_context.local.ports import LOOPBACK
from pubsub_emulator.process import EmulatorProcess
from waiting import eventually

PROJECT = "acceptance"
TOPIC = "learning-events"
STRUCTURED = {"content-type": "application/cloudevents+json"}


class Broker:
    """Topics and subscriptions of one test, apart from all others by a prefix."""

    def __init__(self, emulator: EmulatorProcess, prefix: str, monkeypatch: Any) -> None:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", emulator.address)
        self.emulator = emulator
        self.prefix = prefix
        self.subscription = f"projects/{PROJECT}/subscriptions/{prefix}progress-command-{TOPIC}"
        self._topic = f"projects/{PROJECT}/topics/{prefix}{TOPIC}"
        self._publisher = PublisherClient(publisher_options=PublisherOptions(enable_message_ordering=True))
        self._publisher.create_topic(name=f"projects/{PROJECT}/topics/{prefix}progress-events")
        for source in SOURCES:
            self._publisher.create_topic(name=f"projects/{PROJECT}/topics/{prefix}{source}")
            self.subscribe(source)

    def subscribe(self, source: str = TOPIC) -> None:
        """Create the subscription to a source."""
        with SubscriberClient() as subscriber:
            subscriber.create_subscription(
                {
                    "name": f"projects/{PROJECT}/subscriptions/{self.prefix}progress-command-{source}",
                    "topic": f"projects/{PROJECT}/topics/{self.prefix}{source}",
                    "enable_message_ordering": True,
                    "ack_deadline_seconds": 10,
                }
            )

    def unsubscribe(self) -> None:
        """Delete the subscription."""
        with SubscriberClient() as subscriber:
            subscriber.delete_subscription(subscription=self.subscription)

    def publish(self, data: bytes, attributes: Mapping[str, str] = STRUCTURED, key: str = "") -> str:
        """The id of the message, once the emulator has it."""
        return self._publisher.publish(self._topic, data, ordering_key=key, **attributes).result(timeout=30)

    def publish_all(self, events: Sequence[Event], key: str = "") -> list[str]:
        """Publish events one after the other, without waiting for each; the ids of the messages."""
        sent = [
            self._publisher.publish(self._topic, text(event), ordering_key=key, **STRUCTURED)
            for event in events
        ]
        return [each.result(timeout=60) for each in sent]

    @property
    def unacknowledged(self) -> int:
        """Messages that are not acknowledged, with a subscriber or not."""
        control = self.emulator.control
        return control.waiting(self.subscription) + control.leased(self.subscription)

    def is_done(self) -> bool:
        """Whether every message is acknowledged."""
        return self.unacknowledged == 0

    def let_leases_end(self) -> None:
        """So much time passes that what a subscriber lost is delivered again."""
        self.emulator.control.advance(LEASE_SECONDS + 1)

    def close(self) -> None:
        """Close the connections."""
        self._publisher.stop()
        self._publisher.transport.close()


class CommandService:
    """`progress-context serve command` in a process of its own, on a free port."""

    def __init__(self, database: str, log: Path, *arguments: str, **environment: str) -> None:
        self.database = database
        self.log = log
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self._arguments = arguments
        self._environment = {"PROGRESS_COMMAND_PORT": str(port), "DATABASE_URL": database} | environment

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()

    def start(self) -> None:
        """Start it, again if it was killed, and wait until it is ready."""
        command = [sys.executable, "-m", "progress_context", "serve", "command", *self._arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **self._environment}, stdout=log, stderr=log
            )
        eventually(self._is_ready, timeout=30)

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def metric(self, name: str, **labels: str) -> float:
        """A value of /metrics; 0 when it is not there yet."""
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rpartition(" ")[2])
        return 0.0

    def _is_ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended:\n{self.log.read_text()[-4000:]}")
        return answers(f"{self.url}/readyz")


def pulling(database: str, log: Path, broker: Broker) -> CommandService:
    """A command service that pulls what is published to this broker."""
    return CommandService(
        database,
        log,
        "--pull",
        PROGRESS_PUBSUB_PROJECT=PROJECT,
        PROGRESS_PUBSUB_PREFIX=broker.prefix,
        PUBSUB_EMULATOR_HOST=broker.emulator.address,
    )


def ids_in_log(database: str) -> list[str]:
    """The ids of all events, in the order of the log."""
    return [row["id"] for row in fetch(database, "SELECT id FROM log.events ORDER BY position")]


def letters(database: str) -> list[Any]:
    """All dead letters, the oldest first, with their attributes read."""
    rows = fetch(database, "SELECT * FROM ops.dead_letters ORDER BY letter_id")
    return [dict(row) | {"attributes": row["attributes"] and json.loads(row["attributes"])} for row in rows]
