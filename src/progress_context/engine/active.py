"""Read models as the database has them: every version carries the definition it was made from.

The files say what is wished for; what is maintained and served is what stands here, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg
import msgspec

from progress_context.engine.catalog import Catalog, revive_catalog
from progress_context.engine.definition import POLICY, Policy, ReadModel
from progress_context.engine.version import Version
from progress_context.log.database import Connection

ACTIVE = """
    SELECT read_model, version_id, fingerprint, table_name, definition, policy
      FROM engine.versions WHERE status = 'active' ORDER BY read_model
"""


@dataclass(frozen=True, slots=True)
class Active:
    """Versions that are maintained together, by read model; the catalog holds just their definitions."""

    catalog: Catalog
    versions: Mapping[str, Version]


async def active(connection: Connection) -> Active:
    """The active versions, with the definitions and the policy they were made from."""
    return revive(await connection.fetch(ACTIVE))


def revive(rows: Sequence[asyncpg.Record]) -> Active:
    """Versions from rows of engine.versions; each keeps the fingerprint it was made with."""
    by_name = {row["read_model"]: row for row in rows}
    catalog = as_defined(rows)
    models = {m.name: replace(m, fingerprint=by_name[m.name]["fingerprint"]) for m in catalog}
    versions = {
        name: Version(model, by_name[name]["version_id"], by_name[name]["table_name"])
        for name, model in models.items()
    }
    return Active(Catalog(models, catalog.policy), versions)


def as_defined(rows: Sequence[asyncpg.Record]) -> Catalog:
    """The definitions in these rows, with the fingerprints they would be given here and now.

    Those who read the policy are always made together, so they were made under one.
    """
    policies = [row["policy"] for row in rows if row["policy"] is not None]
    texts = {row["table_name"]: row["definition"] for row in rows}
    return revive_catalog(texts, from_json(policies[0]) if policies else Policy())


def policy_read(model: ReadModel, policy: Policy) -> str | None:
    """The policy as it is stored with a read model: not at all where it is not read."""
    return msgspec.json.encode(policy).decode() if POLICY in model.inputs else None


def from_json(text: str) -> Policy:
    """A policy that was stored; a choice that did not exist then has its default."""
    return msgspec.json.decode(text, type=Policy)
