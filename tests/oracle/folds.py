"""Items and sessions, folded from the events that count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from oracle.counted import (
    ABANDONED,
    ADJUSTED,
    COMPLETED,
    JUDGED,
    MASTERED,
    MASTERY_UPDATED,
    PUBLISHED,
    SCHEDULED,
    STARTED,
    UPDATED,
    CountedEvent,
    first_or_none,
    last_or_none,
    of_types,
    sent,
)
from progress_context.intake.instant import read_instant

Grain = tuple[Any, ...]
Row = dict[str, Any]
Rows = dict[Grain, Row]


@dataclass(frozen=True)
class Policy:
    """What the numbers depend on beside the events."""

    idle_gap: timedelta = timedelta(minutes=30)
    cap_seconds: int = 14_400
    streak_grace: bool = False


def _grouped(pairs: Iterable[tuple[Grain, CountedEvent]]) -> dict[Grain, list[CountedEvent]]:
    groups: dict[Grain, list[CountedEvent]] = defaultdict(list)
    for grain, event in pairs:
        groups[grain].append(event)
    return groups


def fold_catalogue(events: Sequence[CountedEvent]) -> Rows:
    """item_catalogue: {(item_id,): columns}."""
    groups = _grouped(((e.fields["item_id"],), e) for e in of_types(events, PUBLISHED, UPDATED))
    return {
        grain: {
            "published_at": group[0].occurred_at,
            "spelling": last_or_none(sent(group, "spelling")),
            "level": last_or_none(sent(group, "level")),
            "domains": last_or_none(sent(group, "domains")),
        }
        for grain, group in groups.items()
    }


def fold_sessions(events: Sequence[CountedEvent], policy: Policy) -> Rows:
    """sessions: {(learner_key, session_id): columns}; durations in seconds."""
    groups = _grouped(
        ((event.learner_key, event.fields["session_id"]), event)
        for event in of_types(events, STARTED, JUDGED, COMPLETED, ABANDONED)
        if event.fields.get("session_id") is not None
    )
    return {grain: _session_row(group, policy) for grain, group in groups.items()}


def _session_row(group: Sequence[CountedEvent], policy: Policy) -> Row:
    sent_seconds = first_or_none(sent(of_types(group, COMPLETED), "duration_seconds"))
    measured = _seconds_without_idle_gaps([event.occurred_at for event in group], policy.idle_gap)
    seconds = measured if sent_seconds is None else sent_seconds
    return {
        "started_at": first_or_none([e.occurred_at for e in of_types(group, STARTED)]),
        "first_event_at": group[0].occurred_at,
        "last_event_at": group[-1].occurred_at,
        "reviews": len(of_types(group, JUDGED)),
        "completed_day": first_or_none([e.learning_day for e in of_types(group, COMPLETED)]),
        "abandoned_day": first_or_none([e.learning_day for e in of_types(group, ABANDONED)]),
        "sent_seconds": sent_seconds,
        "study_seconds": min(seconds, policy.cap_seconds),
    }


def _seconds_without_idle_gaps(moments: Sequence[datetime], idle_gap: timedelta) -> Decimal:
    """A gap as long as `idle_gap` is still study time: its ends touch, so the stretch goes on."""
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    studied = sum((gap for gap in gaps if gap <= idle_gap), timedelta())
    return Decimal(studied // timedelta(microseconds=1)) / 1_000_000


def fold_items(events: Sequence[CountedEvent]) -> Rows:
    """item_progress: {(learner_key, item_id): columns}."""
    types = (JUDGED, MASTERY_UPDATED, SCHEDULED, ADJUSTED, MASTERED)
    groups = _grouped(((e.learner_key, e.fields["item_id"]), e) for e in of_types(events, *types))
    return {grain: _item_row(group) for grain, group in groups.items()}


def _item_row(group: Sequence[CountedEvent]) -> Row:
    judged = of_types(group, JUDGED)
    verdicts = [(_says_mastered(e), e) for e in of_types(group, MASTERED, MASTERY_UPDATED)]
    schedules = of_types(group, SCHEDULED)
    times = sent(judged, "response_time_ms")
    unnamed = [event for event in judged if not sent([event], "domain")]
    return {
        "first_seen_at": group[0].occurred_at,
        "last_reviewed_at": last_or_none([event.occurred_at for event in judged]),
        "reviews": len(judged),
        "correct": sum(map(is_correct, judged)),
        "response_time_ms": sum(times),
        "timed_reviews": len(times),
        "unnamed_reviews": len(unnamed),
        "unnamed_correct": sum(map(is_correct, unnamed)),
        "unnamed_response_time_ms": sum(sent(unnamed, "response_time_ms")),
        "first_review_day": first_or_none([event.learning_day for event in judged]),
        "last_answer_correct": last_or_none([is_correct(event) for event in judged]),
        "first_mastered_day": first_or_none([e.learning_day for verdict, e in verdicts if verdict]),
        "mastered": last_or_none([verdict for verdict, _ in verdicts]),
        "mastery_level": last_or_none(sent(of_types(group, MASTERY_UPDATED), "mastery_level")),
        "next_review_at": _instant(last_or_none(sent(schedules, "next_review_at"))),
        "easiness": last_or_none([factor for event in group for factor in _easiness(event)]),
    }


def is_correct(judged: CountedEvent) -> bool:
    """Whether an answer was judged correct: everything but an objection is."""
    return judged.fields["judgment"] != "UserConfirmedIncorrect"


def _says_mastered(event: CountedEvent) -> bool:
    return event.type == MASTERED or event.fields["mastered"]


def _easiness(event: CountedEvent) -> list[Any]:
    field = {ADJUSTED: "new_easiness_factor", SCHEDULED: "easiness_factor"}.get(event.type)
    return [] if field is None else sent([event], field)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else read_instant(text)[0]
