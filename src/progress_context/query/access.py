"""Whose rows may be read: the one place where a request comes to the key of a learner.

Every question about a learner has the key from `learner`; what runs over all of them reads `learners`. Whom
the one who asks may not see is not there, in the database's own answer, whatever was planned above it.
"""

from __future__ import annotations

from progress_context.errors import QueryError
from progress_context.log.database import Connection
from progress_context.principal import EVERYBODY, Principal

__all__ = ["EVERYBODY", "EVERYONE", "Principal", "key_of", "learner", "learners", "operators_only"]

EVERYONE = "NULL::text[]"  # the sight of who may see all; see Principal.sight


def learner(user_id: str, sight: str = EVERYONE) -> str:
    """The relation with the `learner_key` of one learner, empty if unknown or out of sight; both are SQL."""
    return f"SELECT learner_key FROM log.learners WHERE learner_id = {user_id} AND {_within(sight)}"


def learners(sight: str) -> str:
    """The relation of all learners within a sight, which is SQL."""
    return f"SELECT learner_key, learner_id FROM log.learners WHERE {_within(sight)}"


async def key_of(connection: Connection, user_id: str, reader: Principal = EVERYBODY) -> int:
    """The learner's key; raises QueryError LEARNER_UNKNOWN, also for a learner whom `reader` may not see."""
    key = None
    if "\0" not in user_id:
        key = await connection.fetchval(learner("$1", "$2"), user_id, reader.sight)
    if key is None:
        known = f"no event of learner {user_id!r} has been received"
        hidden = f"there is no learner {user_id!r}, or none that you may see"
        raise QueryError("LEARNER_UNKNOWN", known if reader.sees_all else hidden)
    return key


def operators_only(reader: Principal) -> None:
    """Raise QueryError FORBIDDEN for whoever is no operator."""
    if reader.role != "operator":
        raise QueryError("FORBIDDEN", "only operators may ask for this")


def _within(sight: str) -> str:
    if sight == EVERYONE:
        return "true"
    return f"({sight}::text[] IS NULL OR learner_id LIKE ANY ({sight}::text[]))"
