"""The learners of a simulation: what they do fits together and can be believed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest

from progress_context.simulator import Simulation, events

SIMULATION = Simulation(learners=80, days=120, end=date(2026, 11, 22), items=600)


class Happened(NamedTuple):
    """An event as the tests look at it; `zone` is empty when the event states none."""

    id: str
    type: str
    subject: str
    time: datetime
    zone: str
    data: dict[str, Any]


def read(raw: bytes) -> Happened:
    event = msgspec.json.decode(raw)
    time = datetime.fromisoformat(event["time"])
    zone = event.get("timezone", "")
    return Happened(event["id"], event["type"], event["subject"], time, zone, event["data"])


@pytest.fixture(scope="module")
def history() -> list[Happened]:
    """Every event once, in the order in which they happened."""
    happened = {event.id: event for event in map(read, events(SIMULATION))}
    return sorted(happened.values(), key=lambda event: event.time)


def of_type(history: list[Happened], name: str) -> Iterator[Happened]:
    return (event for event in history if event.type == name)


def test_nothing_happens_after_the_end(history: list[Happened]) -> None:
    assert history[-1].time.date() <= SIMULATION.end
    assert history[-1].time.date() > SIMULATION.end - timedelta(days=2)


def test_every_learner_signs_up_once_before_anything_else(history: list[Happened]) -> None:
    first: dict[str, str] = {}
    for event in history:
        if event.subject.startswith("learner-"):
            first.setdefault(event.subject, event.type)
    assert len(first) == SIMULATION.learners
    assert set(first.values()) == {"user.UserCreated"}
    created = list(of_type(history, "user.UserCreated"))
    assert len(created) == SIMULATION.learners
    assert all({"email", "name", "time_zone", "day_rollover_hour"} <= event.data.keys() for event in created)


def sessions_of(history: list[Happened]) -> dict[str, list[Happened]]:
    sessions: dict[str, list[Happened]] = defaultdict(list)
    for event in history:
        if "session_id" in event.data:
            sessions[event.data["session_id"]].append(event)
    return sessions


def test_sessions_count_what_was_answered_in_them(history: list[Happened]) -> None:
    ends = Counter[str]()
    for steps in sessions_of(history).values():
        assert steps[0].type == "learning.SessionStarted"
        assert len({step.subject for step in steps}) == 1
        answers = list(of_type(steps, "learning.CorrectnessJudged"))
        right = sum(answer.data["judgment"] != "UserConfirmedIncorrect" for answer in answers)
        assert len({answer.data["item_id"] for answer in answers}) == len(answers)
        assert len(answers) <= steps[0].data["item_count"] <= 30
        ends[steps[-1].type] += 1
        if steps[-1].type == "learning.SessionAbandoned":
            assert steps[-1].data["completed_count"] == len(answers)
            continue
        assert 5 <= len(answers) == steps[-1].data["total_items"]
        assert steps[-1].data["correct_count"] == right
    assert set(ends) == {"learning.SessionCompleted", "learning.SessionAbandoned"}
    assert ends["learning.SessionAbandoned"] < 0.15 * ends.total()


def test_durations_are_the_time_between_start_and_end_where_they_are_known(
    history: list[Happened],
) -> None:
    known = unknown = 0
    for steps in sessions_of(history).values():
        completed = next(of_type(steps, "learning.SessionCompleted"), None)
        if completed and "duration_seconds" in completed.data:
            known += 1
            lasted = (completed.time - steps[0].time).total_seconds()
            assert 0 <= lasted - completed.data["duration_seconds"] < 1
        elif completed:
            unknown += 1
    assert known > 2 * unknown > 0


def test_sessions_of_a_learner_do_not_overlap(history: list[Happened]) -> None:
    free: dict[str, datetime] = {}
    for steps in sorted(sessions_of(history).values(), key=lambda steps: steps[0].time):
        start, end = steps[0], steps[-1]
        assert free.get(start.subject, start.time) <= start.time
        free[start.subject] = end.time


def test_reviews_agree_with_the_answers_they_follow(history: list[Happened]) -> None:
    answer: dict[tuple[str, str], Happened] = {}
    planned: dict[tuple[str, str], dict[str, Any]] = {}
    for event in history:
        about = (event.subject, event.data.get("item_id", ""))
        if event.type == "learning.CorrectnessJudged":
            answer[about] = event
        elif event.type == "algorithm.ReviewRecorded":
            correct = answer[about].data["judgment"] != "UserConfirmedIncorrect"
            assert event.data["is_correct"] is correct is (event.data["quality"] >= 3)
            assert (event.data["review_type"] == "new") is (about not in planned)
            before = planned[about]["interval_days"] if about in planned else None
            assert event.data.get("previous_interval_days") == before
        elif event.type == "algorithm.ReviewScheduled":
            planned[about] = event.data
            due = datetime.fromisoformat(event.data["next_review_at"])
            assert abs(due - event.time - timedelta(days=event.data["interval_days"])) <= timedelta(
                minutes=10
            )


def test_items_are_mastered_when_their_interval_reaches_three_weeks(history: list[Happened]) -> None:
    interval: dict[tuple[str, str], int] = {}
    mastered = list(of_type(history, "algorithm.ItemMastered"))
    assert len(mastered) > 100
    for event in history:
        about = (event.subject, event.data.get("item_id", ""))
        if event.type == "algorithm.ReviewScheduled":
            interval[about] = event.data["interval_days"]
        elif event.type == "algorithm.ItemMastered":
            assert event.data["retention_days"] == interval[about] >= 21
        elif event.type == "learning.ItemMasteryUpdated":
            assert event.data["mastered"] is (interval[about] >= 21)


def test_recall_gets_worse_the_longer_a_review_is_overdue(history: list[Happened]) -> None:
    last: dict[tuple[str, str], datetime] = {}
    passed: dict[str, list[bool]] = defaultdict(list)
    for event in of_type(history, "algorithm.ReviewRecorded"):
        about = (event.subject, event.data["item_id"])
        planned = event.data.get("previous_interval_days", 0)
        if planned >= 1:
            overdue = (event.time - last[about]) / timedelta(days=planned)
            passed["in time" if overdue < 1.5 else "late" if overdue < 4 else "very late"].append(
                event.data["is_correct"]
            )
        last[about] = event.time
    share = {when: sum(each) / len(each) for when, each in passed.items()}
    assert 0.97 > share["in time"] > share["late"] > share["very late"] + 0.02 > 0.4


def test_learners_move_on_to_harder_levels(history: list[Happened]) -> None:
    level = {e.subject: e.data["level"] for e in of_type(history, "vocabulary.ItemPublished")}
    met: dict[str, list[str]] = defaultdict(list)
    for event in of_type(history, "algorithm.ReviewRecorded"):
        if event.data["review_type"] == "new":
            met[event.subject].append(level[event.data["item_id"]])
    moved_on = [levels for levels in met.values() if levels[-1] > levels[0]]
    assert len(moved_on) > len(met) / 4


def test_some_learners_are_faithful_and_some_drop_out(history: list[Happened]) -> None:
    days: dict[str, set[date]] = defaultdict(set)
    for event in of_type(history, "learning.SessionStarted"):
        days[event.subject].add(event.time.date())
    active = sorted(len(each) for each in days.values())
    assert active[0] <= 5
    assert active[-1] > 90
    gone = [each for each in days.values() if max(each) < SIMULATION.end - timedelta(days=30)]
    assert 0.05 < len(gone) / len(days) < 0.6


def test_learners_learn_at_their_own_time_of_the_day_and_travel(history: list[Happened]) -> None:
    home = {e.subject: ZoneInfo(e.data["time_zone"]) for e in of_type(history, "user.UserCreated")}
    assert len({str(zone) for zone in home.values()}) > 20
    starts = [e.time.astimezone(home[e.subject]).hour for e in of_type(history, "learning.SessionStarted")]
    by_night = sum(2 <= hour < 5 for hour in starts)
    assert by_night < 0.05 * len(starts)
    stated = {e.zone for e in history if e.zone and ZoneInfo(e.zone) != home[e.subject]}
    moved = [e for e in of_type(history, "user.PreferencesUpdated") if "time_zone" in e.data]
    assert stated
    assert len(moved) > 5


def test_voided_events_are_earlier_answers_of_the_same_learner(history: list[Happened]) -> None:
    earlier: dict[str, Happened] = {}
    voided = 0
    for event in history:
        earlier[event.id] = event
        if event.type == "learning.EventVoided":
            voided += 1
            assert earlier[event.data["id"]].type == "learning.CorrectnessJudged"
            assert earlier[event.data["id"]].subject == event.subject
    assert 0 < voided < 0.001 * len(history)


def test_every_kind_of_event_occurs(history: list[Happened]) -> None:
    assert {event.type for event in history} == {
        "vocabulary.ItemPublished",
        "vocabulary.ItemUpdated",
        "user.UserCreated",
        "user.PreferencesUpdated",
        "learning.SessionStarted",
        "learning.CorrectnessJudged",
        "learning.SessionCompleted",
        "learning.SessionAbandoned",
        "learning.ItemMasteryUpdated",
        "learning.ActivityRecorded",
        "learning.EventVoided",
        "learning.HintShown",
        "algorithm.ReviewRecorded",
        "algorithm.ReviewScheduled",
        "algorithm.DifficultyAdjusted",
        "algorithm.ItemMastered",
        "ai.UsageRecorded",
    }
