"""Who may connect, and what they may ask for: one hook for sockets and streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from progress_context.principal import EVERYBODY, Principal
from progress_context.query.subscriptions.protocol import Params


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says of itself: the headers of its request, by lower-case name, and the payload of
    `connection_init`; and the `address` it comes from."""

    headers: Mapping[str, str]
    payload: Mapping[str, Any]
    address: str = ""


class Admission(Protocol):
    """Raises TokenRefused for who may not connect, QueryError for an operation that is not allowed."""

    async def connect(self, credentials: Credentials) -> object:
        """Who it is: whatever `operate` needs to know."""
        ...

    async def operate(self, who: object, params: Params, user_id: str | None) -> None:
        """Let an operation begin; `user_id` is the learner of a subscription, None for queries."""
        ...

    def reader(self, who: object) -> Principal:
        """As whom the queries of a client are answered."""
        ...


class OpenToAll:
    """Everyone may ask for everything."""

    async def connect(self, credentials: Credentials) -> object:
        """Nobody in particular."""
        return None

    async def operate(self, who: object, params: Params, user_id: str | None) -> None:
        """Any operation may begin."""

    def reader(self, who: object) -> Principal:
        """Everyone may see everything."""
        return EVERYBODY
