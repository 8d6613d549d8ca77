"""Which read models are rebuilt together: what is computed from one another changes places in one commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from progress_context.engine.active import active
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ASKED, EVENTS, ReadModel
from progress_context.log.database import Connection

STANDING = "SELECT read_model, fingerprint, update_mode FROM engine.versions WHERE status = 'active'"
ROLLED_BACK = """
    SELECT read_model, fingerprint, update_mode
      FROM engine.versions JOIN engine.builds ON builds.build_id = replaced_by
     WHERE status = 'retired' AND kind = 'rollback'
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """`models` are built, inputs first; `removed` are active, defined by no file any more, and retire."""

    models: tuple[ReadModel, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the files say that is not active: `edited` (or new), and `pinned` by a rollback.

    A rollback pins its read models as long as the files say what was rolled back. `removed` are active
    although no file defines them any more, and read by none that stays. `first`: nothing is active at all.
    """

    edited: tuple[str, ...]
    pinned: tuple[str, ...]
    removed: tuple[str, ...]
    first: bool


async def wishes(connection: Connection, catalog: Catalog) -> Wishes:
    """How the files differ from what is active."""
    standing = {tuple(row) for row in await connection.fetch(STANDING)}
    rolled_back = {tuple(row) for row in await connection.fetch(ROLLED_BACK)}
    wished = {model.name: (model.name, model.fingerprint, model.update) for model in catalog.stored()}
    missing = {name for name, version in wished.items() if version not in standing}
    pinned = {name for name in missing if wished[name] in rolled_back}
    definitions = (await active(connection)).catalog
    read = definitions.upstream(model.name for model in definitions if model.name in wished)
    removed = {model.name for model in definitions} - read
    return Wishes(
        tuple(sorted(missing - pinned)), tuple(sorted(pinned)), tuple(sorted(removed)), not standing
    )


async def select(connection: Connection, catalog: Catalog, names: Iterable[str]) -> Selection:
    """The named read models, their inputs, all that is computed from any of these, and so on.

    So after every swap each read model has been computed from its inputs as they are; and a rollback, which
    takes back a whole swap, keeps it so. What the active definitions read counts as what the files say, and
    those who read the policy belong together, since there is one policy at a time.
    """
    standing = (await active(connection)).catalog
    together = _connected([*catalog.stored(), *standing], names)
    models = tuple(model for model in catalog.stored() if model.name in together)
    wished = {model.name for model in catalog.stored()}
    return Selection(models, tuple(m.name for m in standing if m.name in together - wished))


def _connected(models: Iterable[ReadModel], names: Iterable[str]) -> set[str]:
    neighbours: dict[str, set[str]] = defaultdict(set)
    for model in models:
        for name in model.inputs:
            if name not in (EVENTS, ASKED):
                neighbours[model.name].add(name)
                neighbours[name].add(model.name)
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += neighbours[name]
    return found
