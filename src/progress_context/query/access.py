"""Whose rows may be read: the one place where a request comes to the key of a learner.

Every question about a learner has the key from `learner`; what runs over all of them reads `learners`.
"""

from __future__ import annotations

from progress_context.errors import QueryError
from progress_context.log.database import Connection


def learner(user_id: str) -> str:
    """The relation with the `learner_key` of one learner, empty if unknown; `user_id` is SQL."""
    return f"SELECT learner_key FROM log.learners WHERE learner_id = {user_id}"


def learners() -> str:
    """The relation of all learners who may be listed."""
    return "SELECT learner_key, learner_id FROM log.learners"


async def key_of(connection: Connection, user_id: str) -> int:
    """The learner's key; raises QueryError LEARNER_UNKNOWN."""
    key = None if "\0" in user_id else await connection.fetchval(learner("$1"), user_id)
    if key is None:
        raise QueryError("LEARNER_UNKNOWN", f"no event of learner {user_id!r} has been received")
    return key
