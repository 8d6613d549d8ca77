"""The books of the engine: which versions exist, which is active, how far each has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from progress_context.engine.active import policy_read
from progress_context.engine.bind import NOBODY, bound, stored_inputs
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ReadModel
from progress_context.engine.template import fill, quote, quote_all
from progress_context.engine.version import Version
from progress_context.errors import CheckpointLost
from progress_context.log.database import Connection, statement

ACTIVE = """
    SELECT read_model, version_id, fingerprint, table_name
      FROM engine.versions WHERE status = 'active'
"""
ADD_VERSION = """
    INSERT INTO engine.versions
      (read_model, fingerprint, table_name, update_mode, definition, policy, build_id, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 'building') RETURNING version_id
"""
OUTDATED = """
    SELECT version_id FROM engine.versions AS old
     WHERE status = 'retired' AND NOT EXISTS (
           SELECT FROM engine.versions AS v WHERE v.status = 'active' AND v.build_id = old.replaced_by)
"""
TABLE_NAMES = "SELECT table_name FROM engine.versions WHERE read_model = $1"


async def active_versions(connection: Connection, catalog: Catalog) -> dict[str, Version]:
    """The active version of every read model that the catalog defines as it stands in the database."""
    versions: dict[str, Version] = {}
    rows = {row["read_model"]: row for row in await connection.fetch(ACTIVE)}
    for model in catalog.stored():
        row = rows.get(model.name)
        if row is not None and row["fingerprint"] == model.fingerprint:
            versions[model.name] = Version(model, row["version_id"], row["table_name"])
    return versions


async def create_versions(
    connection: Connection, catalog: Catalog, models: Iterable[ReadModel], build_id: int
) -> dict[str, Version]:
    """Empty tables for new versions of `models` (inputs among them, inputs first), all `building`.

    While they are, each has one checkpoint, whatever the number of shards.
    """
    versions: dict[str, Version] = {}
    for model in models:
        versions[model.name] = await _create_version(connection, catalog, model, versions, build_id)
    return versions


async def drop_versions(connection: Connection, version_ids: Sequence[int]) -> None:
    """Throw tables and their entries away."""
    rows = await connection.fetch(
        "DELETE FROM engine.versions WHERE version_id = ANY ($1::bigint[]) RETURNING table_name", version_ids
    )
    for row in rows:
        await connection.execute(f"DROP TABLE IF EXISTS read.{quote(row['table_name'])}")


def is_sharded(model: ReadModel) -> bool:
    """Whether a version has a checkpoint for each shard of learners; the others have one, of shard 0."""
    return model.by_learner and model.update == "realtime"


async def checkpoints(
    connection: Connection, versions: Iterable[Version], *, lock: bool = False
) -> dict[int, int]:
    """Position by shard of versions that are maintained together; `lock` holds them still.

    Raises CheckpointLost when they are not together, as after a swap by another process.
    """
    rows = await connection.fetch(
        "SELECT shard, position FROM engine.checkpoints WHERE version_id = ANY ($1::bigint[])"
        f" ORDER BY shard, version_id {'FOR UPDATE' if lock else ''}",
        [version.version_id for version in versions],
    )
    found: dict[int, int] = {}
    for row in rows:
        if found.setdefault(row["shard"], row["position"]) != row["position"]:
            raise CheckpointLost(f"the read models of shard {row['shard']} are not at one position")
    return found


async def together(
    connection: Connection, versions: Iterable[Version], *, lock: bool = False
) -> list[tuple[int, list[Version]]]:
    """Versions with one checkpoint each, by their position; those that read one another are at the same.

    `lock` holds them still.
    """
    by_id = {version.version_id: version for version in versions}
    rows = await connection.fetch(
        "SELECT version_id, position FROM engine.checkpoints WHERE version_id = ANY ($1::bigint[])"
        f" ORDER BY version_id {'FOR UPDATE' if lock else ''}",
        list(by_id),
    )
    reached = {row["version_id"]: row["position"] for row in rows}
    return [
        (position, [version for key, version in by_id.items() if reached.get(key) == position])
        for position in sorted(set(reached.values()))
    ]


def realtime(versions: Mapping[str, Version]) -> list[Version]:
    """Those that follow the log at once."""
    return [version for version in versions.values() if version.model.update == "realtime"]


def in_batches(versions: Mapping[str, Version]) -> list[Version]:
    """Those that follow on a timer."""
    return [version for version in versions.values() if version.model.update == "batch"]


async def activate(connection: Connection, versions: Mapping[str, Version], build_id: int) -> None:
    """Make these the active versions: their predecessors retire, the views of that name follow."""
    await retire(connection, list(versions), build_id)
    await connection.execute(
        "UPDATE engine.versions SET status = 'active', activated_at = now(), replaced_by = NULL,"
        "       stopped_at = NULL, left_out = NULL WHERE version_id = ANY ($1::bigint[])",
        [version.version_id for version in versions.values()],
    )
    for version in versions.values():
        await connection.execute(f"CREATE VIEW read.{quote(version.name)} AS SELECT * FROM {version.table}")


async def retire(connection: Connection, names: Sequence[str], build_id: int | None = None) -> None:
    """Retire active versions, in favour of a build if there is one; the views of their names go."""
    await connection.execute(statement(__package__, "retire"), names, build_id)
    for name in names:
        await connection.execute(f"DROP VIEW IF EXISTS read.{quote(name)}")


async def drop_outdated(connection: Connection) -> None:
    """Drop retired versions, but keep for a rollback those whose successors are active."""
    rows = await connection.fetch(OUTDATED)
    await drop_versions(connection, [row["version_id"] for row in rows])


async def _create_version(
    connection: Connection, catalog: Catalog, model: ReadModel, versions: Mapping[str, Version], build_id: int
) -> Version:
    taken = {row["table_name"] for row in await connection.fetch(TABLE_NAMES, model.name)}
    table_name = _free_name(f"{model.name}__{model.fingerprint[:6]}", taken)
    version_id = await connection.fetchval(
        ADD_VERSION, model.name, model.fingerprint, table_name, model.update,
        model.text, policy_read(model, catalog.policy), build_id,
    )  # fmt: skip
    version = Version(model, version_id, table_name)
    inputs = stored_inputs(version, versions, catalog.policy, NOBODY, upto="0")
    await connection.execute(
        fill("create_table", table=version.table, select=model.fresh(bound(model, inputs)))
    )
    await connection.execute(f"ALTER TABLE {version.table} ADD PRIMARY KEY ({quote_all(model.grain)})")
    for name in model.lookups:
        await _index_source(connection, catalog, model, versions, catalog[name].grain)
    await connection.execute(
        "INSERT INTO engine.checkpoints (version_id, position) VALUES ($1, 0)", version_id
    )
    return version


async def _index_source(
    connection: Connection,
    catalog: Catalog,
    model: ReadModel,
    versions: Mapping[str, Version],
    grain: tuple[str, ...],
) -> None:
    """When a lookup changes, its learners are found in the input that has its grain."""
    for name in model.inputs:
        if name in versions and versions[name].model.by_learner and set(grain) <= set(catalog[name].columns):
            index = quote(f"{versions[name].table_name}_by_{'_'.join(grain)}")
            await connection.execute(
                f"CREATE INDEX IF NOT EXISTS {index} ON {versions[name].table} ({quote_all(grain)})"
            )


def _free_name(name: str, taken: set[str]) -> str:
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
