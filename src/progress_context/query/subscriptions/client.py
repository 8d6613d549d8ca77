"""One client, over a socket or a stream: its operations; how they are told is up to the transport."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from progress_context import telemetry
from progress_context.errors import ProgressError, TokenRefused
from progress_context.query.execute import Executor
from progress_context.query.responses import code_of
from progress_context.query.subscriptions.admission import Admission
from progress_context.query.subscriptions.hub import Feed, Hub
from progress_context.query.subscriptions.outbox import Outbox, Ticket
from progress_context.query.subscriptions.payloads import Payload
from progress_context.query.subscriptions.protocol import Params, refused
from progress_context.query.subscriptions.stream import DocumentRefused, Reader, Wanted
from progress_context.tokens import LEEWAY_SECONDS

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all clients of a process share.

    A client that reads nothing for `slow_seconds`, or does not initialise within `init_seconds`, is closed.
    """

    executor: Executor
    reader: Reader
    hub: Hub
    admission: Admission
    most_operations: int
    slow_seconds: float
    init_seconds: float


class ClientFeed(Feed):
    """A subscription of a client."""

    __slots__ = ("_client", "_id", "_unwritten")

    def __init__(self, wanted: Wanted, client: Client, operation: str) -> None:
        super().__init__(wanted.stream, wanted.after)
        self._client = client
        self._id = operation
        self._unwritten = 0

    def give(self, payloads: Sequence[Payload]) -> None:
        """Send them; when the last one is written there may be more."""
        self._unwritten = len(payloads)
        for payload in payloads:
            self._client.next(self._id, payload.text, payload.position, self)

    def fail(self, errors: str) -> None:
        """Tell the client."""
        self._client.stop(self._id)
        self._client.failed(self._id, errors)

    def written(self) -> None:
        """One of the payloads was written, or is not wanted any more."""
        telemetry.LIVE_SENT.inc()
        self._unwritten -= 1
        if not self._unwritten:
            self._client.desk.hub.written(self)


class Client(ABC):
    """One client. Its transport calls `start` and `stop`, and hears of results by the abstract methods."""

    __slots__ = ("_feeds", "_tasks", "closing", "desk", "heard_at", "outbox", "who")

    transport = ""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.outbox = Outbox()
        self.heard_at = time.monotonic()
        self.who: object = None
        self.closing = False
        self._feeds: dict[str, ClientFeed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @abstractmethod
    def next(self, operation: str, payload: str, position: int | None, ticket: Ticket | None = None) -> None:
        """Send a response; that of a subscription brings the client to a position."""

    @abstractmethod
    def failed(self, operation: str, errors: str) -> None:
        """Tell that an operation could not begin, or not go on; `errors` is a JSON list."""

    @abstractmethod
    def completed(self, operation: str) -> None:
        """Tell that an operation is over."""

    @abstractmethod
    def check(self, now: float) -> None:
        """Look whether it is time for something; called every second."""

    @abstractmethod
    async def go_away(self) -> None:
        """End because the service does; returns when the client was told, or does not listen."""

    def start(self, operation: str, params: Params, after: int | None = None) -> None:
        """Begin an operation; `after` goes before what it says itself."""
        self._tasks[operation] = asyncio.create_task(self._run(operation, params, after))

    def stop(self, operation: str) -> None:
        """End an operation: nothing more of it is sent."""
        if task := self._tasks.pop(operation, None):
            task.cancel()
        if feed := self._feeds.pop(operation, None):
            self.desk.hub.leave(feed)

    def leave(self) -> None:
        """End everything."""
        self.closing = True
        for operation in [*self._tasks, *self._feeds]:
            self.stop(operation)
        self.outbox.close()

    def is_slow(self, now: float) -> bool:
        """Whether one write has waited for too long."""
        since = self.outbox.busy_since
        return since is not None and now - since > self.desk.slow_seconds

    def has_expired(self) -> bool:
        """Whether the token that let the client in is not valid any more."""
        if self.who is None:
            return False
        return self.desk.admission.reader(self.who).until + LEEWAY_SECONDS <= time.time()

    async def _run(self, operation: str, params: Params, after: int | None) -> None:
        try:
            await self._begin(operation, params, after)
        except DocumentRefused as error:
            self.failed(operation, error.errors)
        except ProgressError as error:
            code = "FORBIDDEN" if isinstance(error, TokenRefused) else code_of(error)
            self.failed(operation, refused(code, str(error)))
        except Exception as error:  # a bug ends this operation, not the others of the client
            log.error("live_operation_failed", error=repr(error), exc_info=error)
            self.failed(operation, refused("INTERNAL_ERROR", "internal error"))
        finally:
            if self._tasks.get(operation) is asyncio.current_task():  # the id may be in use again
                del self._tasks[operation]

    async def _begin(self, operation: str, params: Params, after: int | None) -> None:
        wanted = await self.desk.reader.read(params)
        user_id = wanted.stream.user_id if wanted else None
        await self.desk.admission.operate(self.who, params, user_id)
        if wanted is None:
            with telemetry.operation_seconds(params.operationName).time():
                variables: dict[str, Any] = params.variables or {}
                reader = self.desk.admission.reader(self.who)
                reply = await self.desk.executor.respond(
                    params.query, variables, params.operationName, reader
                )
            self._answered(operation, reply.body)
            return
        if after is not None:
            wanted = Wanted(wanted.stream, after)
        feed = self._feeds[operation] = ClientFeed(wanted, self, operation)
        self.desk.hub.join(feed)

    def _answered(self, operation: str, body: bytes) -> None:
        """A query was executed, or refused as a whole: then there is no data."""
        response = _read_response(body)
        if response.data is msgspec.UNSET:
            self.failed(operation, bytes(response.errors).decode())
        else:
            self.next(operation, body.decode(), None)
            self.completed(operation)


class _Response(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    errors: msgspec.Raw = msgspec.Raw(b"[]")


_read_response = msgspec.json.Decoder(_Response).decode
