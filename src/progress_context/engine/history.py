"""Bind read models to the events themselves: what any of them held at any past moment.

Nothing here needs a table of the read model asked for. With a `Base`, tables of folds and rollups as they
were at an earlier position, only the events since then are read: folds merge, and rollups are linear, so
rows(p2) = rows(p1) + SELECT over what changed in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from progress_context.engine.bind import Scope, bound, policy_relation
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ASKED, EVENTS, POLICY, RESERVED, ReadModel
from progress_context.engine.template import fill, quote, quote_all, with_ctes
from progress_context.engine.version import Version


@dataclass(frozen=True, slots=True)
class Base:
    """Tables of folds and rollups as they were at `position`, by read model: a snapshot.

    Rows of the learners in `parked` are older than that.
    """

    snapshot_id: int
    position: int
    versions: Mapping[str, Version]
    parked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """Which events count: of learners in `scope` (and of no learner), up to position `upto`.

    `upto` and `happened_by` are SQL. `asked` is the relation of the moment asked about; it may read the
    rows of read models as `{name}.rows` when they are named in `asked_inputs`. A base may be used
    only when no event before it was voided since.
    """

    catalog: Catalog
    scope: Scope
    upto: str
    happened_by: str | None = None
    asked: str = "SELECT NULL::timestamptz AS at, NULL::date AS today"
    asked_inputs: tuple[str, ...] = ()
    base: Base | None = None

    def query(self, name: str) -> str:
        """One statement: the rows of a read model."""
        return self.answer(f"SELECT * FROM {quote(name)}", [name])

    def answer(self, question: str, relations: Iterable[str]) -> str:
        """One statement: a question over read models (and `asked`), each a relation of its name."""
        wanted = [name for name in relations if name not in RESERVED]
        needed = self.catalog.upstream(wanted)
        ctes = self._events()
        if self.reads_asked(relations):
            first = self.catalog.upstream(self.asked_inputs)
            ctes += self._models(first)
            ctes.append((ASKED, self.asked))
            needed -= first
        ctes += self._models(needed)
        ctes += [(name, f"SELECT * FROM {quote(f'{name}.rows')}") for name in wanted]
        return with_ctes(ctes, question)

    def reads_asked(self, relations: Iterable[str]) -> bool:
        """Whether the moment asked about makes a difference to any of these."""
        wanted = set(relations)
        upstream = self.catalog.upstream(wanted - RESERVED)
        return ASKED in wanted or any(ASKED in self.catalog[name].inputs for name in upstream)

    def _models(self, names: set[str]) -> list[tuple[str, str]]:
        ctes: list[tuple[str, str]] = []
        for model in self.catalog:
            if model.name in names:
                ctes.append((f"{model.name}.rows", self._rows(model)))
                if self._from_base(model):
                    ctes.append((f"{model.name}.changes", self._changes(model)))
        return ctes

    def _events(self) -> list[tuple[str, str]]:
        whole = [
            (
                "events.of learners",
                self._event_relation(f"event.learner_key IS NOT NULL AND {self.scope.on('event')}"),
            ),
            ("events.of nobody", self._event_relation("event.learner_key IS NULL")),
        ]
        if self.base is None:
            return whole
        since = f"event.position > {self.base.position:d}"
        return [
            *whole,
            (
                "events.of learners since",
                self._event_relation(
                    f"event.learner_key IS NOT NULL AND {self.scope.on('event')} AND {since}"
                ),
            ),
            ("events.of nobody since", self._event_relation(f"event.learner_key IS NULL AND {since}")),
        ]

    def _event_relation(self, condition: str) -> str:
        if self.happened_by is not None:
            condition += f" AND event.occurred_at <= {self.happened_by}"
        return fill("events", scope=condition, upto=self.upto)

    def _from_base(self, model: ReadModel) -> bool:
        """Whether a model's rows are taken from the base: not where a lookup may have changed meanwhile."""
        if self.base is None or model.is_view or model.name not in self.base.versions:
            return False
        sources = [self.catalog[name] for name in model.inputs if name not in RESERVED]
        return all(s.by_learner == model.by_learner and self._from_base(s) for s in sources)

    def _rows(self, model: ReadModel) -> str:
        select = self._select(model)
        if not self._from_base(model):
            return model.fresh(select)
        grain = {c: f"coalesce(old.{quote(c)}, delta.{quote(c)}) AS {quote(c)}" for c in model.grain}
        merged = {c: f"{model.merged(c, 'old', 'delta')} AS {quote(c)}" for c in model.values}
        columns = grain | merged
        return model.fresh(
            f"SELECT {', '.join(columns[c] for c in model.columns)}\n"
            f"FROM (\n{self._base_rows(model)}\n) AS old\n"
            f"FULL JOIN (\n{select}\n) AS delta ON {model.same_grain('old', 'delta')}"
        )

    def _select(self, model: ReadModel) -> str:
        return bound(model, {name: self._input(model, name) for name in model.inputs})

    def _input(self, model: ReadModel, name: str) -> str:
        if name == POLICY:
            return policy_relation(self.catalog.policy)
        if name == ASKED:
            return 'SELECT * FROM "asked"'
        if name == EVENTS:
            whose = "of learners" if model.by_learner else "of nobody"
            since = " since" if self._from_base(model) else ""
            return f"SELECT * FROM {quote(f'events.{whose}{since}')}"
        if self._from_base(model):
            return f"SELECT * FROM {quote(f'{name}.changes')}"
        weight = "" if model.is_view else ", 1 AS weight"
        return f"SELECT *{weight} FROM {quote(f'{name}.rows')}"

    def _changes(self, model: ReadModel) -> str:
        columns = quote_all(model.columns)
        return (
            f"SELECT {columns}, 1 AS weight FROM {quote(f'{model.name}.rows')}\n"
            f"UNION ALL\n{self._base_rows(model, weight=', -1 AS weight')}"
        )

    def _base_rows(self, model: ReadModel, weight: str = "") -> str:
        assert self.base is not None
        version = self.base.versions[model.name]
        condition = self.scope.on("source") if model.by_learner else "true"
        columns = quote_all(model.columns, prefix="source.")
        return f"SELECT {columns}{weight} FROM {version.table} AS source WHERE {condition}"
