"""Bind the inputs of a read model: put a CTE of the same name in front of its SELECT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ASKED, EVENTS, POLICY, Policy, ReadModel
from progress_context.engine.template import fill, quote, with_ctes
from progress_context.engine.version import Version


@dataclass(frozen=True, slots=True)
class Scope:
    """Which learners a statement is about, as a condition on `learner_key` of a relation.

    `condition` holds `{relation}` where the relation's name goes.
    """

    condition: str

    def on(self, relation: str) -> str:
        return self.condition.replace("{relation}", relation)


EVERYONE = Scope("true")
LEARNERS = Scope("{relation}.learner_key = ANY ($1::bigint[])")
NOBODY = Scope("false")
ANY_POSITION = str(2**63 - 1)


def shard_scope(shard: int, shards: int) -> Scope:
    """Learners of one of `shards` equal parts."""
    return Scope(f"{{relation}}.learner_key % {shards:d} = {shard:d}") if shards > 1 else EVERYONE


def bound(model: ReadModel, ctes: Mapping[str, str], *, inline: bool = False) -> str:
    """The read model as one statement, its inputs bound to the relations in `ctes`."""
    select = f"SELECT * FROM (\n{model.select}\n) AS answer"
    return with_ctes([(name, ctes[name]) for name in model.inputs], select, inline=inline)


def policy_relation(policy: Policy) -> str:
    """One row with the deployment's choices."""
    return fill(
        "policy",
        idle_seconds=str(policy.idle_gap.total_seconds()),
        cap_seconds=str(policy.cap_seconds),
        streak_grace=str(policy.streak_grace).lower(),
    )


def events_relation(model: ReadModel, scope: Scope, upto: str) -> str:
    """All events a model sees up to a position: of learners in scope, or of no learner at all."""
    condition = scope.on("event") if model.by_learner else "event.learner_key IS NULL"
    if model.by_learner:
        condition = f"event.learner_key IS NOT NULL AND {condition}"
    return fill("events", scope=condition, upto=upto)


def stored_inputs(
    version: Version, versions: Mapping[str, Version], policy: Policy, scope: Scope, upto: str
) -> dict[str, str]:
    """Bindings of a stored model to whole tables and to all events up to a position.

    This is how a table is filled: for everyone, a shard, or some learners.
    """
    ctes: dict[str, str] = {}
    for name in version.model.inputs:
        if name == EVENTS:
            ctes[name] = events_relation(version.model, scope, upto)
        elif name == POLICY:
            ctes[name] = policy_relation(policy)
        else:
            source = versions[name]
            condition = scope.on("source") if source.model.by_learner else "true"
            ctes[name] = f"SELECT source.*, 1 AS weight FROM {source.table} AS source WHERE {condition}"
    return ctes


def lazy_inputs(catalog: Catalog, model: ReadModel, learner: str, asked: str) -> dict[str, str]:
    """Bindings of any model for one learner at query time, on the active tables.

    `learner` is the SQL of a learner key, `asked` a relation with the columns `at` and `today`.
    """
    ctes: dict[str, str] = {}
    for name in model.inputs:
        if name == POLICY:
            ctes[name] = policy_relation(catalog.policy)
        elif name == ASKED:
            ctes[name] = asked
        elif name == EVENTS:
            ctes[name] = events_relation(model, Scope(f"{{relation}}.learner_key = {learner}"), ANY_POSITION)
        else:
            weight = ", 1 AS weight" if model.is_rollup else ""
            ctes[name] = (
                f"SELECT *{weight} FROM ({lazy_relation(catalog, catalog[name], learner, asked)}) AS source"
            )
    return ctes


def lazy_relation(catalog: Catalog, model: ReadModel, learner: str, asked: str) -> str:
    """One learner's rows of a read model, whatever its update mode."""
    if not model.stored:
        return model.fresh(bound(model, lazy_inputs(catalog, model, learner, asked)))
    condition = f"source.learner_key = {learner}" if model.by_learner else "true"
    return f"SELECT source.* FROM read.{quote(model.name)} AS source WHERE {condition}"
