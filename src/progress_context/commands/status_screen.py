"""The status as a screen: the verdict first, then the parts in the order of an event's way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from progress_context.commands.status import Service, Status
    from progress_context.engine.health import Build, Edges, ReadModel, Standing

STATES = {"ready": "green", "not ready": "yellow", "no answer": "red"}


def screen(status: Status) -> RenderableType:
    """One screen of it."""
    parts: list[RenderableType] = [*_verdict(status), *_services(status.services)]
    if status.standing is not None:
        parts += _log(status.standing, status.append_rate or 0.0)
        parts.append(_read_models(status.standing, status.rates))
        parts += _work(status.standing)
    if status.standing is not None and status.edges is not None:
        parts += _edges(status.standing, status.edges)
    return Group(*parts)


def _verdict(status: Status) -> Iterator[RenderableType]:
    if status.healthy:
        yield Text("healthy", style="bold green")
    for problem in status.problems:
        yield Text.assemble(("✗ ", "bold red"), (problem.code, "bold"), f"  {problem.message}")


def _services(services: list[Service] | None) -> Iterator[RenderableType]:
    if services is None:
        yield _line("services", "not asked")
        return
    for name, service in zip(("services", "", ""), services, strict=True):
        reason = f"  {escape(service.reason)}" if service.reason else ""
        state = f"[{STATES[service.state]}]{service.state:9}[/]"
        yield _line(name, f"{service.name:10} {state} {service.url}{reason}")


def _log(now: Standing, append_rate: float) -> Iterator[RenderableType]:
    last = f", last event {_ago(now, now.recorded_at)}" if now.recorded_at else ""
    yield _line("log", f"position {now.head:,}{last}, {append_rate:,.1f} events/s in the last minute")


def _read_models(now: Standing, rates: dict[str, float]) -> RenderableType:
    if not now.read_models:
        return _line("read models", "none is built")
    table = Table("read model", "version", "update", box=None, pad_edge=False)
    for heading in ("checkpoint", "lag", "lag s", "moved", "events/s"):
        table.add_column(heading, justify="right")
    for model in now.read_models:
        table.add_row(model.name, model.version, model.update, *_figures(now, model, rates))
    return table


def _figures(now: Standing, model: ReadModel, rates: dict[str, float]) -> Iterator[str]:
    yield f"{model.position:,}"
    yield f"{model.lag_events:,}"
    yield f"{model.lag_seconds:,.1f}"
    yield _ago(now, model.moved_at)
    yield f"{rates[model.name]:,.1f}" if model.name in rates else ""


def _work(now: Standing) -> Iterator[RenderableType]:
    held = [f"{lease.name} → {lease.holder}" for lease in now.leases if lease.held]
    free = [lease.name for lease in now.leases if not lease.held]
    yield _line("workers", f"{now.workers}; " + escape(", ".join(held) or "no lease is held"))
    if free:
        yield _line("", f"[yellow]held by nobody: {escape(', '.join(free))}[/]")
    for build in now.builds:
        yield _line(build.kind, _progress(build))
    taken = now.snapshots
    newest = f", newest at position {taken.position:,}, {_ago(now, taken.taken_at)}" if taken.position else ""
    yield _line("snapshots", f"{taken.count}{newest}{f', {taken.damaged} damaged' if taken.damaged else ''}")
    yield _line("parked", _waiting(now, now.parked.count, now.parked.since))


def _progress(build: Build) -> str:
    share = build.done / build.total if build.total else 1.0
    doing = "catching up" if build.catching_up else "filling"
    names = ", ".join(build.read_models)
    silent = "" if build.alive else ", [yellow]no process is at it[/]"
    return f"{share:.0%} {doing}, {build.done:,} of {build.total:,} events{silent}: {escape(names)}"


def _edges(now: Standing, edges: Edges) -> Iterator[RenderableType]:
    for relay in edges.relays:
        who = "" if relay.held else ", [yellow]held by nobody[/]"
        refused = f", {relay.unpublished:,} events refused" if relay.unpublished else ""
        text = f"{escape(relay.topic)} at {relay.position:,}, lag {relay.lag_events:,} events{refused}{who}"
        yield _line("relay", text)
    if any(lease.name == "news" and lease.held for lease in now.leases):
        yield _line("news", f"at {edges.news.position:,}, lag {edges.news.lag_events:,} events")
    yield _line("dead letters", _waiting(now, edges.dead_letters.count, edges.dead_letters.since))


def _waiting(now: Standing, count: int, since: datetime | None) -> str:
    return f"[red]{count:,}[/], the oldest {_ago(now, since)}" if count else "none"


def _ago(now: Standing, moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = int(max(timedelta(), now.at - moment).total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _line(name: str, text: str) -> Text:
    return Text.from_markup(f"[dim]{name:13}[/]{text}")
