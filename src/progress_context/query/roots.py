"""The fields of Query: which questions each asks, and what its arguments mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from progress_context.query import arguments
from progress_context.query.arguments import Arguments, Parameters
from progress_context.query.question import Question, question

SUMMARY_LISTS = 3
RUNS = 10  # what a list of no known length counts for
Count = Callable[[Parameters], int]


@dataclass(frozen=True, slots=True)
class Root:
    """One field of Query.

    `question` gives a row for every object, with a column for every field. Fields of an object inside the row
    are columns with a dotted name; `name?` tells whether there is one where it may be null. `lists` are the
    questions of fields that are lists; `counts` how many rows to expect of these and, as "", of the field
    itself. `row_type` is the type of rows that may be of several.
    """

    question: Question
    parameters: Callable[[Arguments], Parameters] = arguments.no_parameters
    lists: Mapping[str, Question] = field(default_factory=dict[str, Question])
    counts: Mapping[str, Count] = field(default_factory=dict[str, Count])
    many: bool = False
    by_learner: bool = True
    row_type: str = ""


def _some(number: int) -> Count:
    return lambda _parameters: number


def _number(name: str) -> Count:
    return lambda parameters: parameters[name]


def _days(default: int) -> Count:
    return lambda parameters: arguments.day_count(parameters, default)


# Fields about the system and its log, not about read models: only graphql-core answers them.
OPERATORS = frozenset({"system", "events"})

_CATEGORIES = (question("categories"),)
_MATCHES = question("item_matches")
_PAGE = question("item_page", (_MATCHES,))

ROOTS: dict[str, Root] = {
    "dailyStats": Root(question("days"), arguments.days, counts={"": _days(1)}, many=True),
    "weeklyTrend": Root(
        question("weekly_trend"),
        arguments.weeks,
        lists={"weeks": question("weeks"), "recommendations": question("recommendations")},
        counts={"weeks": _number("weeks"), "recommendations": _some(50)},  # it looks at every item
    ),
    "monthlyStats": Root(question("months"), arguments.months, counts={"": _number("months")}, many=True),
    "categoryProgress": Root(
        question("category_progress", _CATEGORIES),
        arguments.category,
        lists={"categories": question("category_rows", _CATEGORIES)},
        counts={"categories": _some(6)},
    ),
    "itemProgress": Root(
        question("item_connection", (_MATCHES, _PAGE)),
        arguments.items,
        lists={"nodes": question("item_nodes", (_PAGE,)), "edges": question("item_edges", (_PAGE,))},
        counts={"nodes": _number("first"), "edges": _number("first")},
    ),
    "learningStreak": Root(
        question("streak"),
        arguments.calendar,
        lists={
            "calendar": question("calendar"),
            "explanation": question("streak_days"),
            "runs": question("streak_runs"),
        },
        counts={
            "calendar": _days(arguments.CALENDAR_DAYS),
            "explanation": _days(arguments.CALENDAR_DAYS),
            "runs": _some(RUNS),
        },
    ),
    "userSummary": Root(
        question("summary"),
        lists={"recentAchievements": question("achievements")},
        counts={"recentAchievements": _some(SUMMARY_LISTS)},
    ),
    "performanceMetrics": Root(
        question("performance"),
        arguments.period,
        lists={"insights": question("insights")},
        counts={"insights": _some(RUNS)},
    ),
    "milestones": Root(question("milestones"), arguments.status, counts={"": _some(18)}, many=True),
    "learners": Root(
        question("learners"), arguments.learners, counts={"": _number("first")}, many=True, by_learner=False
    ),
}
