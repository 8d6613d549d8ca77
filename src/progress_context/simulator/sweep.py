"""Day after day over all learners: what happens is posted, what is due is delivered.

A day's sittings are planned first and played in the order in which they begin, so only what
is still to be delivered has to be kept: the sessions going on at one moment, and what arrives late.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from math import inf
from typing import BinaryIO

from progress_context.simulator.clock import DAY, EASTERNMOST, HOUR
from progress_context.simulator.habits import Day, Sitting, plan_day
from progress_context.simulator.learner import Learner, draw_learner
from progress_context.simulator.session import play
from progress_context.simulator.simulation import Simulation
from progress_context.simulator.world import World

_BLOCK = 1_000


def events(simulation: Simulation) -> Iterator[bytes]:
    """Every delivery of a simulation, as one CloudEvents 1.0 JSON text each, in order of delivery.

    The same simulation and time-zone data give the same bytes in any process. Events delivered twice
    come twice. Memory grows with the learners and the items they know, not with the days.
    """
    world = World.of(simulation)
    width = max(5, len(str(simulation.learners)))
    learners = [
        draw_learner(world.dice, number, width, simulation.days)
        for number in range(1, simulation.learners + 1)
    ]
    first_dawn = world.start - EASTERNMOST
    world.catalogue.publish(world.outbox, first_dawn - 3 * HOUR, first_dawn)
    agenda: list[Sitting] = []
    for number in range(simulation.days):
        day = Day(number, simulation.start + timedelta(days=number))
        last = number == simulation.days - 1
        next_dawn = inf if last else first_dawn + (number + 1) * DAY
        yield from _live(world, learners, day, agenda, next_dawn)


def write_lines(simulation: Simulation, file: BinaryIO) -> int:
    """Write every delivery as a line of its own; returns how many there were."""
    stream = events(simulation)
    written = 0
    while block := list(islice(stream, _BLOCK)):
        block.append(b"")
        file.write(b"\n".join(block))
        written += len(block) - 1
    return written


def _live(
    world: World, learners: list[Learner], day: Day, agenda: list[Sitting], until: float
) -> Iterator[bytes]:
    """Plan a day, then play and deliver what comes before `until`; the rest stays on the agenda.

    A calendar day begins in the far east long before it ends in the far west: `until` is the first
    instant at which anybody's next day may begin.
    """
    world.catalogue.revise(world.outbox, world.start + day.number * DAY)
    for learner in learners:
        agenda += plan_day(world, learner, day)
    agenda.sort()
    ready = bisect_left(agenda, until, key=lambda sitting: sitting.at)
    for sitting in agenda[:ready]:
        if world.outbox.full:
            yield from world.outbox.release(sitting.at)
        play(world, learners[sitting.learner], sitting)
    del agenda[:ready]
    yield from world.outbox.release(until)
