"""One soak: start everything, load it, let faults befall it, bring it to rest, judge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from progress_context.intake.leases import LEASE_SECONDS
from progress_context.intake.pull import subscriptions
from pubsub_emulator.control import RemoteControl
from soak.chaos import Chaos, Look, Survived, faults
from soak.events import Maker
from soak.judge import judge_answers, judge_database, judge_outgoing
from soak.load import Load
from soak.parts import Part
from soak.system import OUTGOING, PREFIX, PROJECT, START_SECONDS, TOPICS, System
from soak.watch import Memory, Outgoing, lag

REST_SECONDS = 240.0  # until everything that was sent is in the read models and published
STEADY_SECONDS = 2.0  # that the log must not grow
MOST_LAG = 1.0  # seconds
REST = """
    SELECT head.position AS head, head.recorded_at < now() - make_interval(secs => $1) AS steady,
           (SELECT min(position) FROM engine.checkpoints JOIN engine.versions USING (version_id)
             WHERE status = 'active' AND update_mode = 'realtime') AS shown,
           (SELECT position FROM ops.relays) AS published
      FROM log.head
"""


@dataclass(frozen=True)
class Plan:
    """How long, how much, which dice, and what is allowed."""

    seconds: float
    rate: int  # events a second
    seed: int
    recovery: float = 15.0  # seconds after which read models must be less than a second behind again
    growth: float = 10.0  # MiB a minute that a service may gain after its warm-up

    def __str__(self) -> str:
        return (
            f"--seconds {self.seconds:g} --rate {self.rate} --seed {self.seed} --recovery {self.recovery:g}"
        )


@dataclass
class Report:
    """What a soak found out; `wrong` is empty when everything held."""

    wrong: list[str] = field(default_factory=list[str])
    survived: list[Survived] = field(default_factory=list[Survived])
    figures: dict[str, str] = field(default_factory=dict[str, str])


class Soak:
    """Runs a plan in a folder; `tell` gets a line for each thing that happens."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._report = Report()
        self._system = System(folder)
        self._maker = Maker(plan.seed)
        self._head = 0

    async def run(self) -> Report:
        """Soak; everything is stopped in the end, whatever happens."""
        async with AsyncExitStack() as stack:
            await self._system.start(stack)
            self._load = Load(self._maker, self._plan.rate, self._system.command_url, TOPICS, self._plan.seed)
            memory, outgoing = Memory(self._system.services), Outgoing(OUTGOING)
            async with while_running(memory.run()), while_running(outgoing.run()):
                await self._shake()
                await self._rest(outgoing)
            self._tell("everything is at rest; counting")
            await self._judge(memory, outgoing)
        return self._report

    async def _shake(self) -> None:
        """Load and faults until the time is over, then the rest of the load."""
        stop = asyncio.Event()
        async with while_running(self._load.run(stop)) as loading:
            await self._until_well()
            chaos = Chaos(self._system.parts, self._look)
            end = time.monotonic() + self._plan.seconds
            for fault in faults(list(self._system.parts), self._plan.seed):
                self._note(await chaos.befall(fault))
                if time.monotonic() + fault.calm > end:
                    break
                await asyncio.sleep(fault.calm)
            stop.set()
            async with asyncio.timeout(REST_SECONDS):
                await loading

    async def _until_well(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not all(await self._look(self._system.services[0])):
                await asyncio.sleep(0.2)

    async def _look(self, part: Part) -> Look:
        is_caught_up = self._load.behind() < MOST_LAG
        if not await asyncio.to_thread(part.is_ready):
            return Look(False, is_caught_up)
        seconds = await lag(self._system.database)
        return Look(seconds is not None and seconds < MOST_LAG, is_caught_up)

    def _note(self, survived: Survived) -> None:
        self._tell(str(survived))
        self._report.survived.append(survived)
        if survived.recovered > self._plan.recovery:
            self._report.wrong.append(f"recovery took more than {self._plan.recovery:g} s: {survived}")

    async def _rest(self, outgoing: Outgoing) -> None:
        """Wait until everything that was sent is in the read models and was published."""
        control = RemoteControl(self._system.pubsub)
        deadline = time.monotonic() + REST_SECONDS
        try:
            while missing := await self._unrest(control, outgoing):
                if time.monotonic() > deadline:
                    self._report.wrong.append(f"not at rest after {REST_SECONDS:g} s: {missing}")
                    return
                control.advance(LEASE_SECONDS + 1)  # of messages that were with a process when it died
                await asyncio.sleep(0.5)
        finally:
            control.close()

    async def _unrest(self, control: RemoteControl, outgoing: Outgoing) -> str:
        """What is not at rest yet, in words; empty when everything is."""
        stock = {
            name: control.waiting(name) + control.leased(name) for name in subscriptions(PROJECT, PREFIX)
        }
        connection = await asyncpg.connect(self._system.database)
        try:
            state = await connection.fetchrow(REST, STEADY_SECONDS)
        finally:
            await connection.close()
        assert state
        self._head = state["head"]
        if any(stock.values()):
            return f"messages in {stock}"
        if not state["steady"] or min(state["shown"], state["published"]) < self._head:
            return str(dict(state))
        return (
            "" if len(outgoing.positions) >= self._head else f"{len(outgoing.positions)} positions were heard"
        )

    async def _judge(self, memory: Memory, outgoing: Outgoing) -> None:
        load, wrong, system = self._load, self._report.wrong, self._system
        found, reviews = await judge_database(
            system.database, self._maker.facts, load.acknowledged, load.rubbish
        )
        wrong += found + load.failures[:5] + judge_outgoing(outgoing.positions, self._head)
        wrong += await judge_answers(system.query_url, reviews)
        for words in (("batch", "run"), ("verify",)):
            if complaint := await system.command_line(*words):
                wrong.append(complaint)
        slopes = memory.slopes()
        wrong += [
            f"{name} grows by {rate:.1f} MiB a minute"
            for name, rate in slopes.items()
            if rate > self._plan.growth
        ]
        self._report.figures = self._figures(memory.most(), slopes, outgoing)

    def _figures(
        self, most: dict[str, float], slopes: dict[str, float], outgoing: Outgoing
    ) -> dict[str, str]:
        load = self._load
        recoveries = sorted(each.recovered for each in self._report.survived)
        return {
            "log": f"{self._head:,} events, {len(load.acknowledged):,} acknowledged to us",
            "sent again": f"{load.repeated:,} events on purpose, {outgoing.messages - self._head:,} by the relay",
            "not made": f"{load.held_back:,} events, while senders were too far behind",
            "faults": f"{len(recoveries)}, recovered in {recoveries[len(recoveries) // 2]:.1f} s (median),"
            f" {recoveries[-1]:.1f} s (longest)",
            **{
                f"memory of {name}": f"at most {size:.0f} MiB"
                + (f", {slopes[name]:+.1f} MiB a minute" if name in slopes else "")
                for name, size in most.items()
            },
        }


@asynccontextmanager
async def while_running(work: Coroutine[Any, Any, None]) -> AsyncGenerator[asyncio.Task[None]]:
    """`work` as a task, cancelled in the end; the block ends when it fails."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
