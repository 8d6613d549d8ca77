"""Clients that hang up, dawdle or do not speak HTTP neither store anything nor keep others waiting."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.types import Message

from acceptance.system import System, head, judged, post, text
from progress_context.intake.http import Intake
from progress_context.local.ports import LOOPBACK
from progress_context.log.event import NewEvent, Outcome

HEAD = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def connect(url: str) -> socket.socket:
    link = socket.create_connection((LOOPBACK, urlsplit(url).port or 0), timeout=10)
    link.settimeout(10)
    return link


def announced(body: bytes, length: int) -> bytes:
    return HEAD + f"Content-Length: {length}\r\n\r\n".encode() + body


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def reset(link: socket.socket) -> None:
    """Close with a reset instead of a farewell."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_close(link: socket.socket) -> None:
    link.shutdown(socket.SHUT_WR)
    while link.recv(65536):
        continue


def leave(_link: socket.socket) -> None:
    """Close as ever."""


CUT_OFF: dict[str, Callable[[bytes], bytes]] = {
    "in the request line": lambda _: b"POST /eve",
    "in the headers": lambda _: HEAD,
    "before the body": lambda body: announced(b"", len(body)),
    "in the body": lambda body: announced(body[:40], len(body)),
    "one byte too early": lambda body: announced(body, len(body) + 1),
    "between chunks": lambda body: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body),
    "in a chunk": lambda body: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(body)[:30],
}


@pytest.mark.parametrize("end", [leave, reset, half_close], ids=["leaves", "resets", "half closes"])
@pytest.mark.parametrize("place", CUT_OFF)
def test_an_unfinished_request_stores_nothing(
    unharmed: System, place: str, end: Callable[[socket.socket], None]
) -> None:
    for _ in range(5):
        with connect(unharmed.url) as link:
            link.sendall(CUT_OFF[place](text(judged())))
            end(link)


@pytest.mark.parametrize(
    "sent",
    [b"\x00" * 1_000, b"\x16\x03\x01\x02\x00\x01\x00\x01" + b"\xaa" * 500, b"GET / HTTP/9.9\r\n\r\n",
     HEAD + b"Content-Length: -1\r\n\r\n{}", HEAD + b"Content-Length: 1e3\r\n\r\n{}",
     HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
     HEAD + b"X: " + b"y" * 3_000_000 + b"\r\n\r\n",
     HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
     HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"],
    ids=["zeros", "TLS", "HTTP/9.9", "negative length", "length 1e3", "two lengths", "a header of 3 MB",
         "5,000 headers", "a chunk of no size"],
)  # fmt: skip
def test_what_is_no_http_is_refused_or_cut_off(unharmed: System, sent: bytes) -> None:
    with connect(unharmed.url) as link:
        try:
            link.sendall(sent)
            answer = link.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            answer = b""
    assert not answer or 400 <= int(answer.split()[1]) < 500 or answer.split()[1] == b"505"


DAWDLERS = {"say nothing": b"", "send half their headers": HEAD, "send half their body": announced(b"{", 99)}


@pytest.mark.parametrize("what", DAWDLERS)
def test_dawdlers_keep_nobody_waiting(unharmed: System, what: str) -> None:
    with ExitStack() as dawdlers:
        for _ in range(400):
            dawdlers.enter_context(connect(unharmed.url)).sendall(DAWDLERS[what])
        assert post(unharmed.url, b"[]", "application/cloudevents-batch+json").status_code == 200


def test_requests_sent_at_once_are_answered_in_turn(system: System) -> None:
    before = head(system.database)
    bodies = [text(judged()) for _ in range(20)]
    with connect(system.url) as link:
        link.sendall(b"".join(announced(body, len(body)) for body in bodies))
        answers = b""
        while answers.count(b'"position"') < len(bodies):
            answers += link.recv(65536)
    positions = [int(part.split(b"}")[0].split(b",")[0]) for part in answers.split(b'"position":')[1:]]
    assert positions == list(range(before + 1, before + 21))


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def never(events: Sequence[NewEvent], size: int) -> list[Outcome]:
        raise AssertionError("nothing may be stored")

    async def receive() -> Message:
        if received:
            await asyncio.Event().wait()
        received.append(True)
        return {"type": "http.request", "body": b"{", "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    received: list[bool] = []
    sent: list[Message] = []
    intake = Intake(never, max_body=99, max_events=9, max_skew=timedelta(hours=1), read_seconds=0.01)
    scope = {"type": "http", "method": "POST", "path": "/events", "headers": [], "query_string": b""}
    await Starlette(routes=intake.routes())(scope, receive, send)
    assert sent[0]["status"] == 408
    assert b"did not arrive" in sent[1]["body"]
