"""Tables of latencies, and goals that say how much is too much."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from bench.figures import Latency, Spread, spread_of
from bench.harness import console


def show_latencies(title: str, rows: Sequence[tuple[str, Sequence[Latency]]]) -> None:
    """Each row's runs: medians over them, and the worst run."""
    table = Table(title=f"{title}, medians of {len(rows[0][1])} runs (worst run)", title_justify="left")
    for column in ("", "p50", "p95", "p99", "max", "samples a run"):
        table.add_column(column, justify="right" if column else "left")
    for name, latencies in rows:
        table.add_row(name, *_cells(latencies), f"{latencies[0].samples:,}")
    console.print(table)


def show_at_most(name: str, found: Spread, most: float, unit: str = "") -> None:
    """Whether the median of `found` is within the goal."""
    met = "met" if found.median <= most else "[red]not met[/]"
    figures = f"{found.median:,.2f}{unit} ({found.least:,.2f} to {found.most:,.2f})"
    console.print(f"goal {name} ≤ {most:g}{unit}: {figures}, {met}")


def _cells(latencies: Sequence[Latency]) -> list[str]:
    cells: list[str] = []
    for name in ("p50", "p95", "p99", "max"):
        spread = spread_of([getattr(latency, name) for latency in latencies])
        cells.append(f"{spread.median:,.1f} ({spread.most:,.1f})")
    return cells
