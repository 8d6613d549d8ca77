"""The statement that fills tables: the rows of some learners, for all read models at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from progress_context.engine.bind import NOBODY, Scope, bound
from progress_context.engine.builds import Build
from progress_context.engine.definition import EVENTS, ReadModel
from progress_context.engine.history import Base, History
from progress_context.engine.template import quote, quote_all, with_ctes
from progress_context.engine.version import Version

# A chunk's rows have no statistics: a nested loop over them, planned for a few, may never end. The commit
# need not wait for the disk: a crash loses the rows together with the note of them.
FOR_MANY = """
    SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '256MB', true),
           set_config('synchronous_commit', 'off', true)
"""


@dataclass(frozen=True)
class ChunkHistory(History):
    """The rows of some learners; those of read models in `filled` are in their tables already.

    When several read models read the events, PostgreSQL keeps them once: no copy is wanted for each.
    `settled` learners have no event after the base: its rows are theirs.
    """

    filled: Mapping[str, Version] = field(default_factory=dict[str, Version])
    shared_events: bool = False
    settled: bool = False

    def insert_into(self, versions: Mapping[str, Version], count: str) -> str:
        """One statement: put rows into the tables of these versions; its answer is that of `count`."""
        ctes = self._events() + self._models(self.catalog.upstream(versions))
        for name, version in versions.items():
            columns = quote_all(version.model.columns)
            rows = f"SELECT {columns} FROM {quote(f'{name}.rows')}"
            ctes.append((f"{name}.new", f"INSERT INTO {version.table} ({columns}) {rows}"))
        return with_ctes(ctes, count)

    def count(self, condition: str) -> str:
        """How many of the events that are read fulfil a condition."""
        since = f" AND event.position > {self.base.position:d}" if self.base else ""
        whole = f"SELECT count(*) FROM log.events AS event WHERE {condition}"
        return f"{whole} AND event.position <= {self.upto}{since}"

    def _select(self, model: ReadModel) -> str:
        ctes = {name: self._input(model, name) for name in model.inputs}
        return bound(model, ctes, inline=self.shared_events)

    def _rows(self, model: ReadModel) -> str:
        if model.name in self.filled:
            return f"SELECT {quote_all(model.columns)} FROM {self.filled[model.name].table}"
        if self.settled and self._from_base(model):
            return self._base_rows(model)
        return super()._rows(model)


def among(learners: Iterable[int]) -> Scope:
    """These learners."""
    return Scope(f"{{relation}}.learner_key = ANY (ARRAY[{', '.join(map(str, sorted(learners)))}]::bigint[])")


def shared_of(build: Build) -> dict[str, Version]:
    """The versions whose rows belong to no learner."""
    return {name: version for name, version in build.versions.items() if not version.model.by_learner}


def own_of(build: Build) -> dict[str, Version]:
    """The versions whose rows belong to learners."""
    return {name: version for name, version in build.versions.items() if version.model.by_learner}


def fill_shared(build: Build, versions: Mapping[str, Version], upto: int, base: Base | None = None) -> str:
    """Fill versions whose rows belong to no learner."""
    history = ChunkHistory(build.catalog, NOBODY, str(int(upto)), base=base)
    return history.insert_into(versions, history.count("event.learner_key IS NULL"))


def fill_learners(
    build: Build, versions: Mapping[str, Version], scope: Scope, upto: int, base: Base | None = None
) -> str:
    """Fill versions with the rows of some learners, when those that belong to no learner are filled."""
    readers = [name for name in build.catalog.upstream(versions) if EVENTS in build.catalog[name].inputs]
    history = ChunkHistory(
        build.catalog, scope, str(int(upto)),
        base=base, filled=shared_of(build), shared_events=len(readers) > 1,
    )  # fmt: skip
    return history.insert_into(versions, history.count(scope.on("event")))


def copy_learners(
    build: Build, versions: Mapping[str, Version], scope: Scope, upto: int, base: Base, stands_for: int
) -> str:
    """As `fill_learners`, for learners without an event after the base; it answers `stands_for`."""
    history = ChunkHistory(
        build.catalog, scope, str(int(upto)), base=base, filled=shared_of(build), settled=True
    )
    return history.insert_into(versions, f"SELECT {stands_for:d}")
