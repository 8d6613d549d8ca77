"""Keep a set of versions up to date: the page of events after their checkpoint, in one commit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from progress_context.engine.bind import LEARNERS, Scope, bound, stored_inputs
from progress_context.engine.definition import Policy
from progress_context.engine.live import live_statement
from progress_context.engine.template import fill, quote, quote_all
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost
from progress_context.log.database import Connection

# Whatever the statistics of a young table say, a page must never be joined by scanning a whole table.
PLAN_BY_INDEX = "SELECT set_config('enable_seqscan', 'off', true), set_config('work_mem', '64MB', true)"


@dataclass(frozen=True, slots=True)
class Advance:
    """What one page changed: `learners` had events in it, or were computed anew."""

    after: int
    upto: int
    learners: frozenset[int] = field(default_factory=frozenset[int])


class Maintainer:
    """Maintains versions that share one checkpoint position: inputs first, each with its inputs."""

    def __init__(self, versions: Sequence[Version], policy: Policy) -> None:
        self.versions = tuple(versions)
        self._by_name = {version.name: version for version in versions}
        self._policy = policy
        self._ids = [version.version_id for version in versions]
        self.statement = live_statement(self.versions, policy)
        self._refresh = {v.name: self._refresh_statement(v) for v in versions if v.model.is_view}

    async def advance(self, connection: Connection, after: int, upto: int) -> Advance:
        """Fold positions `after` + 1 … `upto`; rows and checkpoints change in one commit.

        Raises CheckpointLost, having changed nothing, when the checkpoint is not at `after`.
        """
        async with connection.transaction():
            await connection.execute(PLAN_BY_INDEX)
            return await self.advance_within(connection, after, upto)

    async def advance_within(self, connection: Connection, after: int, upto: int) -> Advance:
        """As `advance`, inside the caller's transaction."""
        row = await connection.fetchrow(self.statement, after, upto, self._ids)
        if row is None or not row["moved"]:
            raise CheckpointLost(f"the checkpoint is not at position {after} any more")
        changed: dict[str, list[int] | None] = json.loads(row["changed"])
        await self._refresh_views(connection, {n: set(keys or ()) for n, keys in changed.items()})
        voided: list[int] = row["voided"] or []
        if voided:
            await self.recompute(connection, voided, upto)
        return Advance(after, upto, frozenset(row["learners"] or ()) | frozenset(voided))

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
        inputs = stored_inputs(version, self._by_name, self._policy, scope, upto=str(int(upto)))
        return fill(
            "fill_table",
            table=version.table,
            columns=quote_all(version.model.columns),
            select=version.model.fresh(bound(version.model, inputs)),
        )

    async def _refresh_views(self, connection: Connection, changed: Mapping[str, set[int]]) -> None:
        """Recompute the views whose inputs changed; a view that changed wakes the views that read it."""
        touched: dict[str, set[int]] = {}
        for version in self.versions:
            if not version.model.is_view:
                continue
            learners = set(changed.get(version.name, ()))
            for name in version.model.inputs:
                learners |= touched.get(name, set())
            if learners:
                keys = await connection.fetchval(self._refresh[version.name], sorted(learners))
                touched[version.name] = set(keys or ())

    def _refresh_statement(self, version: Version) -> str:
        inputs = stored_inputs(version, self._by_name, self._policy, LEARNERS, upto="0")
        return fill(
            "refresh_view",
            table=version.table,
            select=bound(version.model, inputs),
            columns=quote_all(version.model.columns),
            grain=quote_all(version.model.grain),
            same_grain=version.model.same_grain("stored", "fresh"),
            set=", ".join(f"{quote(c)} = EXCLUDED.{quote(c)}" for c in version.model.values),
            stored_values=quote_all(version.model.values, prefix="stored."),
            excluded_values=quote_all(version.model.values, prefix="EXCLUDED."),
        )
