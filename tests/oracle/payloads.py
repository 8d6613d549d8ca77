"""Valid payloads of every event type, drawn from small pools, some with fields of other types.

Whatever can be is drawn as a single number (`picked`): an event of few choices is one that Hypothesis
can drop as a whole when it looks for the smallest failing history.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

from hypothesis import strategies as st

from oracle import counted
from progress_context.intake.catalogue import CATALOGUE

Payload = dict[str, Any]

ITEMS = ("cat", "dog", "naïve", 'say "ah"', "猫", "zebra")
SESSIONS = ("s1", "s2", "s3")
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland",
    "Pacific/Kiritimati",
)  # fmt: skip

# Names that mean something elsewhere: half the values look plausible, the others break a careless cast.
STRANGE_FIELDS: dict[str, tuple[Any, ...]] = {
    "item_id": ("cat", 7, ["cat"]),
    "session_id": ("s1", {"s": 1}),
    "judgment": ("UserConfirmedCorrect", {"x": 1}),
    "response_time_ms": (900, "fast", -1.5),
    "duration_seconds": (600, "soon", {}),
    "mastered": (True, "yes", [False]),
    "mastery_level": (0.9, "high"),
    "next_review_at": ("2026-03-30T10:00:00Z", "someday", 17),
    "easiness_factor": (2.1, "hard"),
    "new_easiness_factor": (1.9, [], "1,7"),
    "tokens_used": (50, "many", 1e300),
    "cost": (1, "$1"),
    "spelling": ("chat", 5),
    "level": ("B2", "Z9"),
    "domains": (["reading"], "reading"),
    "source": ("urn:a", 1),
    "id": ("e0", {"id": "e0"}),
    "time_zone": ("Asia/Tokyo", "Mars/Olympus"),
    "day_rollover_hour": (4, "noon"),
    "note": ("extra", None),
}
STRANGE_PAIRS = tuple({name: value} for name, values in STRANGE_FIELDS.items() for value in values)
NO_FIELD: Payload = {}
STRANGE = (*[NO_FIELD] * len(STRANGE_PAIRS), *STRANGE_PAIRS)
MISSING = object()

SECONDS = (
    0, 600, 59.9996, 0.0004, 0.0005, 1e-7, 14_399.9996, 14_400, 14_400.001, 90_000, 1_000_000_000,
)  # fmt: skip
MILLISECONDS = (0, 850, 3_000, 2_147_483_647)
DAYS = (0, 1, 0.5, 21, 1_000_000)
COUNTS = (0, 1, 20, 2_147_483_647)
SHARES = (0, 0.5, 0.85, 1.0)
INSTANTS = (
    "2026-03-25T09:00:00Z", "2026-03-29T02:30:00.5+02:00", "2026-03-30t23:59:59.999999z",
    "2026-04-02T00:00:00-11:00", "2027-01-01T00:00:00Z",
)  # fmt: skip
SKILLS = ("reading", "writing", "listening", "speaking")
SKILL_LISTS = ([], ["reading"], ["speaking", "writing"], ["listening", "reading", "listening"])
LEVELS = ("A1", "B2", "C2")
BOTH = (False, True)


def weighted(*choices: tuple[int, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """One of several strategies, each as often as its weight says; shrinks towards the first."""
    repeated = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.sampled_from(range(len(repeated))).flatmap(repeated.__getitem__)


def picked(*pools: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    """One value of each pool, all by one number; shrinks towards the first of each."""

    def decode(number: int) -> list[Any]:
        values: list[Any] = []
        for pool in pools:
            number, index = divmod(number, len(pool))
            values.append(pool[index])
        return values

    return st.integers(0, prod(map(len, pools)) - 1).map(decode)


def _fields(required: dict[str, tuple[Any, ...]], **optional: tuple[Any, ...]) -> st.SearchStrategy[Payload]:
    """Objects with all `required` fields; each optional one is missing, sent, or null."""
    return _objects(required | {name: (MISSING, *values, None) for name, values in optional.items()})


def _objects(pools: dict[str, tuple[Any, ...]]) -> st.SearchStrategy[Payload]:
    def name_them(values: list[Any]) -> Payload:
        return {name: v for name, v in zip(pools, values, strict=True) if v is not MISSING}

    return picked(*pools.values()).map(name_them)


PAYLOADS: dict[str, st.SearchStrategy[Payload]] = {
    counted.STARTED: _fields(
        {"session_id": SESSIONS}, item_count=(1, 100), strategy=("mixed", "due_for_review")
    ),
    counted.JUDGED: _fields(
        {
            "item_id": ITEMS,
            "judgment": ("AutoConfirmed", "UserConfirmedCorrect", "UserConfirmedIncorrect"),
        },
        session_id=SESSIONS,
        response_time_ms=MILLISECONDS,
        domain=SKILLS,
    ),
    counted.COMPLETED: _fields(
        {"session_id": SESSIONS},
        total_items=(20,),
        correct_count=(0, 20),
        duration_seconds=SECONDS,
        reason=("timeout", "user_request"),
    ),
    counted.ABANDONED: _fields(
        {"session_id": SESSIONS, "completed_count": COUNTS},
        reason=("user_left", "inactivity", "technical_error"),
    ),
    counted.MASTERY_UPDATED: _fields({"item_id": ITEMS, "mastery_level": SHARES, "mastered": BOTH}),
    counted.ACTIVITY: _fields(
        {"activity_id": ("video/1",), "verb": ("watched", "read")},
        duration_seconds=SECONDS,
        session_id=SESSIONS,
    ),
    counted.SCHEDULED: _fields(
        {"item_id": ITEMS, "next_review_at": INSTANTS, "interval_days": DAYS},
        easiness_factor=(1.3, 1.7, 2, 2.5),
        repetition_count=COUNTS,
        algorithm_version=("sm2",),
    ),
    counted.ADJUSTED: _fields(
        {
            "item_id": ITEMS,
            "old_easiness_factor": (2.5,),
            "new_easiness_factor": (1.45, 0, 2.2, 1_000),
        },
        reason=("too easy",),
    ),
    counted.MASTERED: _fields(
        {"item_id": ITEMS, "total_reviews": COUNTS, "accuracy_rate": SHARES, "retention_days": DAYS}
    ),
    counted.PUBLISHED: _fields(
        {"item_id": ITEMS, "spelling": ("cat", "Kätzchen")}, level=LEVELS, domains=SKILL_LISTS
    ),
    counted.UPDATED: _fields(
        {"item_id": ITEMS}, spelling=("kitten", "猫"), level=LEVELS, domains=SKILL_LISTS
    ),
    counted.AI_USED: _fields(
        {"task_type": ("hint",), "tokens_used": COUNTS}, cost=(0, 0.1, 0.0015, 2, 1_000_000_000)
    ),
    "algorithm.ReviewRecorded": _fields(
        {
            "item_id": ITEMS,
            "quality": (0, 5),
            "is_correct": BOTH,
            "review_type": ("new", "learning", "review"),
        },
        response_time_ms=MILLISECONDS,
        previous_interval_days=DAYS,
    ),
    "algorithm.StatisticsUpdated": st.just({"metrics": {"reviews": 12}}),
    "progress.StreakUpdated": st.just({"current": 3, "previous": 2, "longest": 3}),
}

# Kept private: stored with the declared fields only, and never with nulls.
PROFILES: dict[str, st.SearchStrategy[Payload]] = dict.fromkeys(
    ("user.UserCreated", "user.PreferencesUpdated"),
    _objects(
        {
            "time_zone": (MISSING, *ZONES),
            "day_rollover_hour": (MISSING, 0, 4, 23),
            "locale": (MISSING, "fr"),
        }
    ),
)


@cache
def payloads_of(event_type: str) -> st.SearchStrategy[Payload]:
    """Payloads that intake accepts for version 1 of a type, with declared fields only."""
    return (PAYLOADS | PROFILES).get(event_type, st.just(NO_FIELD))


def add_strange_fields(event_type: str, payload: Payload, strange: Payload) -> Payload:
    """The payload with those strange fields that its type does not declare; private types take none."""
    if event_type in PROFILES:
        return payload
    known = CATALOGUE.get((event_type, 1)) if event_type in PAYLOADS else None
    declared = known.struct.__struct_fields__ if known else ()
    return {name: value for name, value in strange.items() if name not in declared} | payload
