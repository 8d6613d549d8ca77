"""Asking a service over HTTP whether it is ready."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT = 1.0


def answers_ok(url: str) -> bool:
    """Whether a GET of this `http:` URL is answered 2xx within a second; proxies are not asked."""
    parts = urlsplit(url)
    target = parts._replace(scheme="", netloc="").geturl() or "/"
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)) as connection:
        try:
            connection.request("GET", target)
            return 200 <= connection.getresponse().status < 300
        except (OSError, HTTPException):
            return False
