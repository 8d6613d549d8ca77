"""What the soak calls a violation: an event lost, stored twice, changed, or made up; a dead letter of an event."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from soak.events import SOURCE, Fact, Maker
from soak.judge import Logged, judge_letters, judge_log, judge_outgoing
from soak.watch import slope

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
JUDGED = Fact("learning.CorrectnessJudged", "ada", AT, date(2026, 11, 2))
FACTS = {"e1": JUDGED, "e2": JUDGED, "e3": JUDGED}


def logged(position: int, event_id: str, fact: Fact = JUDGED, source: str = SOURCE) -> Logged:
    return Logged(position, source, event_id, *fact)


SOUND = [
    logged(1, "e1"),
    logged(2, "x", JUDGED._replace(type="progress.StreakUpdated"), "ours"),
    logged(3, "e2"),
]
TOLD = {"e1": 1, "e2": None}


def test_a_sound_log_is_sound() -> None:
    assert judge_log(SOUND, FACTS, TOLD) == []
    assert judge_log([*SOUND, logged(4, "e3")], FACTS, TOLD) == []  # sent, and the answer never came


@pytest.mark.parametrize(
    ("log", "told", "found"),
    [
        (SOUND, TOLD | {"e3": 4}, "1 lost: e3"),
        ([*SOUND, logged(4, "e2")], TOLD, "1 stored twice: e2"),
        (SOUND, TOLD | {"e1": 2}, "1 at another position than was told: e1"),
        ([*SOUND, logged(4, "e9")], TOLD, "1 never sent: e9"),
        ([*SOUND, logged(5, "e3")], TOLD, "positions have gaps"),
        ([*SOUND, logged(4, "e3", JUDGED._replace(learner="bob"))], TOLD, "1 not as it was sent: e3"),
        ([*SOUND, logged(4, "e3", JUDGED._replace(learning_day=date(2026, 11, 3)))], TOLD, "1 not as it was sent: e3"),
        ([*SOUND, logged(4, "e3", source="else")], TOLD, "1 of somebody else: e3"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_log_is_said(log: list[Logged], told: dict[str, int | None], found: str) -> None:
    assert judge_log(log, FACTS, told) == [found]


def test_dead_letters_hold_the_rubbish_and_nothing_else() -> None:
    assert judge_letters([(b"a", "invalid_event")], {b"a": True, b"b": False}) == []
    assert judge_letters([], {b"a": True}) == ["1 no dead letter: b'a'"]
    assert judge_letters([(b"x", "poison")], {}) == ["1 a dead letter: b'x' (poison)"]


def test_every_position_must_be_published_and_no_other() -> None:
    assert judge_outgoing({1, 2, 3}, 3) == []
    assert judge_outgoing({1, 3, 4}, 3) == ["1 not published: 2", "1 published, but not in the log: 4"]


def test_growth_counts_after_the_warm_up_of_a_long_life() -> None:
    life = [(float(second), 100.0 + (50 if second < 60 else second / 60)) for second in range(180)]
    found = slope(life)
    assert found is not None
    assert found == pytest.approx((119, 1.0))
    assert slope(life[:100]) is None


def test_events_are_of_several_learners_late_ones_among_them_and_only_what_is_stored_is_taken_back() -> None:
    maker = Maker(1)
    for event in maker.some(2_000):
        if maker.facts[event["id"]].type == "learning.CorrectnessJudged":
            maker.was_acknowledged(event["id"])
    events = maker.some(5_000)
    assert len({fact.learner for fact in maker.facts.values()}) > 150
    assert any((datetime.now(UTC) - fact.occurred_at).days > 5 for fact in maker.facts.values())
    voids = [event["data"]["id"] for event in events if event["type"] == "learning.EventVoided"]
    assert voids
    assert len(voids) == len(set(voids))
    assert {maker.facts[name].type for name in voids} == {"learning.CorrectnessJudged"}
