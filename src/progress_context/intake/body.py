"""A request's body as it arrives: bounded in size and time, unpacked where it is gzip."""

from __future__ import annotations

from starlette.types import Receive, Scope

from progress_context.errors import IntakeError
from progress_context.intake.gunzip import Gunzip, gunzip_of
from progress_context.patience import Patience


class Headers(dict[str, str]):
    """The headers of a request by lower-case name, and all of them as they came."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def headers_of(scope: Scope) -> Headers:
    """The headers of a request, as ISO 8859-1."""
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]])


class BodyReader:
    """Reads bodies of at most `max_body` bytes, packed or not, within `read_seconds` each."""

    def __init__(self, max_body: int, read_seconds: float) -> None:
        self._max_body = max_body
        self._patience = Patience(read_seconds)

    async def read(self, headers: Headers, receive: Receive) -> bytes:
        """The whole body. Raises IntakeError: 408, 413, 415, or 400 when it breaks off."""
        try:
            with self._patience.limit():
                return await self._read(gunzip_of(headers), receive)
        except TimeoutError:
            message = f"the body did not arrive within {self._patience.seconds:g} s"
            raise IntakeError(408, "body_too_slow", message) from None

    async def _read(self, gunzip: Gunzip | None, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = received = 0
        more = True
        while more:
            chunk, more = await _next(receive)
            received += len(chunk)
            for part in [chunk] if gunzip is None else gunzip.feed(chunk):
                size += len(part)
                if max(size, received) > self._max_body:
                    raise too_large(self._max_body)
                parts.append(part)
        if gunzip is not None:
            gunzip.check_complete()
        return b"".join(parts)


def too_large(max_body: int) -> IntakeError:
    """The refusal of a body, of a request or of a message."""
    return IntakeError(413, "body_too_large", f"the body is larger than {max_body:,} bytes")


async def _next(receive: Receive) -> tuple[bytes, bool]:
    """The next part of a request's body, and whether there are more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise IntakeError(400, "body_broke_off", "the body ended before it was complete")
    return message.get("body", b""), message.get("more_body", False)
