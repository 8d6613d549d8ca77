"""Keep the versions of a build up to date, all at one position, until they become active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from progress_context.engine import builds
from progress_context.engine import versions as books
from progress_context.engine.builds import Build
from progress_context.engine.maintain import PLAN_BY_INDEX, Maintainer
from progress_context.engine.parking import POISON
from progress_context.engine.poison import poisoned
from progress_context.engine.version import Version
from progress_context.log.database import Connection

PAGE = 20_000

# Nobody is parked or goes on while a page is folded, so that those left out of it are known.
HOLD_PARKED = "LOCK TABLE engine.parked IN SHARE MODE"
LEAVE_OUT = """
    UPDATE engine.builds
       SET left_out = ARRAY (SELECT unnest(left_out) UNION SELECT coalesce(learner_key, 0) FROM engine.parked)
     WHERE build_id = $1
"""
LEFT_OUT = """
    SELECT learner_key FROM engine.builds, unnest(left_out) AS missed (learner_key)
     WHERE build_id = $1 AND learner_key <> 0
       AND NOT EXISTS (SELECT FROM engine.parked WHERE parked.learner_key = missed.learner_key)
"""
DEAL = """
    INSERT INTO engine.checkpoints (version_id, shard, position)
    SELECT version_id, shard, $3
      FROM unnest($1::bigint[]) AS version_id, generate_series(1, $2::int - 1) AS shard
"""
GATHER = "DELETE FROM engine.checkpoints WHERE version_id = ANY ($1::bigint[]) AND shard > 0"


class Shadow:
    """The versions of a build. While they are made, each has a single checkpoint, whatever the shards."""

    def __init__(self, build: Build) -> None:
        self._build = build
        self._realtime = books.realtime(build.versions)
        self._batched = books.in_batches(build.versions)

    async def position(self, connection: Connection) -> int:
        """The position that all versions are at."""
        reached = await books.checkpoints(connection, self._build.versions.values())
        return reached[0]

    async def advance(self, connection: Connection, after: int, upto: int) -> int:
        """Fold a page of the positions `after` + 1 … `upto`, and return where it ended.

        Raises EventPoisoned at an event that a read model cannot take.
        """
        page_end = min(upto, after + PAGE)
        try:
            async with connection.transaction():
                await builds.own(connection, self._build)
                await self.advance_within(connection, after, page_end)
        except POISON as error:
            if page_end - after > 1:
                return await self.advance(connection, after, after + (page_end - after) // 2)
            raise await self._poisoned(connection, page_end, error) from error
        return page_end

    async def advance_within(self, connection: Connection, after: int, upto: int) -> None:
        """Fold all positions `after` + 1 … `upto`, in the caller's transaction."""
        await self._prepare(connection)
        for versions in (self._realtime, self._batched):
            if versions:
                await self._maintainer(versions).advance_within(connection, after, upto)

    async def deal(self, connection: Connection, after: int, reached: Mapping[int, int]) -> None:
        """From one checkpoint at `after` to one for each shard, at the position `reached` by that shard."""
        await self._prepare(connection)
        sharded = [version.version_id for version in self._realtime if books.is_sharded(version.model)]
        await connection.execute(DEAL, sharded, len(reached), after)
        for shard, upto in reached.items():
            await self._level(connection, self._maintainer(self._realtime, shard, len(reached)), after, upto)
        await self._take_up_left_out(connection, after, reached)

    async def gather(self, connection: Connection) -> None:
        """The way back: bring versions whose shards and batches came to different positions to one."""
        await self._prepare(connection)
        reached = await books.checkpoints(connection, self._realtime)
        goal = max(reached.values(), default=0)
        for shard, after in reached.items():
            await self._level(connection, self._maintainer(self._realtime, shard, len(reached)), after, goal)
        await connection.execute(GATHER, [version.version_id for version in self._realtime])
        for after, versions in await books.together(connection, self._batched):
            await self._level(connection, self._maintainer(versions), after, goal)

    async def recompute(
        self, connection: Connection, learners: Sequence[int], after: int, reached: Mapping[int, int]
    ) -> None:
        """All rows of some learners: realtime as of what their shard has reached, batches as of `after`."""
        for shard, upto in reached.items():
            own = [learner for learner in learners if learner % len(reached) == shard]
            if own:
                await self._maintainer(self._realtime).recompute(connection, own, upto)
                await self._maintainer(self._batched).recompute(connection, own, after)

    async def _prepare(self, connection: Connection) -> None:
        await connection.execute(HOLD_PARKED)
        await connection.execute(PLAN_BY_INDEX)
        await connection.execute(LEAVE_OUT, self._build.build_id)

    async def _level(self, connection: Connection, maintainer: Maintainer, after: int, upto: int) -> None:
        for start in range(after, upto, PAGE) if maintainer.versions else ():
            await maintainer.advance_within(connection, start, min(upto, start + PAGE))

    async def _take_up_left_out(self, connection: Connection, after: int, reached: Mapping[int, int]) -> None:
        """Learners who were parked in some page and are not any more."""
        learners = [row["learner_key"] for row in await connection.fetch(LEFT_OUT, self._build.build_id)]
        if learners:
            await self.recompute(connection, learners, after, reached)

    def _maintainer(self, versions: Sequence[Version], shard: int = 0, shards: int = 1) -> Maintainer:
        return Maintainer(
            versions, self._build.catalog.policy, stored=self._build.versions, shard=shard, shards=shards
        )

    async def _poisoned(self, connection: Connection, position: int, error: BaseException) -> BaseException:
        learner = await connection.fetchval(
            "SELECT learner_key FROM log.events WHERE position = $1", position
        )
        learners = None if learner is None else range(learner, learner + 1)
        return await poisoned(connection, self._build, learners, position, error)
