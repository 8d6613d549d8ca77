"""Believable learners, made up: the same simulation gives the same bytes, event by event.

Simulation            how many learners, days, items; how much arrives late or twice
events                one CloudEvents 1.0 JSON text per delivery, in the order of delivery
expected_count        about how many deliveries that will be
write_lines           all of them into a binary file, one per line
"""

from __future__ import annotations

from progress_context.simulator.simulation import Simulation, expected_count
from progress_context.simulator.sweep import events, write_lines

__all__ = ["Simulation", "events", "expected_count", "write_lines"]
