"""Our HTTP server over real sockets: what is at hand, and who sends too slowly, too much or too often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from progress_context.services import http_server
from progress_context.services.http_server import HEAD_BYTES, Answer, AtHand, HttpServer, Soon
from progress_context.services.server import bound

LENGTH = (b"content-length", b"4")


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    answer = b"app " + body
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def at_hand(scope: Scope, body: bytes) -> Answer | Soon | None:
    async def soon(answer: Answer | None) -> Answer | None:
        await asyncio.sleep(0.01)
        if body == b"soon broken":
            raise RuntimeError
        return answer

    answer: Answer = 200, [LENGTH], b"hand"
    match body:
        case b"now":
            return answer
        case b"soon" | b"soon broken":
            return soon(answer)
        case b"soon not":
            return soon(None)
        case b"broken":
            raise RuntimeError
        case _:
            return None


@asynccontextmanager
async def serving(look: AtHand = at_hand) -> AsyncGenerator[int]:
    with bound("127.0.0.1", 0, "test") as listener:
        listener.listen()
        server = HttpServer(application, {"/hand": look})
        task = asyncio.create_task(server.serve(listener))
        try:
            yield listener.getsockname()[1]
        finally:
            server.stop()
            await asyncio.wait_for(task, 5)


def post(body: bytes, path: str = "/hand", *more: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Link:
    """A connection of one's own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> bytes:
        """The body of the next answer."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        assert b"date" in fields
        return await self.reader.readexactly(int(fields[b"content-length"]))

    async def rest(self) -> bytes:
        """Everything until the other end closes."""
        return await asyncio.wait_for(self.reader.read(), 5)


@asynccontextmanager
async def linked(port: int) -> AsyncGenerator[Link]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Link(reader, writer)
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"now", b"hand"),
        (b"soon", b"hand"),
        (b"not", b"app not"),
        (b"soon not", b"app soon not"),
        (b"broken", b"app broken"),
        (b"soon broken", b"app soon broken"),
    ],
)
async def test_what_is_not_at_hand_is_the_applications(body: bytes, answer: bytes) -> None:
    async with serving() as port, linked(port) as link:
        for _ in range(3):  # on the same connection
            link.writer.write(post(body))
            assert await link.answer() == answer


@pytest.mark.parametrize("request_", [post(b"now", "/else"), post(b"now", method="PUT")])
async def test_only_posts_to_its_path_are_looked_for(request_: bytes) -> None:
    async with serving() as port, linked(port) as link:
        link.writer.write(request_)
        assert await link.answer() == b"app now"


async def test_a_request_that_comes_in_pieces_is_the_applications() -> None:
    async with serving() as port, linked(port) as link:
        whole = post(b"now")
        for cut in (10, len(whole) - 3, len(whole) - 1):
            link.writer.write(whole[:cut])
            await asyncio.sleep(0.02)
            link.writer.write(whole[cut:])
            assert await link.answer() == (b"hand" if cut == 10 else b"app now")


async def test_requests_sent_at_once_are_answered_in_order() -> None:
    bodies = [b"soon", b"now", b"a", b"soon not", b"now", b"broken", b"b"] * 20
    async with serving() as port, linked(port) as link:
        link.writer.write(b"".join(map(post, bodies)))
        for body in bodies:
            expected = b"hand" if body in (b"now", b"soon") else b"app " + body
            assert await link.answer() in (expected, b"app " + body)


async def test_who_wants_no_more_is_let_go() -> None:
    async with serving() as port, linked(port) as link:
        link.writer.write(post(b"now", "/hand", "Connection: close"))
        answer = await link.rest()
        assert answer.endswith(b"\r\n\r\nhand")
        assert b"connection: close\r\n" in answer


async def test_who_waits_to_be_told_to_go_on_is_told() -> None:
    async with serving() as port, linked(port) as link:
        link.writer.write(post(b"now", "/hand", "Expect: 100-continue")[:-3])
        told = await asyncio.wait_for(link.reader.readuntil(b"\r\n\r\n"), 5)
        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        link.writer.write(b"now")
        assert await link.answer() == b"app now"


async def test_who_left_before_the_answer_harms_nobody() -> None:
    async with serving() as port:
        for body in (b"soon", b"soon not", b"soon broken"):
            async with linked(port) as link:
                link.writer.write(post(body))
        async with linked(port) as link:
            link.writer.write(post(b"now"))
            assert await link.answer() == b"hand"


async def test_a_stop_lets_what_is_under_way_end() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Answer:
        asked.set()
        await go_on.wait()
        return 200, [LENGTH], b"hand"

    with bound("127.0.0.1", 0, "test") as listener:
        listener.listen()
        server = HttpServer(application, {"/hand": lambda _scope, _body: slow()})
        task = asyncio.create_task(server.serve(listener))
        async with linked(listener.getsockname()[1]) as link:
            link.writer.write(post(b"soon"))
            await asyncio.wait_for(asked.wait(), 5)
            server.stop()
            await asyncio.sleep(0.05)
            assert not task.done()
            go_on.set()
            assert (await link.rest()).endswith(b"hand")
        await asyncio.wait_for(task, 5)


@pytest.mark.parametrize("piece", [b"X: " + b"y" * 8_000 + b"\r\n", b"y" * 8_000])
async def test_a_head_without_an_end_is_cut_off(piece: bytes) -> None:
    async with serving() as port, linked(port) as link:
        link.writer.write(b"GET / HTTP/1.1\r\nA: ")
        for _ in range(HEAD_BYTES // len(piece) + 2):
            link.writer.write(piece)
        assert b" 431 " in await link.rest()


async def test_large_bodies_are_no_heads() -> None:
    body = b"x" * (4 * HEAD_BYTES)
    async with serving() as port, linked(port) as link:
        for _ in range(2):
            link.writer.write(post(body))
            assert await link.answer() == b"app " + body


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"POST /hand HTTP/1.1\r\nHost: here\r\n"])
async def test_who_does_not_say_what_they_want_is_turned_out(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(http_server, "LOOK_SECONDS", 0.05)
    async with serving() as port, linked(port) as link, linked(port) as honest:
        link.writer.write(sent)
        assert await link.rest() == b""
        honest.writer.close()


async def test_who_has_nothing_more_to_ask_is_turned_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(http_server, "LOOK_SECONDS", 0.05)
    async with serving() as port, linked(port) as link:
        for body in (b"now", b"not", b"soon") * 2:  # each within the time, together longer
            link.writer.write(post(body))
            assert (await link.answer())[-4:] in (b"hand", b" not")
            await asyncio.sleep(0.1)
        assert await link.rest() == b""


async def test_more_connections_than_agreed_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 2)
    async with serving() as port, linked(port) as first, linked(port) as second:
        for link in (first, second):
            link.writer.write(post(b"now"))
            assert await link.answer() == b"hand"
        async with linked(port) as third:
            assert await third.rest() == b""
        first.writer.close()
        await first.writer.wait_closed()
        await asyncio.sleep(0.05)
        async with linked(port) as fourth:
            fourth.writer.write(post(b"now"))
            assert await fourth.answer() == b"hand"
