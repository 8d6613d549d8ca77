"""What is served: the read models as the database has them, and the schema that follows from them.

The projection service may build, swap and roll back at any time. Every answer tells in its own snapshot which
versions are active; when these are others than before, what is served is read anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from graphql import GraphQLSchema

from progress_context.engine.active import ACTIVE, revive
from progress_context.engine.as_of import AsOf
from progress_context.engine.catalog import Catalog, revive_catalog
from progress_context.engine.definition import RESERVED
from progress_context.engine.planned import column_types
from progress_context.log.database import Connection, fetch_one, statement
from progress_context.log.profiles import Calendar
from progress_context.query import row_types
from progress_context.query.asked import CALENDAR, as_of
from progress_context.query.question import Binder
from progress_context.query.roots import ROOTS, Root
from progress_context.query.row_types import RowType
from progress_context.query.schema import load_schema

READ_MODEL = "readModel"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """Read models that fit together, and how to ask them. `versions` names those active, as `served.sql`."""

    versions: str
    binder: Binder
    past: AsOf
    row_types: dict[str, RowType]
    schema: GraphQLSchema

    @property
    def catalog(self) -> Catalog:
        """The definitions that answers follow."""
        return self.binder.catalog

    def root(self, field: str, name: str | None = None) -> Root:
        """A field of Query; `name` is the read model that `readModel` asks for. Raises QueryError."""
        return ROOTS[field] if field != READ_MODEL else row_types.root_of(self.row_types, name or "")


async def look(connection: Connection, files: Catalog, default: Calendar) -> Served:
    """What is served now: stored read models as they are maintained, lazy ones by the files."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        state = await fetch_one(connection, statement(__package__, "served"))
        catalog = merged(await connection.fetch(ACTIVE), files)
        types = await _types(connection, catalog)
    return served_by(state["versions"], catalog, types, default)


def served_by(versions: str, catalog: Catalog, types: dict[str, dict[str, str]], default: Calendar) -> Served:
    """What follows from read models and the types of their columns; those without types are left out."""
    kept = {name: model for name, model in catalog.models.items() if name in types}
    fitting = Catalog(kept, catalog.policy)
    found = row_types.row_types(fitting, types)
    schema = load_schema(row_types.sdl(found.values()))
    return Served(versions, Binder(fitting, default), as_of(fitting, default), found, schema)


def merged(active: Sequence[asyncpg.Record], files: Catalog) -> Catalog:
    """Stored read models as the database defines them, lazy ones as the files do where they fit."""
    stored = revive(active).catalog
    if not stored.models:
        return Catalog({}, files.policy)
    texts = {model.file: model.text for model in stored}
    texts |= {m.file: m.text for m in files if not m.stored and m.name not in stored.models}
    policy = stored.policy if any("policy" in model.inputs for model in stored) else files.policy
    return revive_catalog(texts, policy)


async def _types(connection: Connection, catalog: Catalog) -> dict[str, dict[str, str]]:
    """The column types of every read model that PostgreSQL can plan, and whose inputs it can."""
    types: dict[str, dict[str, str]] = {}
    if CALENDAR not in catalog.models:
        return types
    for model in catalog:
        if not set(model.inputs) <= types.keys() | RESERVED:
            continue
        try:
            async with connection.transaction():
                types[model.name] = await column_types(connection, catalog, model.name)
        except asyncpg.PostgresError as error:
            log.warning("read_model_not_served", read_model=model.name, reason=str(error))
    return types
