"""Generated histories: what a few learners did in two weeks, delivered as badly as it gets.

A history is a few scenes (a session, an item's life, a row of days …), each a few steps a gap apart.
Scenes are plain values over small pools, and everything that refers to another event does so by a
number, so a failing history shrinks to the few events that matter.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from oracle import counted
from oracle.payloads import PROFILES, Payload
from oracle.scenes import DAY, FIRST_DAY, HOUR, LEARNERS, UNKNOWN, Scene, Step, scenes
from progress_context.intake.catalogue import CATALOGUE
from progress_context.log.event import NewEvent, ProfileChange

SOURCES = ("urn:a", "urn:b")


class _Void(NamedTuple):
    """Takes back the event at index `target`, by its own learner or by `learner`; `lead` = how early."""

    target: int
    is_own: bool
    learner: str
    lead: int


class _Echo(NamedTuple):
    """The event at index `target` once more, with one attribute changed unless `change` is None."""

    target: int
    change: str | None
    lead: int


def batch_sizes() -> st.SearchStrategy[list[int]]:
    """Sizes of 1 to 50 for `split`."""
    return st.lists(st.integers(1, 50), min_size=1, max_size=8)


def split(events: Sequence[NewEvent], sizes: Sequence[int]) -> list[list[NewEvent]]:
    """The events in batches of these sizes, which start over when they run out."""
    batches: list[list[NewEvent]] = []
    rest = list(events)
    while rest:
        size = sizes[len(batches) % len(sizes)]
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


def histories(*, max_scenes: int = 8) -> st.SearchStrategy[list[NewEvent]]:
    """Events in order of delivery: late, twice, in conflict, voided before or after, or at leisure.

    At most four learners, six items and three session ids; names, learners and items repeat. Each
    event is one that intake would let through. All have a time, so a history means the same whenever
    it is stored.
    """
    return st.builds(
        _deliver,
        st.lists(scenes(), max_size=max_scenes),
        st.lists(_voids(), max_size=4),
        st.lists(_echoes(), max_size=4),
    )


def _voids() -> st.SearchStrategy[_Void]:
    return st.builds(_Void, st.integers(0, 60), st.booleans(), st.sampled_from(LEARNERS), st.integers(0, 60))


def _echoes() -> st.SearchStrategy[_Echo]:
    changes = st.sampled_from((None, "time", "learner", "type", "data"))
    return st.builds(_Echo, st.integers(0, 60), changes, st.integers(0, 60))


def _deliver(scenes: Sequence[Scene], voids: Sequence[_Void], echoes: Sequence[_Echo]) -> list[NewEvent]:
    """Name the events by their index, then put them in the order in which they arrive."""
    events: list[NewEvent] = []
    arrivals: list[int] = []
    for scene in scenes:
        moment = scene.start
        for step in scene.steps:
            moment += step.gap
            arrivals.append(len(events) + step.delay)
            events.append(_play(scene, step, moment, len(events)))
    acted = list(events)
    for void in voids:
        arrivals.append(len(events) - void.lead)
        events.append(_take_back(void, acted, len(events), len(acted) + len(voids)))
    for echo in echoes:
        if events:
            arrivals.append(len(events) - echo.lead)
            events.append(_repeat(events[echo.target % len(events)], echo.change))
    return [event for _, event in sorted(zip(arrivals, events, strict=True), key=lambda pair: pair[0])]


def _name(index: int) -> tuple[str, str]:
    """Source and id; every id is used by both sources, for different events."""
    return SOURCES[index % len(SOURCES)], f"e{index // len(SOURCES)}"


def _play(scene: Scene, step: Step, moment: datetime, index: int) -> NewEvent:
    source, event_id = _name(index)
    name, _, version = step.type.partition("/")
    data = step.data | {k: v for k, v in scene.shared.items() if step.data.get(k) is not None}
    return NewEvent(
        source=source,
        id=event_id,
        type=name,
        version=int(version or 1),
        learner_id=None if name in (counted.PUBLISHED, counted.UPDATED) else scene.learner,
        occurred_at=moment,
        zone=step.zone,
        data=json.dumps(data, ensure_ascii=False),
        known=(name, int(version or 1)) in CATALOGUE,
        profile=_profile(name, data),
    )


def _profile(event_type: str, data: Payload) -> ProfileChange | None:
    zone, hour = data.get("time_zone"), data.get("day_rollover_hour")
    if event_type not in PROFILES or (zone is None and hour is None):
        return None
    return ProfileChange(zone, hour)


def _take_back(void: _Void, acted: Sequence[NewEvent], index: int, total: int) -> NewEvent:
    """A void of any of `total` events, other voids and itself too, or of one that does not exist."""
    target = void.target % (total + 1)
    owner = acted[target].learner_id if void.is_own and target < len(acted) else None
    source, event_id = _name(index)
    named = _name(target)
    return NewEvent(
        source=source,
        id=event_id,
        type=counted.VOID,
        version=1,
        learner_id=owner or void.learner,
        occurred_at=FIRST_DAY + 7 * DAY,
        zone=None,
        data=json.dumps({"source": named[0], "id": named[1]}),
        voids=named,
    )


def _repeat(event: NewEvent, change: str | None) -> NewEvent:
    assert event.occurred_at is not None
    if change is None:
        return event
    if change == "type":
        return msgspec.structs.replace(event, type=UNKNOWN, known=False, profile=None, voids=None)
    if change == "learner" and event.learner_id is not None:
        other = LEARNERS[(LEARNERS.index(event.learner_id) + 1) % len(LEARNERS)]
        return msgspec.structs.replace(event, learner_id=other)
    if change == "data" and event.type not in PROFILES:
        data = {**json.loads(event.data), "note": "changed"}
        return msgspec.structs.replace(event, data=json.dumps(data, ensure_ascii=False))
    return msgspec.structs.replace(event, occurred_at=event.occurred_at + HOUR)
