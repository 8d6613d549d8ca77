"""The planner: one SQL statement for a whole request, whose answer is the JSON to send."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from progress_context.engine.template import quote, with_ctes
from progress_context.log.database import statement
from progress_context.principal import Sight
from progress_context.query import access
from progress_context.query.outline import USER, Bound, Field, Outline
from progress_context.query.plan_fields import unwrapped
from progress_context.query.plan_sql import Text, written_list, written_row
from progress_context.query.plan_values import NotPlanned
from progress_context.query.question import Parameters, names_in, placed, shared
from progress_context.query.roots import Root
from progress_context.query.served import Served

NOW, SIGHT = "now", "sight"


@dataclass(frozen=True, slots=True)
class Given:
    """What the bind parameters of a request come from; `sight` is that of who asks."""

    bound: Sequence[Bound]
    now: datetime
    sight: Sight


Get = Callable[[Given], Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement with a single row: `versions`, `position`, `known` (whether all learners are), `data`.

    `data` is null, or holds BROKEN, when a required value is missing. `getters` give the bind parameters.
    """

    sql: str
    getters: tuple[Get, ...]

    def values(self, given: Given) -> list[Any]:
        """The bind parameters of a request."""
        return [get(given) for get in self.getters]


def plan(outline: Outline, served: Served) -> Plan:
    """The plan of an outline; raises NotPlanned where graphql-core must answer."""
    planner = _Planner(served)
    text = Text()
    text.constant("{")
    for number, field in enumerate(outline.fields):
        text.constant(f"{',' if number else ''}{json.dumps(field.chosen.key)}:")
        if field.root is not None:
            text.value(planner.field(field, field.root))
        elif field.chosen.name == "__typename":
            text.constant('"Query"')
        else:
            raise NotPlanned
    text.constant("}")
    return planner.plan(text.sql())


class _Planner:
    def __init__(self, served: Served) -> None:
        self._served = served
        self._parameters = Parameters()
        self._getters: dict[object, Get] = {
            NOW: lambda given: given.now,
            SIGHT: lambda given: given.sight,
        }
        self._learners: dict[object, tuple[str, str]] = {}
        self._fields = 0

    def field(self, field: Field, root: Root) -> str:
        """The JSON of one field of Query as a SELECT of one text."""
        index, self._fields = self._fields, self._fields + 1
        learner = self._learner(index, field) if root.by_learner else ""
        questions = [root.question]
        questions += [root.lists[each.name] for each in field.chosen.inside if each.name in root.lists]
        now, sight = self._parameters.place(NOW), self._parameters.place(SIGHT)
        relations = self._served.binder.relations(questions, learner, now, sight)
        place = {name: self._value(index, name) for name in sorted(names_in(questions))}
        write = written_list if root.many else written_row
        inner = unwrapped(field.chosen.type)
        written = write(field.chosen.inside, inner.name, root.question.sql, root.lists)
        own = [(name, placed(sql, place)) for name, sql in shared(questions)]
        return with_ctes([*relations, *own], placed(written, place))

    def plan(self, data: str) -> Plan:
        """The whole statement."""
        known = " AND ".join(f"EXISTS (SELECT FROM {name})" for name, _ in self._learners.values()) or "true"
        learners = ",\n".join(f"{name} AS MATERIALIZED ({body})" for name, body in self._learners.values())
        state = statement("progress_context.query", "served")
        sql, keys = self._parameters.numbered(
            f"{f'WITH {learners}' if learners else ''}\n"
            f"SELECT state.versions, state.position, {known} AS known, {data} AS data\n"
            f"  FROM (\n{state}\n) AS state"
        )
        return Plan(sql, tuple(self._getters[key] for key in keys))

    def _learner(self, index: int, field: Field) -> str:
        """The SQL of the learner's key; fields that name the same learner look them up once."""
        key = field.keys[USER]
        if key not in self._learners:
            self._getters[("learner", index)] = lambda given: given.bound[index].user_id
            name = quote(f"learner {index}")
            user_id, sight = self._parameters.place(("learner", index)), self._parameters.place(SIGHT)
            body = access.learner(user_id, sight)
            self._learners[key] = (name, body)
        return f"(SELECT learner_key FROM {self._learners[key][0]})"

    def _value(self, index: int, name: str) -> str:
        self._getters[(index, name)] = lambda given: given.bound[index].parameters[name]
        return self._parameters.place((index, name))
