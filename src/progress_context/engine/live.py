"""The realtime statement: fold the positions after the checkpoint into every table, in one commit.

One statement does it all, so nothing can happen between its parts. Its CTEs, for each model in turn:
`x.delta` the SELECT over the new events or the changes of its inputs, `x.old` the stored rows of the same
groups, `x.merged` both together, `x.new` the rows written, `x.changes` new rows with weight +1 and the old
ones they replace with weight -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from progress_context.engine.bind import bound, policy_relation, shard_scope
from progress_context.engine.definition import EVENTS, POLICY, RESERVED, Policy
from progress_context.engine.template import fill, literal, quote, quote_all
from progress_context.engine.version import Version

SHARED = """EXISTS (SELECT FROM log.events AS event
                WHERE event.position > $1 AND event.position <= $2 AND event.learner_key IS NULL)"""


def live_statement(
    versions: Sequence[Version], policy: Policy, lease: str, shard: int = 0, shards: int = 1
) -> str:
    """Parameters: $1 after, $2 up to, $3 version ids, $4 lease token. One row: see `live.sql`.

    `versions` are maintained together; shard 0 has the events of no learner too.
    """
    merging = [version for version in versions if not version.model.recomputed]
    sources = {name for version in versions for name in version.model.inputs}
    tables = {version.name: version for version in merging}
    parts = [_maintain(version, tables, policy, captured=version.name in sources) for version in merging]
    scope = shard_scope(shard, shards)
    whose = scope.on("event") if shard else f"({scope.on('event')} OR event.learner_key IS NULL)"
    looks_up = any(version.model.lookups for version in versions)
    return fill(
        "live",
        shard=str(int(shard)),
        lease=literal(lease),
        events=fill("events", scope=f"event.position > $1 AND {whose}", upto="$2"),
        models="".join(f"{part},\n" for part in parts).rstrip(",\n") or '"nothing" AS (SELECT)',
        changed=_changed_learners(versions, tables),
        shared=SHARED if looks_up else "false",
        in_shard=scope.on("void"),
    )


def _maintain(version: Version, tables: Mapping[str, Version], policy: Policy, *, captured: bool) -> str:
    template = "maintain_rollup" if version.model.is_rollup else "maintain_fold"
    text = fill(
        template,
        table=version.table,
        select=bound(version.model, _changes_of_inputs(version, policy)),
        columns=quote_all(version.model.columns),
        grain=quote_all(version.model.grain),
        same_grain=version.model.same_grain("stored", "delta"),
        old_grain=version.model.same_grain("old", "delta"),
        merged=", ".join(_merged_columns(version)),
        set=", ".join(f"{quote(c)} = EXCLUDED.{quote(c)}" for c in version.model.values) or _touch(version),
        stored_values=quote_all(version.model.values, prefix="stored."),
        excluded_values=quote_all(version.model.values, prefix="EXCLUDED."),
        delta=quote(f"{version.name}.delta"),
        old=quote(f"{version.name}.old"),
        merged_rows=quote(f"{version.name}.merged"),
        gone=quote(f"{version.name}.gone"),
        new=quote(f"{version.name}.new"),
    )
    if captured:
        text += ",\n" + fill(
            "capture_changes",
            changes=quote(f"{version.name}.changes"),
            old=quote(f"{version.name}.old"),
            new=quote(f"{version.name}.new"),
            columns=quote_all(version.model.columns),
            old_columns=quote_all(version.model.columns, prefix="old."),
            replaced=_replaced(version),
        )
    return text


def _changes_of_inputs(version: Version, policy: Policy) -> dict[str, str]:
    kind = "IS NOT NULL" if version.model.by_learner else "IS NULL"
    ctes: dict[str, str] = {}
    for name in version.model.inputs:
        if name == EVENTS:
            ctes[name] = f'SELECT * FROM "new.events" WHERE learner_key {kind}'
        elif name == POLICY:
            ctes[name] = policy_relation(policy)
        else:
            ctes[name] = f"SELECT * FROM {quote(f'{name}.changes')}"
    return ctes


def _merged_columns(version: Version) -> list[str]:
    grain = [f"delta.{quote(column)}" for column in version.model.grain]
    values = [f"{version.model.merged(c, 'old', 'delta')} AS {quote(c)}" for c in version.model.values]
    return grain + values


def _touch(version: Version) -> str:
    first = quote(version.model.grain[0])
    return f"{first} = EXCLUDED.{first}"


def _replaced(version: Version) -> str:
    """Old rows count as replaced when their group was written anew, or vanished."""
    same_grain = version.model.same_grain("new", "old")
    written = f"EXISTS (SELECT FROM {quote(f'{version.name}.new')} AS new WHERE {same_grain})"
    if not version.model.is_rollup:
        return written
    return f"{written} OR old.row_id IN (SELECT row_id FROM {quote(f'{version.name}.gone')})"


def _changed_learners(versions: Sequence[Version], tables: Mapping[str, Version]) -> str:
    """A JSON object: for each recomputed read model, the learners whose inputs changed.

    An input that is maintained elsewhere, as by a batch, may have changed for every learner with an event.
    """
    own = {version.name for version in versions}
    pairs: list[str] = []
    for version in versions:
        if version.model.recomputed:
            relations = {
                quote(f"{name}.changes")
                for name in version.model.inputs
                if name in tables and tables[name].model.by_learner
            }
            if not set(version.model.inputs) - RESERVED - set(version.model.lookups) <= own:
                relations.add('"new.events"')
            keys = " UNION ".join(f"SELECT learner_key FROM {relation}" for relation in sorted(relations))
            keys = keys or "SELECT NULL::bigint WHERE false"
            pairs.append(
                f"{literal(version.name)}, (SELECT jsonb_agg(learner_key) FROM ({keys}) AS changed"
                " WHERE learner_key IS NOT NULL)"
            )
    return f"jsonb_build_object({', '.join(pairs)})"
