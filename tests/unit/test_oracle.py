"""The oracle against numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from oracle import counted
from oracle.compare import differences, is_same
from oracle.recount import Policy, Recount
from oracle.told import DAY, NINE, TODAY, Told
from progress_context.log.event import NewEvent

MINUTE, MICROSECOND = timedelta(minutes=1), timedelta(microseconds=1)
ADA = 1  # the key of the first learner in a log
GRACE = Policy(streak_grace=True)


def day(offset: int) -> date:
    return TODAY + offset * DAY


def runs(counts: Recount) -> dict[int, tuple[int, int, int]]:
    """{first day: (last day, days, freezes)} with days as offsets from the first of the tests."""
    return {
        (first - TODAY).days: ((row["last_day"] - TODAY).days, row["days"], row["freezes_used"])
        for (_, first), row in counts.streak_runs.items()
    }


def test_a_learning_day_sums_up_what_happened_on_it() -> None:
    told = Told().judged(response_time_ms=900).judged(item="dog", ok=False, response_time_ms=None)
    told.judged(NINE + MINUTE, response_time_ms=2_100, session_id="s")
    told.completed(NINE + 2 * MINUTE, duration_seconds=90.5)
    told.event(counted.ACTIVITY, activity_id="a", verb="read", duration_seconds=20_000)
    told.event(counted.AI_USED, task_type="hint", tokens_used=40, cost=0.1)
    told.event(counted.AI_USED, task_type="hint", tokens_used=2, cost=0.2)
    told.event(counted.MASTERED, item_id="cat", total_reviews=1, accuracy_rate=1, retention_days=1)
    assert told.recount().daily_stats == {
        (ADA, TODAY): {
            "sessions": 1,
            "sessions_abandoned": 0,
            "reviews": 3,
            "correct": 2,
            "incorrect": 1,
            "accuracy": 2 / 3,
            "response_time_ms": 3_000,
            "timed_reviews": 2,
            "study_ms": 90_500 + 14_400_000,
            "new_items": 2,
            "items_mastered": 1,
            "activities": 1,
            "ai_tokens": 42,
            "ai_cost": Decimal("0.3"),
            "row_count": 3 + 1 + 2 + 2 + 1 + 1,
        }
    }


@pytest.mark.parametrize(
    ("gap", "seconds"),
    [
        (30 * MINUTE, Decimal(1_860)),
        (30 * MINUTE + MICROSECOND, Decimal(60)),
        (30 * MINUTE - MICROSECOND, Decimal("1859.999999")),
    ],
)
def test_a_gap_of_exactly_the_idle_gap_is_still_study_time(gap: timedelta, seconds: Decimal) -> None:
    told = Told().event(counted.STARTED, session_id="s").judged(NINE + MINUTE, session_id="s")
    told.completed(NINE + MINUTE + gap)
    row = told.recount().sessions[ADA, "s"]
    assert row == {
        "started_at": NINE,
        "first_event_at": NINE,
        "last_event_at": NINE + MINUTE + gap,
        "reviews": 1,
        "completed_day": TODAY,
        "abandoned_day": None,
        "sent_seconds": None,
        "study_seconds": seconds,
    }


def test_the_first_duration_that_is_sent_counts_and_is_capped() -> None:
    told = Told().completed(NINE + MINUTE, duration_seconds=20_000).completed(NINE, duration_seconds=None)
    told.completed(NINE + 2 * MINUTE, duration_seconds=5)
    row = told.recount().sessions[ADA, "s"]
    assert (row["sent_seconds"], row["study_seconds"]) == (20_000, 14_400)
    assert told.recount(Policy(cap_seconds=60)).daily_stats[ADA, TODAY]["study_ms"] == 60_000


def test_a_session_counts_once_on_the_day_of_its_first_completion() -> None:
    told = Told().completed(NINE + DAY, duration_seconds=10).completed(NINE, duration_seconds=20)
    days = told.recount().daily_stats
    assert list(days) == [(ADA, TODAY)]
    assert (days[ADA, TODAY]["sessions"], days[ADA, TODAY]["study_ms"]) == (1, 20_000)


def test_an_abandoned_session_counts_until_it_is_completed_and_is_no_activity() -> None:
    told = Told().event(counted.ABANDONED, session_id="s", completed_count=0)
    told.event(counted.STARTED, NINE - 10 * MINUTE, session_id="s")
    abandoned = told.recount()
    assert abandoned.daily_stats[ADA, TODAY]["sessions_abandoned"] == 1
    assert abandoned.daily_stats[ADA, TODAY]["study_ms"] == 600_000
    assert abandoned.active_days == {}
    completed = told.completed(NINE + DAY, duration_seconds=7).recount()
    assert list(completed.daily_stats) == [(ADA, day(1))]
    assert completed.daily_stats[ADA, day(1)]["sessions_abandoned"] == 0


def test_an_open_session_is_no_study_time() -> None:
    told = Told().event(counted.STARTED, session_id="s").judged(NINE + MINUTE, session_id="s")
    assert told.recount().daily_stats[ADA, TODAY]["study_ms"] == 0
    assert told.recount().sessions[ADA, "s"]["completed_day"] is None


def test_an_activity_is_no_part_of_the_session_it_names() -> None:
    told = Told().completed(NINE + MINUTE)
    told.event(counted.ACTIVITY, session_id="s", activity_id="a", verb="read")
    assert told.recount().sessions[ADA, "s"]["first_event_at"] == NINE + MINUTE


def test_study_time_is_rounded_per_part_to_whole_milliseconds() -> None:
    told = Told()
    for _ in range(3):
        told.event(counted.ACTIVITY, activity_id="a", verb="read", duration_seconds=0.0006)
    assert told.recount().daily_stats[ADA, TODAY]["study_ms"] == 3


def test_an_item_keeps_first_and_last_by_time_whatever_the_order_of_arrival() -> None:
    told = Told().judged(NINE + DAY, response_time_ms=500).judged(NINE, ok=False, response_time_ms=0)
    told.event(
        counted.ADJUSTED, NINE + 2 * DAY, item_id="cat", old_easiness_factor=2, new_easiness_factor=1.9
    )
    told.event(
        counted.SCHEDULED,
        NINE - DAY,
        item_id="cat",
        next_review_at="2026-04-01T10:00:00+02:00",
        interval_days=6,
        easiness_factor=2.5,
    )
    assert told.recount().item_progress == {
        (ADA, "cat"): {
            "first_seen_at": NINE - DAY,
            "last_reviewed_at": NINE + DAY,
            "reviews": 2,
            "correct": 1,
            "response_time_ms": 500,
            "timed_reviews": 2,
            "unnamed_reviews": 2,
            "unnamed_correct": 1,
            "unnamed_response_time_ms": 500,
            "first_review_day": TODAY,
            "last_answer_correct": True,
            "first_mastered_day": None,
            "mastered": None,
            "mastery_level": None,
            "next_review_at": datetime(2026, 4, 1, 8, tzinfo=UTC),
            "easiness": Decimal("1.9"),
        }
    }


def test_of_two_events_at_one_moment_the_later_position_is_the_last() -> None:
    told = Told().judged(ok=True).judged(ok=False)
    told.event(counted.MASTERY_UPDATED, item_id="cat", mastery_level=0.9, mastered=True)
    told.event(counted.MASTERY_UPDATED, item_id="cat", mastery_level=0.4, mastered=False)
    row = told.recount().item_progress[ADA, "cat"]
    assert row["last_answer_correct"] is False
    assert (row["mastered"], row["mastery_level"]) == (False, Decimal("0.4"))


def test_mastery_undone_stays_on_the_day_it_was_first_reached() -> None:
    told = Told().event(counted.MASTERY_UPDATED, NINE + DAY, item_id="cat", mastery_level=1, mastered=False)
    told.event(counted.MASTERED, item_id="cat", total_reviews=1, accuracy_rate=1, retention_days=1)
    counts = told.recount()
    assert counts.item_progress[ADA, "cat"]["mastered"] is False
    assert {grain: row["items_mastered"] for grain, row in counts.daily_stats.items()} == {(ADA, TODAY): 1}


def test_a_catalogue_field_is_the_last_one_sent() -> None:
    told = Told().event(counted.UPDATED, NINE + DAY, None, item_id="cat", level=None, domains=[])
    told.event(counted.PUBLISHED, NINE, None, item_id="cat", spelling="cat", level="A1", domains=["reading"])
    assert told.recount().item_catalogue == {
        ("cat",): {"published_at": NINE, "spelling": "cat", "level": "A1", "domains": []}
    }


def test_a_void_counts_wherever_it_stands_but_only_for_its_own_learner_and_never_for_a_void() -> None:
    before = Told().void("e2").judged()
    assert before.recount().daily_stats == {}
    foreign = Told().judged().void("e1", learner="bob")
    assert foreign.recount().daily_stats[ADA, TODAY]["reviews"] == 1
    void_of_void = Told().judged().void("e1").void("e2").void("e4").void("e99")
    assert void_of_void.recount().daily_stats == {}


def test_fields_of_other_types_and_other_versions_mean_nothing() -> None:
    told = Told().judged(duration_seconds="soon", mastered=True, mastery_level={})
    told.event("learning.HintShown", item_id=7, judgment=[])
    later = NewEvent("urn:test", "v2", counted.JUDGED, 2, "ada", NINE, None, '{"item_id": 1}')
    plain = Told().judged().recount()
    told.log.append([later])
    assert told.recount() == plain


def test_one_missed_day_breaks_a_run_unless_grace_bridges_it_once_in_seven_days() -> None:
    told = Told().active(0, 1, 3, 4, 6, 7, 8, 10, 13)  # missed: 2, 5, 9, and 11 with 12
    assert runs(told.recount()) == {
        0: (1, 2, 0), 3: (4, 2, 0), 6: (8, 3, 0), 10: (10, 1, 0), 13: (13, 1, 0),
    }  # fmt: skip
    assert runs(told.recount(GRACE)) == {0: (4, 4, 1), 6: (10, 4, 1), 13: (13, 1, 0)}


def test_two_freezes_lie_at_least_seven_days_apart() -> None:
    seven = Told().active(0, 2, 3, 4, 5, 6, 7, 9)  # missed: 1 and 8
    assert runs(seven.recount(GRACE)) == {0: (9, 8, 2)}
    six = Told().active(0, 2, 3, 4, 5, 6, 8)  # missed: 1 and 7
    assert runs(six.recount(GRACE)) == {0: (6, 6, 1), 8: (8, 1, 0)}


@pytest.mark.parametrize(
    ("offset", "current", "active"), [(4, 2, True), (5, 2, False), (6, 0, False), (3, 2, True), (-1, 2, True)]
)
def test_a_streak_lives_until_the_day_after_its_last_active_day(
    offset: int, current: int, active: bool
) -> None:
    streak = Told().active(-3, -2, -1, 3, 4).recount().streak(ADA, day(offset))
    assert streak == {
        "current": current,
        "longest": 3,
        "last_active_day": day(4),
        "first_active_day": day(-3),
        "total_active_days": 5,
        "alive": current > 0,
        "active_today": active,
        "freezes_used": 0,
    }


def test_item_stats_are_judged_at_the_moment_asked_about() -> None:
    told = Told().event(counted.PUBLISHED, NINE, None, item_id="cat", spelling="chat", level="A1")
    for ok in (True, False, True, False, False):
        told.judged(ok=ok, response_time_ms=100)
    told.event(counted.SCHEDULED, item_id="cat", next_review_at=NINE.isoformat(), interval_days=1)
    at_nine = told.judged(item="dog").recount().item_stats(ADA, NINE)
    cat = at_nine[ADA, "cat"]
    assert (cat["accuracy"], cat["average_response_time_ms"], cat["spelling"]) == (0.4, 100, "chat")
    assert (cat["struggling"], cat["overdue"]) == (True, False)
    assert told.recount().item_stats(ADA, NINE + MICROSECOND)[ADA, "cat"]["overdue"] is True
    dog = at_nine[ADA, "dog"]
    assert (dog["average_response_time_ms"], dog["overdue"], dog["level"]) == (None, False, None)


def test_three_of_five_is_not_struggling() -> None:
    told = Told()
    for ok in (True, True, True, False, False):
        told.judged(ok=ok)
    assert told.recount().item_stats(ADA, NINE)[ADA, "cat"]["struggling"] is False


def test_a_summary_counts_all_days_and_items_of_one_learner() -> None:
    told = Told().judged().judged(NINE + DAY, ok=False).completed(NINE, duration_seconds=60)
    told.event(counted.MASTERY_UPDATED, item_id="dog", mastery_level=1, mastered=True)
    told.event(counted.ACTIVITY, NINE, "bob", activity_id="a", verb="read")
    told.event(
        counted.MASTERED, NINE, "bob", item_id="cat", total_reviews=1, accuracy_rate=1, retention_days=1
    )
    summary = told.recount().user_summary(ADA, day(1))
    assert summary == {
        **told.recount().streak(ADA, day(1)),
        "sessions": 1,
        "reviews": 2,
        "correct": 1,
        "activities": 0,
        "study_ms": 60_000,
        "items_seen": 2,
        "items_learned": 1,
        "items_mastered": 1,
        "items_in_progress": 1,
    }
    assert summary["current"] == 2


def test_a_comparison_names_missing_extra_and_different_rows() -> None:
    expected = {(1,): {"a": 1, "b": 0.1, "c": None}, (2,): {"a": 1}}
    actual = {(1,): {"a": Decimal(2), "b": Decimal("0.1"), "d": 5}, (3,): {"a": 1}}
    assert differences(expected, actual) == [
        "(1,): a is Decimal('2'), not 1",
        "(1,): column c missing",
        "(2,): row missing",
        "(3,): row should not be there",
    ]
    assert differences({(1,): expected[1,]}, {(1,): actual[1,]}, leave_out={"a", "c"}) == []
    assert not is_same(True, 1)
    assert not is_same(None, 0)
    assert not is_same(10**17, 10**17 + 1)
