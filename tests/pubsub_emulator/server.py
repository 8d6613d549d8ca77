"""The emulator as a gRPC server."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio

from pubsub_emulator.broker import Broker
from pubsub_emulator.control import Control
from pubsub_emulator.journal import ADMINISTRATION, Journal
from pubsub_emulator.messages import message_class
from pubsub_emulator.publisher import Publisher
from pubsub_emulator.push import Pushing, PushKey
from pubsub_emulator.refusal import Refused, denied, unavailable
from pubsub_emulator.schemas import SchemaService
from pubsub_emulator.streams import StreamingPull
from pubsub_emulator.subscriber import Subscriber

TICK = 0.01  # seconds: how late a lease may run out
RETENTION_TICKS = 100
OPTIONS = (
    (
        "grpc.max_receive_message_length",
        24 << 20,
    ),  # what is too large is refused by the API, not the transport
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)
SCHEMA_SERVICE = {
    "CreateSchema": "CreateSchemaRequest",
    "CommitSchema": "CommitSchemaRequest",
    "GetSchema": "GetSchemaRequest",
    "ListSchemas": "ListSchemasRequest",
    "DeleteSchema": "DeleteSchemaRequest",
    "ValidateSchema": "ValidateSchemaRequest",
}
PUBLISHER = {
    "CreateTopic": "Topic",
    "UpdateTopic": "UpdateTopicRequest",
    "GetTopic": "GetTopicRequest",
    "ListTopics": "ListTopicsRequest",
    "DeleteTopic": "DeleteTopicRequest",
    "ListTopicSubscriptions": "ListTopicSubscriptionsRequest",
    "Publish": "PublishRequest",
}
SUBSCRIBER = {
    "CreateSubscription": "Subscription",
    "GetSubscription": "GetSubscriptionRequest",
    "UpdateSubscription": "UpdateSubscriptionRequest",
    "ListSubscriptions": "ListSubscriptionsRequest",
    "DeleteSubscription": "DeleteSubscriptionRequest",
    "ModifyPushConfig": "ModifyPushConfigRequest",
    "Acknowledge": "AcknowledgeRequest",
    "ModifyAckDeadline": "ModifyAckDeadlineRequest",
    "Pull": "PullRequest",
    "Seek": "SeekRequest",
}


class Emulator:
    """A Pub/Sub on a port of this machine while the `async with` block runs; `port` 0 takes a free one.

    Push subscriptions with an OIDC service account send tokens signed with `push_key`, and none without it.
    With a file for the `journal`, it begins where an earlier one ended or was killed.
    """

    def __init__(self, port: int = 0, push_key: PushKey | None = None, journal: Path | None = None) -> None:
        self.broker = Broker()
        self._schemas = SchemaService(self.broker)
        self._publisher = Publisher(self.broker)
        self._calls = Subscriber(self.broker)
        self._pushing = Pushing(self.broker, push_key)
        self._wanted_port = port
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers(
            (
                self._service("SchemaService", self._schemas, SCHEMA_SERVICE),
                self._service("Publisher", self._publisher, PUBLISHER),
                self._subscriber(),
                self._control(),
            )
        )
        if journal:
            Journal(journal).restore(self.broker, self._again)

    async def __aenter__(self) -> Self:
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self._wanted_port}")
        self.address = f"127.0.0.1:{self.port}"
        await self._server.start()
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._pushing.run())]
        for task in self._tasks:
            task.add_done_callback(lambda ended: ended.cancelled() or ended.result())  # fail aloud
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop(None)

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await asyncio.sleep(TICK)
            self.broker.tick()
            ticks += 1
            if ticks % RETENTION_TICKS == 0:
                self.broker.drop_older()

    def _service(self, name: str, calls: object, requests: dict[str, str]) -> grpc.GenericRpcHandler:
        handlers = {
            call: self._unary(call, getattr(calls, _snake(call)), message_class(request))
            for call, request in requests.items()
        }
        return grpc.method_handlers_generic_handler(f"google.pubsub.v1.{name}", handlers)

    def _subscriber(self) -> grpc.GenericRpcHandler:
        handlers = {
            call: self._unary(call, getattr(self._calls, _snake(call)), message_class(request))
            for call, request in SUBSCRIBER.items()
        }
        handlers["StreamingPull"] = grpc.stream_stream_rpc_method_handler(
            self._stream,
            request_deserializer=message_class("StreamingPullRequest").FromString,
            response_serializer=message_class("StreamingPullResponse").SerializeToString,
        )
        return grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", handlers)

    def _again(self, call: str, request: Any) -> object:
        """Answer a request of the journal."""
        for owner, calls in ((self._schemas, SCHEMA_SERVICE), (self._publisher, PUBLISHER)):
            if call in calls:
                return getattr(owner, _snake(call))(request)
        return getattr(self._calls, _snake(call))(request)

    def _unary(self, name: str, call: Callable[[Any], Any], request: Any) -> Any:
        faults = self.broker.faults
        is_publish = name == "Publish"

        async def answer(request: Any, context: Any) -> Any:
            try:
                await faults.hold()
                if faults.denied:
                    raise denied()
                if not is_publish and faults.happens(faults.call_unavailable):
                    raise unavailable()
                result: Any = call(request)
                if name in ADMINISTRATION and self.broker.journal:
                    self.broker.journal.note(name, request)
                return await result if inspect.isawaitable(result) else result
            except Refused as refused:
                await context.abort(refused.code, refused.message)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request.FromString,
            response_serializer=_serialize,
        )

    async def _stream(self, _requests: object, context: Any) -> None:
        try:
            await StreamingPull(self.broker, context).run()
        except Refused as refused:
            await context.abort(refused.code, refused.message)

    def _control(self) -> grpc.GenericRpcHandler:
        control = Control(self.broker)

        async def answer(request: bytes, _context: object) -> bytes:
            return json.dumps(control.command(json.loads(request))).encode()

        return grpc.method_handlers_generic_handler(
            "pubsub_emulator.Control", {"Command": grpc.unary_unary_rpc_method_handler(answer)}
        )


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()


def _snake(call: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in call)[1:]
