"""Keep a set of versions up to date: the page of events after their checkpoint, in one commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from progress_context.engine.bind import LEARNERS, Scope, bound, policy_relation, shard_scope, stored_inputs
from progress_context.engine.definition import EVENTS, POLICY, Policy
from progress_context.engine.live import live_statement
from progress_context.engine.template import fill, quote, quote_all
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost
from progress_context.log.database import Connection

# Whatever the statistics of a young table say, a page must never be joined by scanning a whole table.
PLAN_BY_INDEX = "SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '64MB', true)"
LEARNERS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Advance:
    """What one page changed: `learners` had events in it, or were computed anew.

    `visible` is the position that the realtime read models of all learners reflect now.
    """

    after: int
    upto: int
    visible: int
    learners: frozenset[int] = field(default_factory=frozenset[int])


class Maintainer:
    """Maintains versions that share one checkpoint: inputs first, each with its inputs.

    `stored` are all versions that exist beside each other; an input that is among them but not among
    `versions` is maintained elsewhere. With `shards` > 1 only learners of `shard` are seen. `lease` names the
    lease whose token `advance` is given.
    """

    def __init__(
        self,
        versions: Sequence[Version],
        policy: Policy,
        *,
        stored: Mapping[str, Version] | None = None,
        shard: int = 0,
        shards: int = 1,
        lease: str = "",
    ) -> None:
        self.versions = tuple(v for v in versions if v.model.by_learner or shard == 0)
        self.shard = shard
        self._stored = {version.name: version for version in versions} | dict(stored or {})
        self._scope = shard_scope(shard, shards)
        self._policy = policy
        self._ids = [version.version_id for version in self.versions]
        self.statement = live_statement(self.versions, policy, lease, shard, shards)
        recomputed = [version for version in self.versions if version.model.recomputed]
        self._refresh = {version.name: self._refresh_statement(version) for version in recomputed}
        self._touched = {version.name: list(self._touched_statements(version)) for version in recomputed}

    async def advance(
        self, connection: Connection, after: int, upto: int, token: int | None = None
    ) -> Advance:
        """Fold positions `after` + 1 … `upto`; rows and checkpoints change in one commit.

        Raises CheckpointLost, having changed nothing, when the checkpoint is not at `after`, or when the
        lease that had this `token` was taken by another process.
        """
        async with connection.transaction():
            await connection.execute(PLAN_BY_INDEX)
            return await self.advance_within(connection, after, upto, token)

    async def advance_within(
        self, connection: Connection, after: int, upto: int, token: int | None = None
    ) -> Advance:
        """As `advance`, inside the caller's transaction."""
        row = await connection.fetchrow(self.statement, after, upto, self._ids, token)
        if row is None or not row["moved"]:
            raise CheckpointLost(f"the checkpoint is not at position {after} any more")
        changed: dict[str, list[int] | None] = json.loads(row["changed"])
        learners = {name: set(keys or ()) for name, keys in changed.items()}
        if row["shared"]:
            await self._add_touched(connection, learners, after, upto)
        await self._recompute_changed(connection, learners)
        voided: list[int] = row["voided"] or []
        if voided:
            await self.recompute(connection, voided, upto)
        return Advance(after, upto, row["visible"], frozenset(row["learners"] or ()) | frozenset(voided))

    async def recompute(self, connection: Connection, learners: Sequence[int], upto: int) -> None:
        """All rows of some learners from their events up to `upto`: rare, simple, exact."""
        for version in self.versions:
            if version.model.by_learner:
                await connection.execute(
                    f"DELETE FROM {version.table} WHERE learner_key = ANY ($1::bigint[])", learners
                )
                statement = self.fill_statement(version, LEARNERS, upto)
                arguments = [learners] if "$1" in statement else []
                await connection.execute(statement, *arguments)

    def fill_statement(self, version: Version, scope: Scope, upto: int) -> str:
        """INSERT the rows of a scope as of position `upto` into a table that lacks them."""
        inputs = stored_inputs(version, self._stored, self._policy, scope, upto=str(int(upto)))
        return fill(
            "fill_table",
            table=version.table,
            columns=quote_all(version.model.columns),
            select=version.model.fresh(bound(version.model, inputs)),
        )

    async def _add_touched(
        self, connection: Connection, learners: dict[str, set[int]], after: int, upto: int
    ) -> None:
        """A lookup changed: its keys touch learners who have no event in this page."""
        for name, statements in self._touched.items():
            for statement in statements:
                learners[name] |= set(await connection.fetchval(statement, after, upto) or ())

    async def _recompute_changed(self, connection: Connection, changed: Mapping[str, set[int]]) -> None:
        """Refresh what is kept by learner; a row that changed there wakes what reads it."""
        woken: dict[str, set[int]] = {}
        for version in self.versions:
            if not version.model.recomputed:
                continue
            learners = changed[version.name].union(*(woken.get(name, ()) for name in version.model.inputs))
            woken[version.name] = set()
            for some in _parts(sorted(learners)):
                keys = await connection.fetchval(self._refresh[version.name], some)
                woken[version.name].update(keys or ())

    def _refresh_statement(self, version: Version) -> str:
        model = version.model
        inputs = stored_inputs(version, self._stored, self._policy, LEARNERS, upto="0")
        return fill(
            "refresh",
            table=version.table,
            select=model.fresh(bound(model, inputs)),
            columns=quote_all(model.columns),
            grain=quote_all(model.grain),
            same_grain=model.same_grain("stored", "fresh"),
            set=", ".join(f"{quote(c)} = EXCLUDED.{quote(c)}" for c in model.values),
            stored_values=quote_all(model.values, prefix="stored."),
            fresh_values=quote_all(model.values, prefix="fresh."),
        )

    def _touched_statements(self, version: Version) -> Iterator[str]:
        for name in version.model.lookups:
            lookup = self._stored[name].model
            source = self._source_with(version, lookup.grain)
            events = fill("events", scope="event.learner_key IS NULL AND event.position > $1", upto="$2")
            inputs = {EVENTS: events, POLICY: policy_relation(self._policy)}
            yield fill(
                "learners_touched",
                table=source.table,
                columns=quote_all(lookup.grain, prefix="source."),
                grain=quote_all(lookup.grain),
                select=bound(lookup, {n: inputs[n] for n in lookup.inputs}),
                scope=self._scope.on("source"),
            )

    def _source_with(self, version: Version, grain: Sequence[str]) -> Version:
        """The input by learner through which a lookup with this grain is joined."""
        inputs = [self._stored[name] for name in version.model.inputs if name in self._stored]
        return next(v for v in inputs if v.model.by_learner and set(grain) <= set(v.model.columns))


def _parts(learners: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(learners), LEARNERS_AT_ONCE):
        yield learners[start : start + LEARNERS_AT_ONCE]
