"""The files of pages as they are served: from memory, compressed, and asked for again by what they hold."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.types import Receive, Scope, Send

from progress_context.query.cors import Headers

FRESH = (b"cache-control", b"no-cache")  # kept by browsers, but asked for again: a release is seen at once
METHODS = ("GET", "HEAD")
TEXTUAL = ("text/", "image/svg", "application/json", "application/javascript")


@dataclass
class _File:
    kind: str
    body: bytes

    @cached_property
    def tag(self) -> str:
        return hashlib.blake2b(self.body, digest_size=12).hexdigest()

    @cached_property
    def compressed(self) -> bytes:
        """With gzip; the file itself where that is not shorter."""
        body = gzip.compress(self.body, 6, mtime=0) if self.kind.startswith(TEXTUAL) else self.body
        return min(self.body, body, key=len)


class StaticPages:
    """Serves what was in `folder` at the start; `pages` are addresses without a file name, and their files.

    A file's ETag follows from what it holds, so that whoever has it already is told so (304).
    """

    def __init__(self, folder: Path, pages: Mapping[str, str]) -> None:
        found = {
            f"/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.is_file()
        }
        self._files = {
            name: _read(path) for name, path in found.items() if path.suffix not in (".py", ".pyc")
        }
        self._pages = {address: self._files[f"/{name}"] for address, name in pages.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name: value.decode("latin-1") for name, value in scope["headers"]}
        file = self._pages.get(scope["path"]) or self._files.get(scope["path"])
        if scope["method"] not in METHODS:
            await _answer(send, 405, b"send GET or HEAD\n", [(b"allow", b"GET, HEAD")])
        elif file is None:
            await _answer(send, 404, b"there is no such page\n", [])
        else:
            await _serve(send, file, asked, with_body=scope["method"] == "GET")


async def _serve(send: Send, file: _File, asked: Mapping[bytes, str], *, with_body: bool) -> None:
    zipped = "gzip" in asked.get(b"accept-encoding", "") and file.compressed is not file.body
    body, tag = (file.compressed, f'"{file.tag}-gzip"') if zipped else (file.body, f'"{file.tag}"')
    told: Headers = [(b"etag", tag.encode()), FRESH, (b"vary", b"accept-encoding")]
    if tag in asked.get(b"if-none-match", ""):
        await _send(send, 304, told, b"")
        return
    told += [(b"content-type", file.kind.encode()), (b"content-length", str(len(body)).encode())]
    if zipped:
        told.append((b"content-encoding", b"gzip"))
    await _send(send, 200, told, body if with_body else b"")


async def _answer(send: Send, status: int, body: bytes, headers: Headers) -> None:
    told = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await _send(send, status, [*told, *headers], body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _read(path: Path) -> _File:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return _File(f"{kind}; charset=utf-8" if kind.startswith("text/") else kind, path.read_bytes())
