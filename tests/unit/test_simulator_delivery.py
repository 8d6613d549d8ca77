"""What the simulator delivers: the same bytes every time, in order but for what is late or twice."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest

from progress_context.errors import SettingsError
from progress_context.simulator import Simulation, events, expected_count, write_lines
from progress_context.simulator.dice import Dice
from progress_context.simulator.outbox import Outbox

SIMULATION = Simulation(learners=80, days=120, end=date(2026, 11, 22), items=600)

HASH_IN_A_NEW_PROCESS = """
import hashlib
from datetime import date
from progress_context.simulator import Simulation, events
digest = hashlib.sha256()
for event in events(Simulation(learners=20, days=10, end=date(2026, 11, 22), items=60)):
    digest.update(event)
print(digest.hexdigest())
"""


class Delivery(NamedTuple):
    """One delivery, as far as these tests look at it."""

    id: str
    type: str
    time: datetime
    data: dict[str, Any]


def read(raw: bytes) -> Delivery:
    event = msgspec.json.decode(raw)
    return Delivery(event["id"], event["type"], datetime.fromisoformat(event["time"]), event["data"])


@pytest.fixture(scope="module")
def deliveries() -> list[Delivery]:
    return [read(raw) for raw in events(SIMULATION)]


def hash_in_a_new_process(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", HASH_IN_A_NEW_PROCESS]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def test_two_processes_with_different_hash_seeds_give_the_same_bytes() -> None:
    assert hash_in_a_new_process("1") == hash_in_a_new_process("4711")


def test_another_seed_gives_other_events_and_no_id_twice() -> None:
    small = Simulation(learners=5, days=5, end=date(2026, 11, 22), items=30)
    other = Simulation(5, 5, date(2026, 11, 22), seed=2, items=30)
    first, second = ({read(raw).id for raw in events(each)} for each in (small, other))
    assert not first & second


def test_names_look_like_random_uuids_and_never_repeat_even_for_one_sender() -> None:
    outbox = Outbox(Dice("any"), duplicate_share=0)
    sender = outbox.sender("learner-1")
    names = [outbox.name(sender) for _ in range(50_000)]
    assert len(set(names)) == len(names)
    assert {UUID(name).version for name in names[:100]} == {4}
    assert all(str(UUID(name)) == name for name in names[:100])


def test_lines_are_the_events_and_are_counted() -> None:
    small = Simulation(learners=12, days=9, end=date(2026, 11, 22), items=40)
    file = io.BytesIO()
    assert write_lines(small, file) == len(list(events(small)))
    assert file.getvalue() == b"".join(event + b"\n" for event in events(small))


def test_ids_are_unique_apart_from_deliveries_made_twice(deliveries: list[Delivery]) -> None:
    seen: dict[str, Delivery] = {}
    twice = 0
    for event in deliveries:
        twice += event.id in seen
        assert seen.setdefault(event.id, event) == event
    assert 0.8 < twice / len(seen) / SIMULATION.duplicate_share < 1.2


def test_the_late_share_arrives_late_and_within_three_days(deliveries: list[Delivery]) -> None:
    late = 0
    latest = deliveries[0].time
    seen: set[str] = set()
    for event in deliveries:
        first = event.id not in seen
        seen.add(event.id)
        late += first and event.time < latest
        assert latest - event.time < timedelta(days=3, hours=3)
        latest = max(latest, event.time)
    assert 0.5 < late / len(seen) / SIMULATION.late_share < 1.5


def test_without_late_events_and_duplicates_delivery_follows_time() -> None:
    orderly = Simulation(20, 30, date(2026, 11, 22), items=60, late_share=0, duplicate_share=0)
    times = [read(raw).time for raw in events(orderly)]
    assert all(before <= after for before, after in pairwise(times))


def test_everything_can_be_late_and_come_twice() -> None:
    worst = Simulation(3, 5, date(2026, 11, 22), items=30, late_share=1, duplicate_share=1)
    counts = Counter(events(worst))
    assert set(counts.values()) == {2}


def test_the_catalogue_comes_first_and_gets_harder(deliveries: list[Delivery]) -> None:
    published = list({e.id: e for e in deliveries if e.type == "vocabulary.ItemPublished"}.values())
    assert len({event.data["spelling"] for event in published}) == SIMULATION.items
    assert [event.data["level"] for event in published] == sorted(e.data["level"] for e in published)
    sizes = list(Counter(event.data["level"] for event in published).values())
    assert len(sizes) == 6
    assert sizes == sorted(sizes, reverse=True)
    assert all(1 <= len(event.data["domains"]) <= 2 for event in published)
    others = [event for event in deliveries if not event.type.startswith("vocabulary.")]
    assert max(event.time for event in published) < others[0].time


@pytest.mark.parametrize(("learners", "days"), [(1500, 1), (400, 14), (80, 120)])
def test_the_expected_count_is_about_right(learners: int, days: int) -> None:
    simulation = Simulation(learners, days, SIMULATION.end, items=600)
    delivered = sum(1 for _ in events(simulation))
    assert 2 / 3 < expected_count(simulation) / delivered < 3 / 2


@pytest.mark.parametrize(
    "wrong",
    [{"learners": 0}, {"days": 0}, {"items": 29}, {"late_share": 1.1}, {"duplicate_share": -0.1}],
)
def test_an_impossible_simulation_is_refused_by_name(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"learners": 1, "days": 1, "end": SIMULATION.end, **wrong}
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Simulation(**arguments)
