"""Any read model of a learner at any past moment, from the events and the nearest snapshot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from progress_context.engine import snapshots
from progress_context.engine.bind import Scope
from progress_context.engine.catalog import Catalog
from progress_context.engine.history import Base, History
from progress_context.engine.template import quote
from progress_context.errors import QueryError
from progress_context.log import read
from progress_context.log.database import Connection, fetch_one, statement

LEARNER = "$1"
STATEMENTS_KEPT = 1_000
# A learner's events are found by the learner, wherever they lie in the log; such plans are as good for any
# learner, and making one takes as long as the answer. But where no snapshot helps, because everything that
# had happened is folded anew, a plan must know how much that is.
PLAN_FOR_ONE_LEARNER = """
    SELECT set_config('random_page_cost', '1.1', true),
           set_config('max_parallel_workers_per_gather', '0', true),
           set_config('plan_cache_mode', $1, true)
"""


@dataclass(frozen=True, slots=True)
class Position:
    """What the log told up to a position."""

    position: int


@dataclass(frozen=True, slots=True)
class KnownAt:
    """What the log had been told by an instant."""

    at: datetime


@dataclass(frozen=True, slots=True)
class HappenedBy:
    """What had happened by an instant, as it is known today: late events and corrections count."""

    at: datetime


Moment = Position | KnownAt | HappenedBy


@dataclass(frozen=True, slots=True)
class Point:
    """A moment found in the log: the last position that counts, and the instant it stands for."""

    position: int
    at: datetime
    happened_by: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, and the position of the snapshot that served them, if one did."""

    rows: Sequence[asyncpg.Record]
    snapshot: int | None


class AsOf:
    """Answers questions about one learner at a past moment.

    `asked(learner, at)` is the relation of the moment asked about, given the SQL of the learner's key and of
    the instant; it may read the rows of the read models in `asked_inputs` as `{name}.rows`.
    """

    def __init__(
        self, catalog: Catalog, asked: Callable[[str, str], str], asked_inputs: Sequence[str] = ()
    ) -> None:
        self._catalog = catalog
        self._asked = asked
        self._asked_inputs = tuple(asked_inputs)
        self._statements: dict[object, str] = {}

    async def find(self, connection: Connection, moment: Moment) -> Point:
        """Where a moment lies in the log; raises QueryError for a position that does not exist (yet).

        The instant of a position is when it was recorded; position 0, the empty log, is given that of 1.
        """
        if isinstance(moment, KnownAt):
            return Point(await read.position_at(connection, moment.at), moment.at)
        if isinstance(moment, HappenedBy):
            return Point(await read.head(connection), moment.at, happened_by=True)
        row = await fetch_one(connection, statement(__package__, "recorded_at"), moment.position)
        if not 0 <= moment.position <= row["head"]:
            raise QueryError(
                "POSITION_UNKNOWN", f"there is no position {moment.position}: the log ends at {row['head']}"
            )
        return Point(moment.position, row["recorded_at"])

    async def rows(
        self, connection: Connection, name: str, learner_key: int | None, moment: Moment
    ) -> list[asyncpg.Record]:
        """The rows of one read model as they were; without a learner, of one that belongs to nobody."""
        point = await self.find(connection, moment)
        answer = await self.answer(connection, f"SELECT * FROM {quote(name)}", [name], learner_key, point)
        return list(answer.rows)

    async def answer(
        self,
        connection: Connection,
        question: str,
        relations: Sequence[str],
        learner_key: int | None,
        point: Point,
        *arguments: object,
    ) -> Answer:
        """Answer a question over the read models (and `asked`) in `relations`; `arguments` are $2 and on."""
        base = None
        if not point.happened_by:
            base = await snapshots.newest(connection, self._catalog, point.position, learner_key)
        values = [learner_key, *arguments, point.position]
        if point.happened_by or self._history(0, None, False).reads_asked(relations):
            values.append(point.at)

        plans = "force_custom_plan" if point.happened_by else "force_generic_plan"

        async def ask(base: Base | None) -> Answer:
            sql = self._statement(question, relations, len(arguments), point.happened_by, base)
            async with connection.transaction():
                await connection.execute(PLAN_FOR_ONE_LEARNER, plans)
                return Answer(await connection.fetch(sql, *values), base.position if base else None)

        try:
            return await ask(base)
        except asyncpg.UndefinedTableError:  # the snapshot was thrown away a moment ago
            return await ask(None)

    def _statement(
        self, question: str, relations: Sequence[str], arguments: int, happened_by: bool, base: Base | None
    ) -> str:
        key = (question, *relations, arguments, happened_by, base.snapshot_id if base else None)
        if key not in self._statements:
            if len(self._statements) >= STATEMENTS_KEPT:
                self._statements.clear()
            self._statements[key] = self._history(arguments, base, happened_by).answer(question, relations)
        return self._statements[key]

    def _history(self, arguments: int, base: Base | None, happened_by: bool) -> History:
        upto, at = f"${arguments + 2}", f"${arguments + 3}"
        return History(
            self._catalog,
            Scope(f"{{relation}}.learner_key = {LEARNER}"),
            upto,
            happened_by=at if happened_by else None,
            asked=self._asked(LEARNER, at),
            asked_inputs=self._asked_inputs,
            base=base,
        )
