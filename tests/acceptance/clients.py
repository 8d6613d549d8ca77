"""Clients that do not give up: each batch is sent until it is acknowledged."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import suppress
from typing import Any, Self

import httpx

from acceptance.system import BATCH, array, judged, text
from waiting import eventually

CLIENTS = 4


class Client(threading.Thread):
    """Posts batches, each again and again until it is acknowledged."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/events"
        self._dice = random.Random(number)
        self._http = httpx.Client(timeout=30)
        self.enough = threading.Event()
        self.given_up = threading.Event()
        self._refused = False
        self.acknowledged: dict[str, int] = {}
        self.answers: Counter[int] = Counter()

    def run(self) -> None:
        while not self.enough.is_set() and not self.given_up.is_set():
            events = [judged() for _ in range(self._dice.randint(1, 20))]
            results = self._post_until_acknowledged(array([text(event) for event in events]))
            assert {result["status"] for result in results} <= {"stored", "duplicate"}
            self.acknowledged |= {result["id"]: result["position"] for result in results}
        self._http.close()

    def _post_until_acknowledged(self, body: bytes) -> list[dict[str, Any]]:
        while not self.given_up.wait(0.02 if self._refused else 0):
            self._refused = True
            with suppress(httpx.TransportError):
                answer = self._http.post(self._url, content=body, headers={"content-type": BATCH})
                self.answers[answer.status_code] += 1
                if answer.status_code < 300:
                    self._refused = False
                    return answer.json()["results"]
        return []


class Clients:
    """Several clients at once; what they were told, together. As a context manager they stop, come what may."""

    def __init__(self, url: str) -> None:
        self._clients = [Client(url, number) for number in range(CLIENTS)]
        for client in self._clients:
            client.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.given_up.set()
        for client in self._clients:
            client.join(timeout=60)

    def acknowledge(self, events: int, timeout: float = 40) -> None:
        """Wait until so many more events are acknowledged: whatever was away is back."""
        goal = self._count() + events
        eventually(lambda: self._count() >= goal, timeout=timeout, pause=0.005)

    def stop(self) -> None:
        """Let everyone finish the batch at hand."""
        for client in self._clients:
            client.enough.set()
        for client in self._clients:
            client.join(timeout=60)
            assert not client.is_alive()

    def acknowledged(self) -> dict[str, int]:
        """Event ids with their positions."""
        return {name: at for client in self._clients for name, at in list(client.acknowledged.items())}

    def answers(self) -> Counter[int]:
        """How often each HTTP status was answered."""
        return sum((client.answers for client in self._clients), Counter[int]())

    def _count(self) -> int:
        return sum(len(client.acknowledged) for client in self._clients)
