"""Questions: one SQL file each, over read models, the moment asked about, and other questions.

A file names the relations it reads in its header (`-- reads: …`) and its parameters as `:name::type`. It is
the same question whether read models are bound to the tables of today or to what they held in the past.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from progress_context.engine.bind import lazy_relation, policy_relation
from progress_context.engine.catalog import Catalog
from progress_context.engine.definition import ASKED, POLICY
from progress_context.engine.template import PLACE, quote, with_ctes
from progress_context.errors import LogUnavailable
from progress_context.log.database import statement
from progress_context.log.profiles import Calendar
from progress_context.query import access
from progress_context.query.asked import asked

READS = re.compile(r"^-- reads: (.*)$", re.MULTILINE)
PLACED = re.compile("\x01([0-9]+)\x02")
COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
LEARNERS = "learners"
GIVEN = frozenset({ASKED, POLICY, LEARNERS})


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT over the relations in `reads`; `parts` are questions that it reads, by name."""

    name: str
    sql: str
    reads: tuple[str, ...]
    parts: tuple[Question, ...] = ()

    def read_models(self) -> set[str]:
        """Everything it reads that is no question, those of its parts included."""
        own = set(self.reads) - {part.name for part in self.parts}
        return own.union(*(part.read_models() for part in self.parts))


@cache
def question(name: str, parts: tuple[Question, ...] = ()) -> Question:
    """The question in `questions/<name>.sql`."""
    text = statement(f"{__package__}.questions", name)
    found = READS.search(text)
    reads = tuple(word.strip() for word in found[1].split(",")) if found else ()
    return Question(name, COMMENT.sub("", text).strip(), reads, parts)


class Parameters:
    """The values of a statement: `place` stands for a value in the SQL, `numbered` gives each its number."""

    def __init__(self) -> None:
        self._keys: list[object] = []

    def place(self, key: object) -> str:
        """What stands in the SQL for a value; the same key is the same value."""
        if key not in self._keys:
            self._keys.append(key)
        return f"\x01{self._keys.index(key)}\x02"

    def numbered(self, sql: str) -> tuple[str, list[object]]:
        """The SQL with `$1`, `$2` … and the keys of these; what does not stand in it has no number."""
        used: list[int] = []

        def number(found: re.Match[str]) -> str:
            index = int(found[1])
            if index not in used:
                used.append(index)
            return f"${used.index(index) + 1}"

        text = PLACED.sub(number, sql)
        return text, [self._keys[index] for index in used]


@dataclass(frozen=True, slots=True)
class Binder:
    """Binds questions to the tables that are served now."""

    catalog: Catalog
    default: Calendar

    def relations(
        self, asked_for: Iterable[Question], learner: str, now: str, sight: str
    ) -> list[tuple[str, str]]:
        """The relations that questions read, for the SQL of a learner's key, of an instant and of a sight."""
        wanted: set[str] = set().union(*(each.read_models() for each in asked_for))
        for name in wanted - GIVEN:
            self.check(name)
        ctes: list[tuple[str, str]] = []
        if ASKED in wanted or any(map(self._reads_asked, wanted - GIVEN)):
            ctes.append((ASKED, asked(self.default, learner, now)))
        given = {POLICY: policy_relation(self.catalog.policy), LEARNERS: access.learners(sight)}
        for name in sorted(wanted - {ASKED}):
            body = given[name] if name in given else self._lazy(name, learner)
            ctes.append((name, body))
        return ctes

    def _reads_asked(self, name: str) -> bool:
        """Whether a read model depends on the moment asked about."""
        return any(ASKED in self.catalog[up].inputs for up in self.catalog.upstream([name]))

    def check(self, name: str) -> None:
        """Raise LogUnavailable for a read model that is not served."""
        if name not in self.catalog.models:
            which = f"{name} is" if self.catalog.models else "the read models are"
            raise LogUnavailable(f"{which} not built yet")

    def _lazy(self, name: str, learner: str) -> str:
        return lazy_relation(self.catalog, self.catalog[name], learner, f"SELECT * FROM {quote(ASKED)}")


def placed(sql: str, place: Mapping[str, str]) -> str:
    """SQL with every `:name` replaced that has a place; other text may look alike."""
    return PLACE.sub(lambda found: place.get(found[1], found[0]), sql)


def names_in(questions: Iterable[Question]) -> set[str]:
    """The parameters that questions and their parts name."""
    found: set[str] = set()
    for each in questions:
        found |= set(PLACE.findall(each.sql)) | names_in(each.parts)
    return found


def shared(questions: Sequence[Question]) -> list[tuple[str, str]]:
    """Relations of the questions that others read, those read first."""
    found: dict[str, str] = {}
    for each in questions:
        found |= dict(shared(each.parts))
        found |= {part.name: part.sql for part in each.parts}
    return list(found.items())


def standing_alone(each: Question) -> str:
    """A question behind the questions it reads, over read models only."""
    own = with_ctes(shared([each]), f"SELECT own.* FROM (\n{each.sql}\n) AS own")
    return f"SELECT whole.* FROM (\n{own}\n) AS whole"
