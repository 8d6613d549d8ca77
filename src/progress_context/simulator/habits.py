"""When learners learn: joining, travelling, and the sittings of a day."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from progress_context.simulator.catalogue import word
from progress_context.simulator.clock import DAY, HOUR, MINUTE, offset
from progress_context.simulator.learner import Learner
from progress_context.simulator.outbox import kind
from progress_context.simulator.world import LONGEST_SITTING, World
from progress_context.simulator.zones import draw_home

_CREATED = kind("user.UserCreated")
_PREFERENCES = kind("user.PreferencesUpdated")
_ACTIVITY = kind("learning.ActivityRecorded")

_TRIPS_PER_DAY = 0.004
_CHANGES_OF_ROLLOVER_PER_DAY = 0.0005
_PAGES_PER_ACTIVE_DAY = 0.15
_PAGES_PER_IDLE_DAY = 0.02

_LATEST_HOUR = 26.0
_EARLIEST_HOUR = 0.5


class Day(NamedTuple):
    """A calendar day, and its number counted from the first simulated one."""

    number: int
    date: date


class Sitting(NamedTuple):
    """A learner's intention to learn; `zone` is what the device will state, or empty."""

    at: int
    learner: int
    day: int
    zone: str


def plan_day(world: World, learner: Learner, day: Day) -> list[Sitting]:
    """What a learner means to do on a calendar day of their own; posts all but the sittings."""
    if not learner.here(day.number):
        learner.active = False
        return []
    joins = day.number == learner.joins
    if not joins:
        _change_preferences(world, learner, day)
    chance = learner.habit.after_active if learner.active else learner.habit.after_idle
    learner.active = joins or world.dice.happens(chance * learner.habit.week[day.date.weekday()])
    midnight = _midnight(world, learner, day)
    zone = learner.zone if learner.states_zone or learner.away_unannounced else ""
    if not joins:
        _turn_pages(world, learner, midnight, zone)
    if not learner.active:
        return []
    starts = _draw_starts(world, learner, midnight)
    if joins:
        starts[0] = _welcome(world, learner, starts[0])
    return [Sitting(at, learner.number - 1, day.number, zone) for at in starts]


def _midnight(world: World, learner: Learner, day: Day) -> int:
    """When the day begins on the learner's clock, give or take a change to summer time."""
    return world.start + day.number * DAY - offset(learner.zone, day.date)


def _draw_starts(world: World, learner: Learner, midnight: int) -> list[int]:
    dice = world.dice
    hour = min(_LATEST_HOUR, max(_EARLIEST_HOUR, learner.hour + 1.3 * dice.bell()))
    starts = [midnight + int(hour * HOUR) + dice.whole(0, MINUTE)]
    while len(starts) < 4 and hour < 21 and dice.happens(1 - 1 / learner.habit.sessions):
        hour += dice.within(0.2, 6)
        starts.append(midnight + int(hour * HOUR) + dice.whole(0, MINUTE))
    return starts


def _welcome(world: World, learner: Learner, first: int) -> int:
    """Sign the learner up, minutes before the first sitting and early enough to finish it."""
    first = min(first, world.end - LONGEST_SITTING - world.dice.whole(1, HOUR))
    learner.free_at = first
    name = f"{word(world.dice).title()} {word(world.dice).title()}"
    sender = world.outbox.sender(learner.id)
    world.outbox.post(
        _CREATED,
        sender,
        first - world.dice.whole(MINUTE, 10 * MINUTE),
        f'"time_zone":"{learner.zone}","day_rollover_hour":{learner.rollover},'
        f'"locale":"{learner.home.locale}","goals":{{"sessions_per_week":{world.dice.whole(2, 7)}}},'
        f'"email":"{learner.id}@example.org","name":"{name}"',
    )
    return first


def _change_preferences(world: World, learner: Learner, day: Day) -> None:
    """Leave for another zone or come home, with or without telling the app."""
    dice = world.dice
    zone = learner.zone
    if zone == learner.home.zone:
        zone = draw_home(dice).zone if dice.happens(_TRIPS_PER_DAY) else zone
    elif day.number >= learner.away_until:
        zone = learner.home.zone
    if zone != learner.zone:
        _move(world, learner, day, zone)
    if dice.happens(_CHANGES_OF_ROLLOVER_PER_DAY):
        learner.rollover = 4 - learner.rollover
        _prefer(world, learner, day, f'"day_rollover_hour":{learner.rollover}')


def _move(world: World, learner: Learner, day: Day, zone: str) -> None:
    dice = world.dice
    learner.zone = zone
    if zone != learner.home.zone:
        learner.away_until = day.number + dice.whole(2, 14)
        learner.away_unannounced = dice.happens(0.5)
    if learner.away_unannounced:
        learner.away_unannounced = zone != learner.home.zone
    else:
        _prefer(world, learner, day, f'"time_zone":"{zone}"')


def _prefer(world: World, learner: Learner, day: Day, change: str) -> None:
    at = _midnight(world, learner, day) + world.dice.whole(1, 30 * MINUTE)
    sender = world.outbox.sender(learner.id)
    world.outbox.post(_PREFERENCES, sender, max(at, learner.free_at), change)


def _turn_pages(world: World, learner: Learner, midnight: int, zone: str) -> None:
    """Now and then, a video watched or a page read."""
    dice = world.dice
    if not dice.happens(_PAGES_PER_ACTIVE_DAY if learner.active else _PAGES_PER_IDLE_DAY):
        return
    at = midnight + int(dice.within(7, 23) * HOUR)
    if at >= world.end:
        return
    what, verb = ("video", "watched") if dice.happens(0.6) else ("page", "read")
    data = f'"activity_id":"{what}-{dice.whole(1, 400):04d}","verb":"{verb}"'
    if dice.happens(0.8):
        data += f',"duration_seconds":{dice.whole(20, 900)}'
    world.outbox.post(_ACTIVITY, world.device(learner.id, zone, at), at, data)
