"""Pages come from memory: compressed for who can read that, and not at all for who has them already."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from progress_context.query.static_pages import StaticPages

SCRIPT = b"// some words, and some words again\n" * 50


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of pages: an index, a script, a picture, and a module of the package."""
    (tmp_path / "words").mkdir()
    (tmp_path / "index.html").write_bytes(b"<!doctype html><p>hello</p>")
    (tmp_path / "words" / "app.js").write_bytes(SCRIPT)
    (tmp_path / "dot.png").write_bytes(b"\x89PNG" + bytes(2_000))
    (tmp_path / "__init__.py").write_bytes(b"secret = 1")
    (tmp_path.parent / "outside.js").write_bytes(b"outside")
    application = StaticPages(tmp_path, {"/": "index.html"})

    async def raw(scope: Scope, receive: Receive, send: Send) -> None:
        await application(scope, receive, send)

    transport = httpx.ASGITransport(app=raw)
    async with httpx.AsyncClient(transport=transport, base_url="http://pages") as client:
        yield client


async def test_a_page_is_served_by_its_address(pages: httpx.AsyncClient) -> None:
    answer = await pages.get("/")
    assert (answer.status_code, answer.text) == (200, "<!doctype html><p>hello</p>")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_text_is_compressed_for_who_can_read_it(pages: httpx.AsyncClient) -> None:
    async with pages.stream("GET", "/words/app.js", headers={"accept-encoding": "gzip, br"}) as answer:
        body = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert gzip.decompress(body) == SCRIPT
    assert int(answer.headers["content-length"]) == len(body) < len(SCRIPT) / 5
    plain = await pages.get("/words/app.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == SCRIPT
    assert plain.headers["etag"] != answer.headers["etag"]


async def test_what_is_compressed_already_stays_as_it_is(pages: httpx.AsyncClient) -> None:
    answer = await pages.get("/dot.png", headers={"accept-encoding": "gzip"})
    assert (answer.headers["content-type"], answer.headers.get("content-encoding")) == ("image/png", None)


async def test_who_has_a_file_already_is_told_so(pages: httpx.AsyncClient) -> None:
    tag = (await pages.get("/words/app.js")).headers["etag"]
    again = await pages.get("/words/app.js", headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await pages.get("/words/app.js", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


async def test_head_tells_without_the_body(pages: httpx.AsyncClient) -> None:
    whole, head = await pages.get("/"), await pages.head("/")
    assert head.content == b""
    assert dict(head.headers) == dict(whole.headers)


@pytest.mark.parametrize(
    "path", ["/nothing.js", "/words", "/words/", "/__init__.py", "/../outside.js", "/%2e%2e/outside.js"]
)
async def test_there_is_nothing_else(pages: httpx.AsyncClient, path: str) -> None:
    assert (await pages.get(path)).status_code == 404


async def test_pages_are_only_read(pages: httpx.AsyncClient) -> None:
    answer = await pages.put("/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
