"""The load: so many events a second whatever happens, each sent until it is acknowledged."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import httpx
from google.api_core.exceptions import GoogleAPICallError
from google.pubsub_v1 import PublisherAsyncClient, PublishRequest, PubsubMessage

from progress_context.delivery.pubsub import publisher_client
from soak.events import Event, Maker

EVERY = 0.1  # seconds
BATCH = "application/cloudevents-batch+json"
STRUCTURED = {"content-type": "application/cloudevents+json"}
SENDERS = 4  # for each way
CALL_SECONDS = 15.0
PAUSE = 0.1  # seconds after a failure
LONGEST_QUEUE = 60.0  # seconds of load; beyond that nothing is made, as a sender with a full disk
TWICE = 0.02  # share of the batches that are sent again, the other way
RUBBISH = 0.002  # share of the messages to Pub/Sub

Batch = tuple[int, list[Event]]
Send = Callable[[list[Event]], Awaitable[bool]]


class Load:
    """Sends what `maker` makes, half by HTTP to `url`, half to the Pub/Sub topics under `prefix`."""

    def __init__(self, maker: Maker, rate: int, url: str, prefix: str, seed: int) -> None:
        self.acknowledged: dict[str, int | None] = {}  # ids with the position, if it was told
        self.rubbish: dict[bytes, bool] = {}  # what is no event, and whether Pub/Sub took it for certain
        self.repeated = 0
        self.held_back = 0
        self.failures: list[str] = []
        self._maker = maker
        self._rate = rate
        self._url = f"{url}/events"
        self._prefix = prefix
        self._dice = Random(seed)
        self._http = httpx.AsyncClient(timeout=CALL_SECONDS)
        self._publisher: PublisherAsyncClient | None = None
        self._queues: tuple[asyncio.Queue[Batch], asyncio.Queue[Batch]] = (asyncio.Queue(), asyncio.Queue())
        self._due: dict[
            int, float
        ] = {}  # when the batches that are not acknowledged were due, the oldest first
        self._batches = itertools.count(1)

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop` is set and everything that was made is acknowledged."""
        self._publisher = publisher_client()
        async with asyncio.TaskGroup() as tasks:
            senders = [
                tasks.create_task(self._send_all(queue, send))
                for queue, send in zip(self._queues, (self._post, self._publish), strict=True)
                for _ in range(SENDERS)
            ]
            await self._make(stop)
            for queue in self._queues:
                await queue.join()
            for sender in senders:
                sender.cancel()
        await self._http.aclose()
        await self._publisher.transport.close()

    def behind(self) -> float:
        """Seconds since the oldest batch that is not acknowledged was due."""
        now = time.monotonic()
        return now - next(iter(self._due.values()), now)

    async def _make(self, stop: asyncio.Event) -> None:
        self._put(1, self._maker.beginnings())
        due = time.monotonic()
        owed = 0.0
        while not stop.is_set():
            due += EVERY
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            owed += self._rate * EVERY
            if self.behind() < LONGEST_QUEUE:
                for way in (0, 1):
                    self._put(way, self._maker.some(int(owed / 2)))
            else:
                self.held_back += int(owed)
            owed %= 2

    def _put(self, way: int, events: list[Event]) -> None:
        if events:
            number = next(self._batches)
            self._due[number] = time.monotonic()
            self._queues[way].put_nowait((number, events))

    async def _send_all(self, queue: asyncio.Queue[Batch], send: Send) -> None:
        while True:
            number, events = await queue.get()
            while not await send(events):
                await asyncio.sleep(PAUSE)
            del self._due[number]
            if self._dice.random() < TWICE:
                self.repeated += len(events)
                self._put(self._dice.randrange(2), events)
            queue.task_done()

    async def _post(self, events: list[Event]) -> bool:
        try:
            answer = await self._http.post(
                self._url, content=json.dumps(events), headers={"content-type": BATCH}
            )
        except httpx.TransportError:
            return False
        if answer.status_code not in (200, 201):
            if answer.status_code not in (429, 503):
                self.failures.append(f"POST /events answered {answer.status_code}: {answer.text[:200]}")
            return False
        for result in answer.json()["results"]:
            if result["status"] not in ("stored", "duplicate"):
                self.failures.append(f"POST /events: {result}")
            self._note(result["id"], result.get("position"))
        return True

    def _note(self, event_id: str, position: int | None) -> None:
        earlier = self.acknowledged.get(event_id)
        if None not in (earlier, position) and earlier != position:
            self.failures.append(f"{event_id} was told to be at position {earlier}, then at {position}")
        self.acknowledged[event_id] = position or earlier
        if position:
            self._maker.was_acknowledged(event_id)

    async def _publish(self, events: list[Event]) -> bool:
        by_topic: dict[str, list[PubsubMessage]] = defaultdict(list)
        for event in events:
            by_topic[f"{event['type'].partition('.')[0]}-events"].append(_message(event))
        for topic, messages in by_topic.items():
            if not await self._publish_to(topic, messages):
                return False
        for event in events:
            self._note(event["id"], None)
        if self._dice.random() < RUBBISH * len(events):
            await self._publish_rubbish()
        return True

    async def _publish_rubbish(self) -> None:
        rubbish = json.dumps({"rubbish": self._dice.random()}).encode()
        self.rubbish[rubbish] = False
        message = PubsubMessage(data=rubbish, attributes=STRUCTURED)
        self.rubbish[rubbish] = await self._publish_to("learning-events", [message])

    async def _publish_to(self, topic: str, messages: Sequence[PubsubMessage]) -> bool:
        assert self._publisher
        request = PublishRequest(topic=f"{self._prefix}{topic}", messages=messages)
        try:
            await self._publisher.publish(request, retry=None, timeout=CALL_SECONDS)
        except GoogleAPICallError:
            return False
        return True


def _message(event: Event) -> PubsubMessage:
    return PubsubMessage(
        data=json.dumps(event).encode(), attributes=STRUCTURED, ordering_key=event["subject"]
    )
