"""A request that cannot be read is refused with the reason; nothing is stored, and the service lives on."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import httpx
import pytest

from acceptance.system import BATCH, LINES, System, array, judged, post, text

MIB = 1024 * 1024
JSON = "application/json"


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def gzip_bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


def many(count: int) -> list[bytes]:
    return [text(judged()) for _ in range(count)]


def changed(byte: int, packed: bytes) -> bytes:
    return packed[:byte] + bytes([packed[byte] ^ 0xFF]) + packed[byte + 1 :]


PACKED = gzip.compress(text(judged()))

# What was sent, how, then the answer: status, code, path.
REFUSED_BODIES: dict[str, tuple[Callable[[], bytes], dict[str, str], int, str, str]] = {
    "nothing": (lambda: b"", {}, 400, "malformed_json", ""),
    "blank": (lambda: b" \r\n ", {}, 400, "malformed_json", ""),
    "half an object": (lambda: text(judged())[:-5], {}, 400, "malformed_json", ""),
    "two documents": (lambda: text(judged()) * 2, {}, 400, "malformed_json", ""),
    "trailing comma": (lambda: text(judged())[:-1] + b",}", {}, 400, "malformed_json", ""),
    "NaN": (lambda: text(judged()).replace(b"900", b"NaN"), {}, 400, "malformed_json", ""),
    "byte order mark": (lambda: b"\xef\xbb\xbf" + text(judged()), {}, 400, "malformed_json", ""),
    "UTF-16": (lambda: text(judged()).decode().encode("utf-16"), {}, 400, "malformed_json", ""),
    "invalid UTF-8": (
        lambda: text(judged()).replace(b"learner", b"l\xffarner"), {}, 400, "malformed_json", "",
    ),
    "100,000 brackets": (lambda: nested(100_000), {}, 400, "malformed_json", ""),
    "100,000 brackets in data": (
        lambda: text(judged()).replace(b"900", nested(100_000)), {}, 400, "malformed_json", "",
    ),
    "100,000 open brackets": (lambda: b"[" * 100_000, {}, 400, "malformed_json", ""),
    "a batch that is an object": (
        lambda: text(judged()), {"content_type": BATCH}, 400, "not_an_array", "",
    ),
    "a batch cut off": (
        lambda: array(many(3))[:-1], {"content_type": BATCH}, 400, "malformed_json", "",
    ),
    "10 MB": (lambda: b" " * 10 * MIB, {}, 413, "body_too_large", ""),
    "10 MB packed": (
        lambda: gzip.compress(b" " * 10 * MIB), {"content_encoding": "gzip"}, 413, "body_too_large", "",
    ),
    "a gzip bomb of 1 GB": (
        lambda: gzip_bomb(1024 * MIB), {"content_encoding": "gzip"}, 413, "body_too_large", "",
    ),
    "9 MB of empty gzip members": (
        lambda: gzip.compress(b"") * (9 * MIB // 20), {"content_encoding": "gzip"}, 413, "body_too_large", "",
    ),
    "5,001 events": (
        lambda: array(many(5_001)), {"content_type": BATCH}, 413, "too_many_events", "",
    ),
    "5,001 lines": (
        lambda: b"\n".join(many(5_001)), {"content_type": LINES}, 413, "too_many_events", "",
    ),
    "millions of elements": (
        lambda: b"[" + b"0," * 3_500_000 + b"0]", {"content_type": BATCH}, 413, "too_many_events", "",
    ),
    "millions of lines": (
        lambda: b"0\n" * 3_500_000, {"content_type": LINES}, 413, "too_many_events", "",
    ),
    "text/plain": (
        lambda: text(judged()), {"content_type": "text/plain"}, 415, "unsupported_media_type", "content-type",
    ),
    "a form": (
        lambda: b"id=1", {"content_type": "application/x-www-form-urlencoded"}, 415,
        "unsupported_media_type", "content-type",
    ),
    "brotli": (
        lambda: text(judged()), {"content_encoding": "br"}, 415, "unsupported_encoding", "content-encoding",
    ),
    "packed twice": (
        lambda: text(judged()), {"content_encoding": "gzip, gzip"}, 415, "unsupported_encoding",
        "content-encoding",
    ),
    "not packed at all": (
        lambda: text(judged()), {"content_encoding": "gzip"}, 400, "bad_gzip", "content-encoding",
    ),
    "truncated gzip": (
        lambda: PACKED[:-9], {"content_encoding": "gzip"}, 400, "bad_gzip", "content-encoding",
    ),
    "gzip without its checksum": (
        lambda: PACKED[:-8], {"content_encoding": "gzip"}, 400, "bad_gzip", "content-encoding",
    ),
    "gzip with a wrong checksum": (
        lambda: changed(len(PACKED) - 8, PACKED), {"content_encoding": "gzip"}, 400, "bad_gzip",
        "content-encoding",
    ),
    "gzip and then rubbish": (
        lambda: PACKED + b"rubbish", {"content_encoding": "gzip"}, 400, "bad_gzip", "content-encoding",
    ),
    "empty gzip": (lambda: b"", {"content_encoding": "gzip"}, 400, "bad_gzip", "content-encoding"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(unharmed: System, name: str) -> None:
    make, headers, status, code, path = REFUSED_BODIES[name]
    begin = time.monotonic()
    answer = post(unharmed.url, make(), **headers)
    problem = answer.json()
    assert (answer.status_code, problem["error"], problem.get("path", "")) == (status, code, path)
    assert problem["message"]
    assert time.monotonic() - begin < 10


def test_an_empty_batch_is_nothing_wrong(unharmed: System) -> None:
    for body, content_type in ((b"[]", BATCH), (b"\n\n", LINES), (b"", LINES)):
        answer = post(unharmed.url, body, content_type)
        assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_gzip_of_several_members_is_read_to_its_end(system: System) -> None:
    one, other = text(judged()), text(judged())
    packed = gzip.compress(one + b"\n") + gzip.compress(b"") + gzip.compress(other)
    answer = post(system.url, packed, LINES, content_encoding="gzip")
    assert answer.json()["stored"] == 2


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/events", 405), ("PUT", "/events", 405), ("DELETE", "/events", 405), ("POST", "/nowhere", 404),
     ("POST", "/xapi/statements/", 307), ("POST", "/../../etc/passwd", 404)],
)  # fmt: skip
def test_other_methods_and_paths_are_refused(unharmed: System, method: str, path: str, status: int) -> None:
    assert httpx.request(method, unharmed.url + path, content=text(judged())).status_code == status


@pytest.mark.parametrize(
    ("headers", "path"),
    [({"ce-subject": "%00"}, "subject"), ({"ce-subject": "%ff"}, "subject"), ({"ce-id": ""}, "id"),
     ({"ce-time": "yesterday"}, "time"), ({"ce-specversion": "7"}, "specversion"),
     ({"ce-subject": "x" * 60_000}, "subject")],
)  # fmt: skip
def test_bad_headers_of_a_binary_event_are_named(
    unharmed: System, headers: dict[str, str], path: str
) -> None:
    event = judged()
    attributes = {f"ce-{name}": value for name, value in event.items() if name != "data"}
    sent = {"content-type": JSON} | attributes | headers
    answer = httpx.post(f"{unharmed.url}/events", content=text(event["data"]), headers=sent)
    assert (answer.status_code, answer.json()["path"]) == (422, path)
