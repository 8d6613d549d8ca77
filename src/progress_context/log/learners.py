"""Learners as the log knows them: the dense key of a public id, and the profile entries of a key."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

import asyncpg

from progress_context.log.database import Connection
from progress_context.log.profiles import ProfileEntry

ADD_LEARNERS = """
    INSERT INTO log.learners (learner_id)
    SELECT id FROM unnest($1::text[]) AS id
     WHERE NOT EXISTS (SELECT FROM log.learners known WHERE known.learner_id = id)
     ORDER BY id
        ON CONFLICT (learner_id) DO NOTHING
"""
KEYS_OF = "SELECT learner_id, learner_key FROM log.learners WHERE learner_id = ANY ($1::text[])"
PROFILES_OF = """
    SELECT learner_key, effective_at, position, time_zone, rollover_hour
      FROM log.profiles WHERE learner_key = ANY ($1::bigint[])
     ORDER BY learner_key, effective_at, position
"""
CHANGED_SINCE = "SELECT DISTINCT learner_key FROM log.profiles WHERE position > $1"


class Learners:
    """A bounded cache over `log.learners` and `log.profiles`.

    Profiles are true as of log position `profile_position`; whoever finds a later one in `log.head`
    calls `refresh`. Keys never change.
    """

    def __init__(self, *, limit: int = 200_000) -> None:
        self._limit = limit
        self._keys: dict[str, int] = {}
        self._profiles: dict[int, tuple[ProfileEntry, ...]] = {}
        self.profile_position = 0

    async def keys(self, connection: Connection, ids: Iterable[str]) -> dict[str, int]:
        """The key of every id; an id never seen before gets the next one, in a commit of its own."""
        wanted = set(ids)
        found = {i: self._keys[i] for i in wanted if i in self._keys}
        unknown = [i for i in wanted if i not in found]
        if not unknown:
            return found
        await connection.execute(ADD_LEARNERS, unknown)
        rows = await connection.fetch(KEYS_OF, unknown)
        fresh: dict[str, int] = {row["learner_id"]: row["learner_key"] for row in rows}
        self._make_room(self._keys, len(fresh))
        self._keys.update(fresh)
        return found | fresh

    async def profiles(
        self, connection: Connection, keys: Iterable[int]
    ) -> dict[int, tuple[ProfileEntry, ...]]:
        """The profile entries of every key, ordered by (effective_at, position)."""
        wanted = set(keys)
        found = {k: self._profiles[k] for k in wanted if k in self._profiles}
        unknown = [k for k in wanted if k not in found]
        if not unknown:
            return found
        as_of = self.profile_position
        loaded: dict[int, list[ProfileEntry]] = {key: [] for key in unknown}
        for key, *entry in await connection.fetch(PROFILES_OF, unknown):
            loaded[key].append(ProfileEntry(*entry))
        fresh = {key: tuple(entries) for key, entries in loaded.items()}
        if as_of == self.profile_position:  # else they may lack what a refresh just learned
            self._make_room(self._profiles, len(fresh))
            self._profiles.update(fresh)
        return found | fresh

    async def refresh(self, connection: Connection, profile_position: int) -> None:
        """Forget the profiles that changed after our position; from here on we know `profile_position`."""
        changed: Sequence[asyncpg.Record] = await connection.fetch(CHANGED_SINCE, self.profile_position)
        for (key,) in changed:
            self._profiles.pop(key, None)
        self.profile_position = profile_position

    def _make_room(self, cache: MutableMapping[Any, Any], more: int) -> None:
        if len(cache) + more > self._limit:
            cache.clear()
