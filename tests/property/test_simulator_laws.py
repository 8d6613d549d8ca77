"""Laws of the simulator: whatever is simulated is valid, and its parts keep their promises."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from progress_context.intake.cloudevents import decode_lines
from progress_context.log.event import NewEvent
from progress_context.simulator import Simulation, events
from progress_context.simulator.catalogue import Catalogue
from progress_context.simulator.clock import instant
from progress_context.simulator.dice import Dice
from progress_context.simulator.memory import Card, next_stability, recall, reschedule
from progress_context.simulator.outbox import Outbox, kind

UNKNOWN_ON_PURPOSE = {"learning.HintShown"}

simulations = st.builds(
    Simulation,
    learners=st.integers(1, 8),
    days=st.integers(1, 40),
    end=st.dates(date(1990, 1, 1), date(2037, 12, 31)),
    seed=st.integers(),
    items=st.integers(30, 200),
    late_share=st.floats(0, 1),
    duplicate_share=st.floats(0, 1),
)
days = st.floats(0.0, 1_000.0)
stabilities = st.floats(0.4, 1_000.0)


@settings(max_examples=40, deadline=None)
@given(simulations)
def test_every_event_is_valid_known_and_in_the_simulated_time(simulation: Simulation) -> None:
    body = b"\n".join(events(simulation))
    end = datetime.combine(simulation.end, datetime.min.time(), UTC) + timedelta(days=1)
    start = end - timedelta(days=simulation.days + 1)
    for event in decode_lines(body, now=end, max_skew=timedelta(0)):
        assert isinstance(event, NewEvent), event
        assert event.known is (event.type not in UNKNOWN_ON_PURPOSE)
        assert event.occurred_at is not None
        assert start <= event.occurred_at < end
        assert (event.learner_id is None) is event.type.startswith("vocabulary.")
        assert "example.org" not in event.data


@settings(max_examples=10, deadline=None)
@given(simulations)
def test_the_same_simulation_gives_the_same_bytes(simulation: Simulation) -> None:
    assert list(events(simulation)) == list(events(simulation))


@given(stabilities, days, days)
def test_the_longer_ago_the_less_is_remembered(stability: float, one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert 1 >= recall(stability, shorter) >= recall(stability, longer) > 0


@given(stabilities)
def test_after_its_stability_nine_in_ten_are_remembered(stability: float) -> None:
    assert abs(recall(stability, stability) - 0.9) < 1e-9


@given(stabilities, st.floats(0, 1), st.floats(0, 1))
def test_success_strengthens_and_failure_weakens(
    stability: float, probability: float, difficulty: float
) -> None:
    assert next_stability(stability, probability, difficulty, correct=True) > stability
    assert next_stability(stability, probability, difficulty, correct=False) <= stability


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.95, 1.05)), max_size=12))
def test_intervals_grow_with_success_and_start_over_after_failure(
    answers: list[tuple[int, float]],
) -> None:
    card = Card(due=0, item=0)
    for day, (quality, fuzz) in enumerate(answers):
        before = card.interval
        reschedule(card, quality, day, fuzz)
        assert 130 <= card.ease <= 250
        assert card.due == day + card.interval
        assert card.interval > before if quality >= 3 else card.interval == 0


@given(st.integers(0, 4_102_444_800_000))
def test_instants_are_the_standard_librarys(at: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    assert instant(at).endswith("Z")
    assert datetime.fromisoformat(instant(at)) == expected


@given(st.integers(30, 500), st.integers(0, 100_000))
def test_a_learner_meets_every_item_of_a_level_once(size: int, start: int) -> None:
    catalogue = Catalogue(Dice("any"), size)
    assert sum(shelf.size for shelf in catalogue.shelves) == len(catalogue.items) == size
    for shelf in catalogue.shelves:
        met = [shelf.item(turn, start) for turn in range(shelf.size)]
        assert sorted(met) == list(range(shelf.first, shelf.first + shelf.size))


@given(st.lists(st.integers(0, 100_000), min_size=1), st.integers(0, 100_000), st.integers(0, 100_000))
def test_the_outbox_delivers_in_time_and_nothing_offline(
    instants: list[int], online_at: int, until: int
) -> None:
    outbox = Outbox(Dice("any"), duplicate_share=0)
    sender = outbox.sender("learner-1", online_at=online_at)
    posted = {outbox.post(kind("ai.Test"), sender, at, ""): at for at in instants}
    early = [msgspec.json.decode(raw)["id"] for raw in outbox.release(until)]
    rest = [msgspec.json.decode(raw)["id"] for raw in outbox.release(float("inf"))]
    assert sorted(early + rest) == sorted(posted)
    assert all(max(posted[name], online_at) < until for name in early)
    assert all(max(posted[name], online_at) >= until for name in rest)
    assert len(posted) == len(instants)
