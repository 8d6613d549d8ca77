"""Lists in pages."""

from __future__ import annotations

from typing import Any

from pubsub_emulator.refusal import invalid


def page(names: list[str], request: Any) -> tuple[list[str], str]:
    """The names that a list request asks for, in order, and the token of the next page."""
    if request.page_token and not request.page_token.isdigit():
        raise invalid("Invalid page token.")
    start = int(request.page_token or 0)
    end = start + (request.page_size or 1000)
    return sorted(names)[start:end], str(end) if end < len(names) else ""
