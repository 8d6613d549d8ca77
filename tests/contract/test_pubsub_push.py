"""Push subscriptions of our emulator: what arrives, with which token, and what happens on an error."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.pubsub_v1.types import PushConfig

from pubsub_emulator import EmulatorProcess
from pubsub_emulator.client import Clients
from waiting import until


@dataclass
class Endpoint:
    """A web server that keeps what it gets and answers the codes it is told to, then 204."""

    url: str = ""
    codes: list[int] = field(default_factory=list[int])
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def messages(self) -> list[dict[str, Any]]:
        """The wrapped messages so far."""
        return [json.loads(body)["message"] for body in self.bodies]

    def texts(self) -> list[str]:
        """Their data."""
        return [base64.b64decode(message["data"]).decode() for message in self.messages()]

    async def got(self, count: int) -> bool:
        """Whether so many requests came."""
        return len(self.bodies) >= count


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            endpoint.headers.append(dict(self.headers.items()))
            endpoint.bodies.append(body)
            self.send_response(endpoint.codes.pop(0) if endpoint.codes else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}/push"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield endpoint
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pushing(key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    """An emulator that signs tokens with `key`."""
    path: Path = tmp_path_factory.mktemp("push") / "key.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with EmulatorProcess("--push-key", str(path), "--push-key-id", "k1") as emulator:
        yield emulator


@pytest.fixture
async def clients(pushing: EmulatorProcess, request: pytest.FixtureRequest) -> Any:
    async with Clients(pushing.address, f"push-{abs(hash(request.node.name))}") as clients:
        yield clients


async def test_a_message_arrives_wrapped(clients: Clients, endpoint: Endpoint) -> None:
    topic, subscription = await clients.topic_with(push_config={"push_endpoint": endpoint.url})
    (number,) = await clients.publish(topic, "hello", key="k", kind="test")
    await until(lambda: endpoint.got(1))
    body = json.loads(endpoint.bodies[0])
    assert body["subscription"] == subscription
    message = body["message"]
    assert base64.b64decode(message["data"]) == b"hello"
    assert message["attributes"] == {"kind": "test"}
    assert message["orderingKey"] == "k"
    assert message["messageId"] == message["message_id"] == number
    assert message["publishTime"] == message["publish_time"]
    assert endpoint.headers[0]["Content-Type"] == "application/json"
    assert "Authorization" not in endpoint.headers[0]


@pytest.mark.parametrize(("audience", "expected"), [("us", "us"), ("", None)])
async def test_a_token_shows_who_pushes(
    clients: Clients, endpoint: Endpoint, key: rsa.RSAPrivateKey, audience: str, expected: str | None
) -> None:
    token = PushConfig.OidcToken(service_account_email="p@example.com", audience=audience)
    config = PushConfig(push_endpoint=endpoint.url, oidc_token=token)
    topic, _ = await clients.topic_with(push_config=config)
    await clients.publish(topic, "a")
    await until(lambda: endpoint.got(1))
    scheme, shown = endpoint.headers[0]["Authorization"].split()
    claims = jwt.decode(shown, key.public_key(), ["RS256"], audience=expected or endpoint.url)
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(shown)["kid"] == "k1"
    assert claims["iss"] == "https://accounts.google.com"
    assert (claims["email"], claims["email_verified"]) == ("p@example.com", True)


async def test_what_is_refused_is_pushed_again(
    clients: Clients, endpoint: Endpoint, pushing: EmulatorProcess
) -> None:
    endpoint.codes += [500, 429, 404]
    topic, subscription = await clients.topic_with(push_config={"push_endpoint": endpoint.url})
    await clients.publish(topic, "a")
    await until(lambda: endpoint.got(4))
    assert endpoint.texts() == ["a"] * 4
    await until(lambda: _settled(pushing, subscription))


async def _settled(pushing: EmulatorProcess, subscription: str) -> bool:
    return pushing.control.waiting(subscription) + pushing.control.leased(subscription) == 0


async def test_a_key_is_pushed_one_by_one(clients: Clients, endpoint: Endpoint) -> None:
    endpoint.codes += [204, 500]
    topic, _ = await clients.topic_with(
        push_config={"push_endpoint": endpoint.url}, enable_message_ordering=True
    )
    await clients.publish(topic, "a", "b", "c", key="k")
    await until(lambda: endpoint.got(4))
    assert endpoint.texts() == ["a", "b", "b", "c"]


async def test_attempts_are_told_where_dead_letters_go_somewhere(
    clients: Clients, endpoint: Endpoint
) -> None:
    dead_topic, dead = clients.topic("dead"), clients.subscription("dead")
    await clients.publisher.create_topic(name=dead_topic)
    await clients.subscriber.create_subscription(name=dead, topic=dead_topic)
    endpoint.codes += [500] * 5
    topic, _ = await clients.topic_with(
        push_config={"push_endpoint": endpoint.url},
        dead_letter_policy={"dead_letter_topic": dead_topic, "max_delivery_attempts": 5},
    )
    await clients.publish(topic, "bad")
    (buried,) = await clients.pull_in_time(dead)
    assert buried.message.data == b"bad"
    assert [json.loads(body)["deliveryAttempt"] for body in endpoint.bodies] == [1, 2, 3, 4, 5]


async def test_without_the_wrapper_the_body_is_the_data(clients: Clients, endpoint: Endpoint) -> None:
    config = PushConfig(push_endpoint=endpoint.url, no_wrapper=PushConfig.NoWrapper(write_metadata=True))
    topic, subscription = await clients.topic_with(push_config=config)
    (number,) = await clients.publish(topic, "hello", kind="test")
    await until(lambda: endpoint.got(1))
    assert endpoint.bodies == [b"hello"]
    headers = {name.lower(): value for name, value in endpoint.headers[0].items()}
    assert headers["x-goog-pubsub-subscription-name"] == subscription
    assert headers["x-goog-pubsub-message-id"] == number
    assert headers["kind"] == "test"


async def test_a_subscription_changes_between_pull_and_push(clients: Clients, endpoint: Endpoint) -> None:
    topic, subscription = await clients.topic_with()
    await clients.publish(topic, "a")
    await clients.subscriber.modify_push_config(
        subscription=subscription, push_config=PushConfig(push_endpoint=endpoint.url)
    )
    await until(lambda: endpoint.got(1))
    await clients.subscriber.modify_push_config(subscription=subscription, push_config=PushConfig())
    await clients.publish(topic, "b")
    (received,) = await clients.pull_in_time(subscription)
    assert received.message.data == b"b"
    assert endpoint.texts() == ["a"]
