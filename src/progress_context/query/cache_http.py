"""What HTTP says of answers that may be kept: clients may keep copies, and ask always whether these hold."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import Send

from progress_context.query.cors import Headers
from progress_context.query.responses import Reply

NOT_STORED = (b"cache-control", b"no-store")
ASKED_AGAIN = (b"cache-control", b"private, no-cache")


def wants_fresh(headers: Mapping[str, str]) -> bool:
    """Whether a client will have no answer from any cache."""
    return "no-cache" in headers.get("cache-control", "").lower()


def validators(reply: Reply, told: Headers) -> Headers:
    """The headers of an answer, with its tag where it may be kept."""
    if not reply.tag:
        return told
    kept = [header for header in told if header != NOT_STORED]
    return [*kept, ASKED_AGAIN, (b"etag", reply.tag.encode())]


def still_holds(method: str, headers: Mapping[str, str], reply: Reply) -> bool:
    """Whether the copy that a client has says the same. Only a GET may be answered so."""
    if method != "GET" or not reply.tag:
        return False
    known = [tag.strip() for tag in headers.get("if-none-match", "").split(",")]
    return "*" in known or reply.tag in known


async def send_not_modified(send: Send, told: Headers) -> int:
    """304: a head without a body."""
    await send({"type": "http.response.start", "status": 304, "headers": told})
    await send({"type": "http.response.body", "body": b""})
    return 304
