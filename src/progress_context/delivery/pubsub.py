"""Google Pub/Sub: addresses, connections, and what its errors mean."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import google.auth
import grpc.aio
from google.api_core.exceptions import GoogleAPICallError, InvalidArgument
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import DefaultCredentialsError
from google.pubsub_v1 import PublisherAsyncClient, SubscriberAsyncClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcAsyncIOTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcAsyncIOTransport

from progress_context.errors import SettingsError
from progress_context.settings import variable_of

EVENTS = "progress-events"
PROJECTION = "progress-projection"
EMULATOR = "PUBSUB_EMULATOR_HOST"

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 10.0  # seconds


def topic_path(project: str, prefix: str) -> str:
    """The full name of the topic that carries the log."""
    return f"projects/{project}/topics/{prefix}{EVENTS}"


def subscription_path(project: str, prefix: str) -> str:
    """The full name of the subscription that projection services share."""
    return f"projects/{project}/subscriptions/{prefix}{PROJECTION}"


def publisher_client() -> PublisherAsyncClient:
    """A client for this loop; PUBSUB_EMULATOR_HOST is heeded."""
    return PublisherAsyncClient(transport=PublisherGrpcAsyncIOTransport(**_where()))


def subscriber_client() -> SubscriberAsyncClient:
    """A client for this loop; PUBSUB_EMULATOR_HOST is heeded."""
    return SubscriberAsyncClient(transport=SubscriberGrpcAsyncIOTransport(**_where()))


def require_credentials() -> None:
    """Raise SettingsError when Google's library finds no credentials and no emulator is named."""
    if os.environ.get(EMULATOR):
        return
    try:
        google.auth.default()
    except DefaultCredentialsError as error:
        variable = variable_of("pubsub_project")
        raise SettingsError(f"{variable} is set, but there are no credentials: {error}") from None


def _where() -> dict[str, Any]:
    host = os.environ.get(EMULATOR)
    if not host:
        return {}
    return {"host": host, "channel": _plain_channel, "credentials": AnonymousCredentials()}


def _plain_channel(host: str, *, options: Any, **_: object) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(host, options=options)


def pauses() -> Iterator[float]:
    """Seconds to wait between attempts, without end: twice as long each time, never all at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret
        pause = min(pause * 2, LONGEST_PAUSE)


def is_refusal(error: GoogleAPICallError) -> bool:
    """Whether it is about what was sent, so that sending it again cannot help."""
    return isinstance(error, InvalidArgument)


def code_of(error: GoogleAPICallError) -> str:
    """The error's gRPC code by name, for logs and metrics."""
    return error.grpc_status_code.name if error.grpc_status_code else "UNKNOWN"
