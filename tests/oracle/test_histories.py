"""What generated histories are like, and what no history may break."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, timedelta
from itertools import combinations, pairwise
from typing import Any

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from oracle.counted import ABANDONED, COMPLETED, JUDGED, PUBLISHED, UPDATED, counted_events, of_types, sent
from oracle.folds import Row
from oracle.histories import batch_sizes, histories, split
from oracle.paper_log import PaperLog
from oracle.payloads import STRANGE_FIELDS
from oracle.recount import Policy, Recount, recount
from oracle.scenes import IDLE_GAP, MICROSECOND
from progress_context.intake.catalogue import CATALOGUE
from progress_context.intake.json_guard import find_flaw
from progress_context.log.event import NewEvent, StoredEvent

GRACE = Policy(streak_grace=True)
TODAY = date(2026, 4, 10)


def stored(history: Sequence[NewEvent]) -> list[StoredEvent]:
    log = PaperLog()
    log.append(history)
    return log.events


@settings(deadline=None, max_examples=60)
@given(histories())
def test_every_generated_event_is_one_that_intake_would_pass(history: list[NewEvent]) -> None:
    for event in history:
        data = event.data.encode()
        assert find_flaw(data) is None
        known = CATALOGUE.get((event.type, event.version))
        assert event.known is (known is not None)
        if known is None:
            continue
        payload = known.decode(data)
        assert (event.profile, event.voids) == (payload.profile(), payload.voids())
        assert (event.learner_id is None) is (known.subject == "item")


@settings(deadline=None, max_examples=60)
@given(histories(), st.sampled_from((Policy(), GRACE)))
def test_the_models_of_any_history_agree_with_each_other(history: list[NewEvent], policy: Policy) -> None:
    counts = recount(stored(history), policy)
    days, items = counts.daily_stats.values(), counts.item_progress.values()
    assert sum(row["reviews"] for row in days) == sum(row["reviews"] for row in items)
    assert sum(row["new_items"] for row in days) == sum(row["reviews"] > 0 for row in items)
    assert sum(row["sessions"] + row["sessions_abandoned"] for row in days) == sum(
        (row["completed_day"] or row["abandoned_day"]) is not None for row in counts.sessions.values()
    )
    assert all(row["row_count"] > 0 for row in days)
    assert sum(row["reviews"] for row in counts.weekly_totals.values()) == sum(row["reviews"] for row in days)
    assert all(
        row["row_count"] <= counts.level_totals[level,]["row_count"]
        for (_, level), row in counts.level_items.items()
    )
    assert sum(row["days"] for row in counts.streak_runs.values()) == len(counts.active_days)


@settings(deadline=None, max_examples=60)
@given(histories(), batch_sizes())
def test_batches_hold_the_history_in_order(history: list[NewEvent], sizes: list[int]) -> None:
    batches = split(history, sizes)
    assert [event for batch in batches for event in batch] == history
    assert all(0 < len(batch) <= 50 for batch in batches)


class Seen:
    """A generated history with what the log and the oracle made of it."""

    def __init__(self, history: Sequence[NewEvent]) -> None:
        self.history = history
        self.log = stored(history)
        self.counts: Recount = recount(self.log, GRACE)
        self.places = {(event.source, event.id): event.position for event in self.log}
        self.owners = {(event.source, event.id): event.learner_key for event in self.log}
        self.voids = [(self.places[e.source, e.id], e.voids) for e in history if e.voids]

    def session_types(self) -> list[list[str]]:
        """The types of completions and abandonments of each session, in order of time."""
        ends = of_types(counted_events(self.log), COMPLETED, ABANDONED)
        grains = {(event.learner_key, event.fields["session_id"]) for event in ends}
        return [[e.type for e in ends if (e.learner_key, e.fields["session_id"]) == g] for g in grains]

    def session_gaps(self) -> set[timedelta]:
        """The times between two neighbouring events of one session."""
        by_session: dict[Any, list[Any]] = {}
        for event in counted_events(self.log):
            if isinstance(session := event.fields.get("session_id"), str):
                by_session.setdefault((event.learner_key, session), []).append(event.occurred_at)
        return {later - earlier for moments in by_session.values() for earlier, later in pairwise(moments)}

    def changes_of(self, field: str) -> bool:
        """Whether the vocabulary ever tells two values of this field for one item."""
        told = counted_events(self.log)
        values = [
            (e.fields["item_id"], v) for e in of_types(told, PUBLISHED, UPDATED) for v in sent([e], field)
        ]
        return any(item == other and a != b for (item, a), (other, b) in combinations(values, 2))

    def is_published_late(self) -> bool:
        """Whether an item enters the catalogue after an event of a learner about it."""
        told = sorted(counted_events(self.log), key=lambda event: event.position)
        published = {e.fields["item_id"] for e in of_types(told, PUBLISHED, UPDATED)}
        first = {
            e.fields.get("item_id"): e.type for e in reversed(told) if e.type in (JUDGED, PUBLISHED, UPDATED)
        }
        return any(first[item] == JUDGED for item in published)

    def domains_of(self, item: str) -> set[str]:
        """The skills of an item in the end."""
        return set(self.counts.item_catalogue.get((item,), {}).get("domains") or ())

    def levels(self) -> list[Row]:
        """LevelStats of every learner on a day near the end."""
        learners = {learner for learner, _ in self.counts.item_progress}
        return [row for learner in learners for row in self.counts.level_stats(learner, TODAY).values()]

    def trends(self) -> set[str]:
        """The trends of every learner's weeks."""
        learners = {learner for learner, _ in self.counts.daily_stats}
        return {row["trend"] for key in learners for row in self.counts.weekly_stats(key, TODAY).values()}

    def is_strange(self) -> bool:
        """Whether some known payload carries a field that another type declares."""
        return any(
            event.known and (json.loads(event.data).keys() & STRANGE_FIELDS) - _declared(event)
            for event in self.history
        )


def _declared(event: NewEvent) -> set[str]:
    return set(CATALOGUE[event.type, event.version].struct.__struct_fields__)


FEATURES: dict[str, Callable[[Seen], object]] = {
    "late": lambda s: any(
        b.occurred_at < a.occurred_at and b.learner_key == a.learner_key for a, b in pairwise(s.log)
    ),
    "tie": lambda s: max(Counter((e.learner_key, e.occurred_at) for e in s.log).values(), default=0) > 1,
    "duplicate": lambda s: len(set(s.history)) < len(s.history),
    "conflict": lambda s: len(set(s.history)) > len(s.log),
    "void before its event": lambda s: any(s.places.get(named, 0) > at for at, named in s.voids),
    "void after its event": lambda s: any(0 < s.places.get(named, 0) < at for at, named in s.voids),
    "void of itself": lambda s: any(s.places.get(named) == at for at, named in s.voids),
    "void of nothing": lambda s: any(named not in s.places for _, named in s.voids),
    "foreign void": lambda s: any(
        s.owners.get(named, s.log[at - 1].learner_key) != s.log[at - 1].learner_key for at, named in s.voids
    ),
    "gap of exactly the idle gap": lambda s: IDLE_GAP in s.session_gaps(),
    "gap just longer": lambda s: IDLE_GAP + MICROSECOND in s.session_gaps(),
    "completed twice": lambda s: any(types.count(COMPLETED) > 1 for types in s.session_types()),
    "abandoned, then completed": lambda s: any(
        ABANDONED in types[: types.index(COMPLETED)] for types in s.session_types() if COMPLETED in types
    ),
    "capped": lambda s: any((r["sent_seconds"] or 0) > 14_400 for r in s.counts.sessions.values()),
    "mastery undone": lambda s: any(
        r["first_mastered_day"] and not r["mastered"] for r in s.counts.item_progress.values()
    ),
    "struggling": lambda s: any(
        r["reviews"] >= 5 and r["correct"] / r["reviews"] < 0.6 for r in s.counts.item_progress.values()
    ),
    "freeze": lambda s: any(r["freezes_used"] == 1 for r in s.counts.streak_runs.values()),
    "two freezes": lambda s: any(r["freezes_used"] == 2 for r in s.counts.streak_runs.values()),
    "profile": lambda s: any(e.profile for e in s.history),
    "day of a zone": lambda s: any(e.learning_day not in (None, e.occurred_at.date()) for e in s.log),
    "unknown type": lambda s: any(not e.known and e.version == 1 for e in s.history),
    "unknown version": lambda s: any(not e.known and e.version == 2 for e in s.history),
    "catalogued item": lambda s: s.counts.item_catalogue,
    "level changed": lambda s: s.changes_of("level"),
    "skills changed": lambda s: s.changes_of("domains"),
    "learned, then published": lambda s: s.is_published_late(),
    "review of a named skill": lambda s: s.counts.skill_reviews,
    "unnamed review of several skills": lambda s: any(
        r["unnamed_reviews"] and len(s.domains_of(item)) > 1
        for (_, item), r in s.counts.item_progress.items()
    ),
    "mastered item of a level": lambda s: any(r["mastered"] for r in s.counts.level_items.values()),
    "level complete": lambda s: any(
        r["mastered"] == s.counts.level_totals[level,]["row_count"]
        for (_, level), r in s.counts.level_items.items()
    ),
    "level complete some day": lambda s: any(
        (r["estimated_completion"] or TODAY) > TODAY for r in s.levels()
    ),
    "level without a pace": lambda s: any(r["estimated_completion"] is None for r in s.levels()),
    "up": lambda s: "UP" in s.trends(),
    "down": lambda s: "DOWN" in s.trends(),
    "stable": lambda s: "STABLE" in s.trends(),
    "null": lambda s: any(None in json.loads(e.data).values() for e in s.history if e.known),
    "strange field": lambda s: s.is_strange(),
}


def test_histories_hold_every_kind_of_trouble() -> None:
    missing = set(FEATURES)

    def shows_the_last(history: list[NewEvent]) -> bool:
        seen = Seen(history)
        missing.difference_update({name for name in missing if FEATURES[name](seen)})
        return not missing

    options = settings(
        max_examples=1_000,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,  # else the search goes on after the first hit
    )
    with suppress(NoSuchExample):
        find(histories(), shows_the_last, settings=options)
    assert not missing
