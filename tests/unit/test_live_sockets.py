"""What a socket does about credentials, bugs and silence, with the server played by the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.types import Message, Scope

from progress_context.errors import QueryError, TokenRefused
from progress_context.query.execute import Executor
from progress_context.query.subscriptions.admission import Admission, Credentials, OpenToAll
from progress_context.query.subscriptions.client import Desk
from progress_context.query.subscriptions.hub import Hub
from progress_context.query.subscriptions.live import Live
from progress_context.query.subscriptions.protocol import Params
from progress_context.query.subscriptions.stream import Reader, Wanted

INIT = '{"type":"connection_init","payload":{"token":"t"}}'
ASK = '{"type":"subscribe","id":"1","payload":{"query":"{ __typename }"}}'


class Wire:
    """Both ends of a socket."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.outgoing: asyncio.Queue[Message] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        await self.outgoing.put(message)

    def say(self, text: str) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    async def hears(self, kind: str) -> Message:
        async with asyncio.timeout(5):
            message = await self.outgoing.get()
        assert message["type"] == f"websocket.{kind}", message
        return message


class NobodyReads:
    """A reader of documents that is broken."""

    async def read(self, params: Params) -> Wanted | None:
        raise ValueError("a bug")


class Refusing(OpenToAll):
    """Lets nobody in, or nobody ask."""

    def __init__(self, *, connect: bool) -> None:
        self._connect = connect
        self.seen: list[Credentials] = []

    async def connect(self, credentials: Credentials) -> object:
        self.seen.append(credentials)
        if self._connect:
            raise TokenRefused("expired")
        return "ada"

    async def operate(self, who: object, params: Params, user_id: str | None) -> None:
        raise QueryError("FORBIDDEN", f"not for {who}")


class Queries:
    """A reader for which everything is a query."""

    async def read(self, params: Params) -> Wanted | None:
        return None


def live(admission: Admission | None = None, reader: object = None) -> Live:
    desk = Desk(
        cast("Executor", None),
        cast("Reader", reader or Queries()),
        cast("Hub", None),
        admission or OpenToAll(),
        most_operations=3,
        slow_seconds=1,
        init_seconds=1,
    )
    return Live(desk)


SCOPE: Scope = {
    "type": "websocket", "path": "/graphql", "subprotocols": ["graphql-transport-ws"],
    "headers": [(b"host", b"x"), (b"authorization", b"Bearer t")],
}  # fmt: skip


async def served(application: Live, play: Callable[[Wire], Awaitable[Any]]) -> None:
    wire = Wire()
    wire.incoming.put_nowait({"type": "websocket.connect"})
    serving = asyncio.create_task(application(SCOPE, wire.incoming.get, wire.send))
    await wire.hears("accept")
    await play(wire)
    async with asyncio.timeout(5):
        await serving


async def test_who_is_not_let_in_is_closed_as_forbidden() -> None:
    admission = Refusing(connect=True)

    async def play(wire: Wire) -> None:
        wire.say(INIT)
        assert (await wire.hears("close"))["code"] == 4403

    await served(live(admission), play)
    assert admission.seen == [Credentials({"host": "x", "authorization": "Bearer t"}, {"token": "t"})]


async def test_an_operation_that_is_not_allowed_is_refused_and_the_socket_stays() -> None:
    async def play(wire: Wire) -> None:
        wire.say(INIT)
        await wire.hears("send")
        wire.say(ASK)
        refused = (await wire.hears("send"))["text"]
        assert '"type":"error"' in refused
        assert "not for ada" in refused
        wire.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    await served(live(Refusing(connect=False)), play)


async def test_a_bug_in_an_operation_ends_that_operation() -> None:
    async def play(wire: Wire) -> None:
        wire.say(INIT)
        await wire.hears("send")
        wire.say(ASK)
        assert "INTERNAL_ERROR" in (await wire.hears("send"))["text"]
        wire.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    await served(live(reader=NobodyReads()), play)


async def test_a_bug_in_the_service_closes_the_socket_as_such() -> None:
    class Broken(OpenToAll):
        async def connect(self, credentials: Credentials) -> object:
            raise ValueError("a bug")

    async def play(wire: Wire) -> None:
        wire.say(INIT)
        assert (await wire.hears("close"))["code"] == 4500

    await served(live(Broken()), play)


@pytest.mark.parametrize(("after", "hears"), [(16.0, "send"), (46.0, "close")])
async def test_silence_is_asked_about_and_then_not_waited_for(after: float, hears: str) -> None:
    application = live()

    async def play(wire: Wire) -> None:
        wire.say(INIT)
        await wire.hears("send")
        [client] = application.clients
        client.check(time.monotonic() + after)
        message = await wire.hears(hears)
        assert message.get("text") == '{"type":"ping"}' or message["code"] == 1013
        wire.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    await served(application, play)


async def test_who_comes_while_the_service_ends_is_turned_away() -> None:
    application = live()
    await application.close()
    wire = Wire()
    wire.incoming.put_nowait({"type": "websocket.connect"})
    await application(SCOPE, wire.incoming.get, wire.send)
    await wire.hears("close")
