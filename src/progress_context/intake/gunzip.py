"""Unpack gzip as it arrives, never more at a time than can be held."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from progress_context.errors import IntakeError

INFLATE_STEP = 64 * 1024  # bytes unpacked at a time
DEFLATED_STEP = 4 * 1024  # packed bytes at a time; what is left of them is copied at every step


class Gunzip:
    """Unpacks gzip, of one member or several, in small parts, so a bomb is seen before it is held."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)

    def check_complete(self) -> None:
        """Raise IntakeError unless the last member came to its end."""
        if not self._member.eof:
            raise IntakeError(400, "bad_gzip", "the gzip body ends too early", "content-encoding")

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` unpacks to. Raises IntakeError for anything but gzip."""
        try:
            for start in range(0, len(chunk), DEFLATED_STEP):
                yield from self._unpack(chunk[start : start + DEFLATED_STEP])
        except zlib.error as error:
            raise IntakeError(400, "bad_gzip", f"the body is not gzip: {error}", "content-encoding") from None

    def _unpack(self, packed: bytes) -> Iterator[bytes]:
        while packed:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            yield self._member.decompress(packed, INFLATE_STEP)
            packed = self._member.unused_data if self._member.eof else self._member.unconsumed_tail


def gunzip_of(attributes: Mapping[str, str]) -> Gunzip | None:
    """What unpacks a body with this `content-encoding`; raises IntakeError for any but gzip and identity."""
    encoding = attributes.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise IntakeError(
            415, "unsupported_encoding", f"{encoding!r}: send gzip or no encoding", "content-encoding"
        )
    return Gunzip() if encoding == "gzip" else None
