"""Who may connect for live updates, and what they may ask for there."""

from __future__ import annotations

from typing import Any

from progress_context.errors import QueryError, TokenRefused
from progress_context.log.database import Pool, acquire
from progress_context.principal import Principal
from progress_context.query import access
from progress_context.query.door import RATE_LIMITED, Door, Visitor
from progress_context.query.subscriptions.admission import Credentials
from progress_context.query.subscriptions.protocol import Params


class ByToken:
    """Admits who shows a token, in the payload of `connection_init` or in a header."""

    def __init__(self, door: Door, pool: Pool) -> None:
        self._door = door
        self._pool = pool

    async def connect(self, credentials: Credentials) -> Visitor:
        """Who it is. Raises TokenRefused."""
        headers = dict(credentials.headers)
        if told := _told(credentials.payload):
            headers["authorization"] = told
        return await self._door.enter(headers, credentials.address)

    async def operate(self, who: object, params: Params, user_id: str | None) -> None:
        """Count an operation, and let it begin; raises QueryError.

        A learner who may not be seen is refused as one who does not exist, by the same look at the database.
        """
        if not isinstance(who, Visitor):
            raise TokenRefused("an operation before its client was known")
        counted = await self._door.count(who)
        if counted.why_not:
            raise QueryError(RATE_LIMITED, counted.why_not)
        if user_id is not None:
            async with acquire(self._pool) as connection:
                await access.key_of(connection, user_id, who.principal)

    def reader(self, who: object) -> Principal:
        """As whom the queries of a client are answered. Raises TokenRefused."""
        if not isinstance(who, Visitor):
            raise TokenRefused("a query before its client was known")
        return who.principal


def _told(payload: Any) -> str | None:
    """The Authorization header in a payload, as clients of many kinds put it there."""
    for name in ("authorization", "Authorization"):
        if isinstance(told := payload.get(name), str):
            return told
    token = payload.get("token")
    return f"Bearer {token}" if isinstance(token, str) else None
