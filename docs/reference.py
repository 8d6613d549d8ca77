"""Write the generated parts of the docs: `python docs/reference.py` after a type, setting or command changed.

A part stands between `<!-- begin X -->` and `<!-- end X -->`; a test compares it with what this gives.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from progress_context import telemetry
from progress_context.cli import commands
from progress_context.engine.standing_metrics import FAMILIES, UP
from progress_context.intake.catalogue import CATALOGUE, SENT, KnownType, describe_types
from progress_context.settings import describe

DOCS = Path(__file__).parent


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '·') for cell in line)} |" for line in lines)


def event_types(catalogue: Mapping[tuple[str, int], KnownType]) -> str:
    """One section per event type."""
    sections: list[str] = []
    for kind in describe_types(catalogue):
        rows = [(f"`{f.name}`", f.kind, "yes" if f.required else "") for f in kind.fields]
        fields = table(("field", "type", "required"), rows) if rows else "Its data is kept as sent."
        about = f"{kind.promise} The subject is the {kind.subject}."
        sections.append(f"### `{kind.name}`, version {kind.version}\n\n{about}\n\n{fields}")
    return "\n\n".join(sections)


def settings() -> str:
    """Every setting."""
    return table(
        ("variable", "default", "meaning"),
        (
            (f"`{variable}`", f"`{default}`" if default else "", about)
            for variable, default, about in describe()
        ),
    )


def command_line() -> str:
    """Every command with its first sentence."""
    return table(("command", "what it does"), ((f"`{name}`", about) for name, about in commands()))


def metrics() -> str:
    """Every metric, by name; histograms also have `_count`, `_sum` and `_bucket`."""
    shown = [value for value in vars(telemetry).values() if isinstance(value, MetricWrapperBase)]
    rows = [
        (family.name + ("_total" if family.type == "counter" else ""), family.type,
         vars(metric)["_labelnames"], family.documentation)
        for metric in shown
        for family in metric.describe()
    ]  # fmt: skip
    rows += [(name, "gauge, from the database", labels, about) for name, about, labels, _ in FAMILIES]
    rows.append((UP[0], "gauge, from the database", (), UP[1]))
    return table(
        ("metric", "kind", "labels", "meaning"),
        ((f"`{name}`", kind, ", ".join(labels), about) for name, kind, labels, about in sorted(rows)),
    )


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "event types": ("events.md", lambda: event_types(CATALOGUE)),
    "events sent": ("events.md", lambda: event_types(SENT)),
    "settings": ("operations.md", settings),
    "commands": ("operations.md", command_line),
    "metrics": ("operations.md", metrics),
}


def rendered(text: str, part: str, content: str) -> str:
    """`text` with the content of a part replaced."""
    pattern = re.compile(rf"(<!-- begin {part} -->\n).*?(<!-- end {part} -->)", re.DOTALL)
    if not pattern.search(text):
        raise LookupError(f"the docs have no part {part!r}")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text)


def main() -> None:
    """Write all parts."""
    for part, (file, render) in PARTS.items():
        path = DOCS / file
        path.write_text(rendered(path.read_text("utf-8"), part, render()), "utf-8")
        sys.stdout.write(f"{file}: {part}\n")


if __name__ == "__main__":
    main()
