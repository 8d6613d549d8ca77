"""Contenders in alternation, correctness first, then medians, spreads and ratios."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.database import BenchServer
from bench.figures import Latency, Spread, spread_of

ARTEFACTS = Path("artefacts")

console = Console(width=max(120, Console().width), highlight=False)


class Run(msgspec.Struct, frozen=True):
    """One measured run, of events or requests: `missed` and `duplicated` tell what is not as it should be."""

    events: int
    seconds: float
    missed: int = 0
    duplicated: int = 0
    latency: Latency | None = None

    @property
    def rate(self) -> float:
        """Events or requests a second."""
        return self.events / self.seconds


@dataclass(frozen=True)
class Contender:
    """Something to measure; `measure` gets the address of a fresh database made from `template`."""

    name: str
    template: str
    measure: Callable[[str], Run]


@dataclass(frozen=True)
class Goal:
    """The median rate of a contender, or its ratio to another one, should be at least `least`.

    `None` shows the figure without judging it.
    """

    contender: str
    least: float | None
    beside: str | None = None


@dataclass
class Report:
    """Everything one benchmark found out."""

    name: str
    about: dict[str, str]
    runs: dict[str, list[Run]] = field(default_factory=dict[str, list[Run]])
    notes: dict[str, Any] = field(default_factory=dict[str, Any])
    failures: list[str] = field(default_factory=list[str])

    def rate(self, name: str) -> Spread:
        """Events a second of a contender."""
        return spread_of([run.rate for run in self.runs[name]])

    def ratio(self, name: str, beside: str) -> Spread:
        """How many times as fast, round by round."""
        pairs = zip(self.runs[name], self.runs[beside], strict=True)
        return spread_of([ours.rate / theirs.rate for ours, theirs in pairs])


def alternate(
    server: BenchServer, contenders: Sequence[Contender], rounds: int, unit: str = "events"
) -> dict[str, list[Run]]:
    """Every contender once a round, each round beginning with another one, each run on a fresh database."""
    runs: dict[str, list[Run]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        start = number % len(contenders)
        for contender in (*contenders[start:], *contenders[:start]):
            with server.fresh(contender.template) as url:
                run = contender.measure(url)
            runs[contender.name].append(run)
            console.print(
                f"[dim]round {number + 1}/{rounds}  {contender.name:<48} {run.rate:>10,.0f} {unit}/s[/]"
            )
    return runs


def show_rates(report: Report, title: str, unit: str = "events") -> None:
    """The table of rates; what was missed or duplicated comes before how fast it was."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    columns = ("missed", "duplicated", f"{unit}/s", "least", "most", f"{unit} a run", "p50 ms", "p99 ms")
    for column in columns:
        table.add_column(column, justify="right")
    for name, runs in report.runs.items():
        rate = report.rate(name)
        missed, duplicated = sum(run.missed for run in runs), sum(run.duplicated for run in runs)
        if missed or duplicated:
            report.failures.append(f"{name}: {missed:,} missed, {duplicated:,} duplicated")
        table.add_row(
            name, f"{missed:,}", f"{duplicated:,}",
            f"{rate.median:,.0f}", f"{rate.least:,.0f}", f"{rate.most:,.0f}", f"{runs[0].events:,}",
            *_latency_cells([run.latency for run in runs if run.latency]),
        )  # fmt: skip
    console.print(table)


def show_goals(report: Report, goals: Sequence[Goal]) -> None:
    """Which goals were met: a figure about the machine, no failure of the benchmark."""
    table = Table(title="Goals, by medians", title_justify="left")
    for column in ("", "goal", "median", "least", "most", "met"):
        table.add_column(column, justify="left" if not column else "right")
    for goal in goals:
        if goal.beside is None:
            found, unit, name = report.rate(goal.contender), " /s", goal.contender
        else:
            found, unit = report.ratio(goal.contender, goal.beside), " times"
            name = f"{goal.contender} ÷ {goal.beside}"
        digits = 0 if goal.beside is None else 2
        figures = (f"{value:,.{digits}f}{unit}" for value in (found.median, found.least, found.most))
        table.add_row(name, *_goal_cells(goal.least, unit, figures, found.median))
    console.print(table)


def finish(report: Report) -> None:
    """Write the result file; exit with 1 when a contender lost or repeated an event."""
    ARTEFACTS.mkdir(exist_ok=True)
    file = ARTEFACTS / f"bench-{report.name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    console.print(f"results: {file}")
    for failure in report.failures:
        console.print(f"[red]not correct:[/] {failure}")
    if report.failures:
        sys.exit(1)


def _goal_cells(least: float | None, unit: str, figures: Iterable[str], median: float) -> tuple[str, ...]:
    if least is None:
        return ("", *figures, "")
    return (f"≥ {least:,g}{unit}", *figures, "yes" if median >= least else "[red]no[/]")


def _latency_cells(latencies: Sequence[Latency]) -> tuple[str, str]:
    if not latencies:
        return "", ""
    p50 = spread_of([latency.p50 for latency in latencies])
    p99 = spread_of([latency.p99 for latency in latencies])
    return f"{p50.median:,.1f}", f"{p99.median:,.1f}"
