"""Send events to a running service, patiently: full queues and restarts are waited for."""

from __future__ import annotations

import gzip
import http.client
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from progress_context.errors import IntakeError, LogUnavailable
from progress_context.intake.http import Answer

PATIENCE_SECONDS = 60.0
TOO_MANY = 429
UNAVAILABLE = 503

_read_answer = msgspec.json.Decoder(Answer).decode


class Sender:
    """A kept-alive connection to progress-command-service; use as a context manager."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise IntakeError(0, "bad_url", f"{url!r} is no address such as http://127.0.0.1:8401")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=60)
        self._url = url
        self._headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def send_lines(self, path: str, lines: list[bytes]) -> Answer:
        """POST newline-delimited JSON; one result per line, in order.

        Raises LogUnavailable when the service stays away for a minute, IntakeError when it refuses.
        """
        body = gzip.compress(b"\n".join(lines), compresslevel=1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                status, text, retry_after = self._post(path, body)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                self._pause(deadline, 0.5, f"{self._url} cannot be reached: {error}")
                continue
            if status in (TOO_MANY, UNAVAILABLE):
                self._pause(deadline, retry_after, f"{self._url} answers {status}: {text.decode()}")
            elif status in (200, 201, 207, 409, 422):
                return _read_answer(text)
            else:
                raise IntakeError(status, "refused", text.decode(errors="replace"))

    def _post(self, path: str, body: bytes) -> tuple[int, bytes, float]:
        self._connection.request("POST", path, body=body, headers=self._headers)
        response = self._connection.getresponse()
        return response.status, response.read(), float(response.getheader("retry-after", "1"))

    @staticmethod
    def _pause(deadline: float, seconds: float, reason: str) -> None:
        if time.monotonic() + seconds > deadline:
            raise LogUnavailable(reason)
        time.sleep(seconds)
