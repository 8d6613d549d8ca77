"""Push subscriptions: messages go out by HTTP POST and are acknowledged by a 2xx answer."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from google.protobuf.json_format import MessageToDict

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.broker import Broker
from pubsub_emulator.delivery import Entry, Stream
from pubsub_emulator.messages import MEGABYTE

ACCEPTED = {102, 200, 201, 202, 204}
WINDOW = 100  # requests under way at once for a subscription; one for an ordering key
LOOK = 0.02  # seconds between looks for new push subscriptions
ISSUER = "https://accounts.google.com"


@dataclass(frozen=True)
class PushKey:
    """The private key (PEM; RSA, or P-256) that signs push tokens, and its name in the key set."""

    pem: str
    kid: str = "push"

    def token(self, oidc: Any, endpoint: str) -> str:
        """A token as Google's: for the audience of the subscription, or else its endpoint."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": oidc.audience or endpoint,
            "azp": "117000000000000000000",
            "sub": "117000000000000000000",
            "email": oidc.service_account_email,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
        }
        algorithm = "ES256" if "EC PRIVATE" in self.pem else "RS256"
        return jwt.encode(claims, self.pem, algorithm, headers={"kid": self.kid})


class Pushing:
    """Delivers the messages of all subscriptions that have a push endpoint."""

    def __init__(self, broker: Broker, key: PushKey | None) -> None:
        self._broker = broker
        self._key = key
        self._workers: dict[Backlog, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Push until cancelled."""
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=WINDOW)) as client:
            try:
                while True:
                    self._start(client)
                    await asyncio.sleep(LOOK)
            finally:
                for worker in self._workers.values():
                    worker.cancel()
                await asyncio.gather(*self._workers.values(), return_exceptions=True)

    def _start(self, client: httpx.AsyncClient) -> None:
        for backlog in self._broker.subscriptions.values():
            if backlog.config.push_config.push_endpoint and backlog not in self._workers:
                self._workers[backlog] = asyncio.create_task(self._push(backlog, client))
        for backlog in [backlog for backlog, worker in self._workers.items() if worker.done()]:
            self._workers.pop(backlog).result()

    async def _push(self, backlog: Backlog, client: httpx.AsyncClient) -> None:
        """Push while the subscription exists and has an endpoint."""
        stream = Stream(0, WINDOW, 0, key_window=1)
        backlog.waiters.add(stream.news)
        posts: set[asyncio.Task[None]] = set()
        try:
            while self._wanted(backlog):
                stream.news.clear()
                await self._broker.faults.hold()
                for entry in self._take(backlog, stream):
                    post = asyncio.create_task(self._post(backlog, entry, client))
                    posts.add(post)
                    post.add_done_callback(posts.discard)
                await stream.news.wait()
        finally:
            for post in posts:
                post.cancel()
            await asyncio.gather(*posts, return_exceptions=True)
            backlog.close(stream)

    def _wanted(self, backlog: Backlog) -> bool:
        config = backlog.config
        return (
            bool(config.push_config.push_endpoint) and self._broker.subscriptions.get(config.name) is backlog
        )

    def _take(self, backlog: Backlog, stream: Stream) -> list[Entry]:
        room = stream.max_messages - stream.messages
        return backlog.take(stream, room, 10 * MEGABYTE, backlog.config.ack_deadline_seconds)

    async def _post(self, backlog: Backlog, entry: Entry, client: httpx.AsyncClient) -> None:
        ack_ids = [entry.ack_id]
        codes = [await self._send(backlog, entry, client) for _ in range(self._broker.faults.copies)]
        if all(code in ACCEPTED for code in codes):
            backlog.acknowledge(ack_ids)
        else:
            backlog.modify(ack_ids, 0)

    async def _send(self, backlog: Backlog, entry: Entry, client: httpx.AsyncClient) -> int:
        """The status of the answer, 0 for none."""
        config = backlog.config.push_config
        headers = {"Content-Type": "application/json", "User-Agent": "CloudPubSub-Google"}
        if self._key and config.HasField("oidc_token"):
            headers["Authorization"] = f"Bearer {self._key.token(config.oidc_token, config.push_endpoint)}"
        if config.HasField("no_wrapper"):
            content = entry.message.pb.data
            headers |= _metadata(backlog, entry)
        else:
            content = json.dumps(wrapped(backlog, entry)).encode()
        try:
            answer = await client.post(
                config.push_endpoint,
                content=content,
                headers=headers,
                timeout=backlog.config.ack_deadline_seconds,
            )
        except httpx.HTTPError:
            return 0
        return answer.status_code


def wrapped(backlog: Backlog, entry: Entry) -> dict[str, Any]:
    """The body of a push: some facts under two names, as Google sends them."""
    pb = entry.message.pb
    published = MessageToDict(pb)["publishTime"]
    message: dict[str, Any] = {
        "data": base64.b64encode(pb.data).decode(),
        "messageId": pb.message_id,
        "message_id": pb.message_id,
        "publishTime": published,
        "publish_time": published,
    }
    if pb.attributes:
        message["attributes"] = dict(pb.attributes)
    if pb.ordering_key:
        message["orderingKey"] = pb.ordering_key
    body: dict[str, Any] = {"message": message, "subscription": backlog.config.name}
    if backlog.config.dead_letter_policy.dead_letter_topic:
        body["deliveryAttempt"] = entry.failures + 1
    return body


def _metadata(backlog: Backlog, entry: Entry) -> dict[str, str]:
    """The headers of an unwrapped push with `write_metadata`; attributes go under their own names."""
    if not backlog.config.push_config.no_wrapper.write_metadata:
        return {}
    pb = entry.message.pb
    facts = {
        "subscription-name": backlog.config.name,
        "message-id": pb.message_id,
        "publish-time": MessageToDict(pb)["publishTime"],
        "ordering-key": pb.ordering_key,
    }
    return {f"x-goog-pubsub-{name}": value for name, value in facts.items() if value} | dict(pb.attributes)
