"""`pubsub`: the schemas, topics and subscriptions that the services need, compared and made so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice
from typing import TYPE_CHECKING, Any

from cyclopts import App
from rich.console import Console
from rich.markup import escape

from progress_context.commands.common import console
from progress_context.errors import SettingsError
from progress_context.settings import Settings, variable_of

if TYPE_CHECKING:
    from progress_context.delivery.topology import Difference, Plan, Push, Resource, Schema, Step
    from progress_context.delivery.topology_admin import TopologyAdmin

app = App(name="pubsub", help="The schemas, topics and subscriptions in Google Pub/Sub.")

DAY = 86_400
MOST_LINES, LONGEST_LINE = 20, 100  # that are shown of how a definition differs
WORDS = {"create": "to create", "change": "to change", "leave": "to leave"}
IN_SECONDS = {"ack_deadline", "retention", "expires_after", "least_backoff", "most_backoff"}


@app.command
def diff() -> None:
    """Show what `pubsub apply` would do; exit code 1 if the topology is not as wanted. Only reads."""
    settings = _settings()
    with _admin(settings) as admin:
        found = _plan(admin, settings)
    _print(found, settings)
    sys.exit(0 if found.is_done else 1)


@app.command
def apply(*, yes: bool = False) -> None:
    """Create and change topics, their schemas and subscriptions as needed; all others are left alone.

    Exit code 1 if something differs that Google cannot change.

    Parameters
    ----------
    yes
        Do not ask.
    """
    settings = _settings()
    with _admin(settings) as admin:
        found = _plan(admin, settings)
        _print(found, settings)
        if found.to_do:
            if not yes and not _agreed():
                console.print("nothing was changed")
                sys.exit(1)
            for step in found.to_do:
                admin.take(step)
            console.print(f"{len(found.to_do)} applied")
    sys.exit(1 if found.stuck else 0)


def _settings() -> Settings:
    """The settings, which must name a project. Raises SettingsError."""
    from progress_context.services.delivering import require_pubsub

    settings = Settings.from_environment()
    if not settings.pubsub_project:
        raise SettingsError(
            f"{variable_of('pubsub_project')} is not set: it names the Google Cloud project of the topics"
        )
    require_pubsub()
    return settings


def _admin(settings: Settings) -> TopologyAdmin:
    from progress_context.delivery.topology_admin import TopologyAdmin

    return TopologyAdmin(settings.pubsub_project)


def _plan(admin: TopologyAdmin, settings: Settings) -> Plan:
    from progress_context.delivery.topology import plan

    wanted = _wanted(settings)
    with console.status(f"asking Pub/Sub in {settings.pubsub_project}"):
        return plan(wanted, admin.existing(wanted))


def _wanted(settings: Settings) -> list[Resource]:
    from progress_context.delivery.topology import wanted_topology

    return wanted_topology(
        settings.pubsub_prefix, _push(settings), settings.pubsub_dead_letter_days, _schemas(settings)
    )


def _schemas(settings: Settings) -> list[Schema]:
    from progress_context.delivery.schema_files import read_schemas
    from progress_context.delivery.topology import topic_names

    return read_schemas(settings.pubsub_schemas, topic_names()) if settings.pubsub_schemas else []


def _push(settings: Settings) -> Push | None:
    """How messages are pushed, none when they are pulled. Raises SettingsError if no identity is named."""
    from progress_context.delivery.topology import Push

    if not settings.pubsub_push_endpoint:
        return None
    for name in ("push_service_account", "push_audience"):
        if not getattr(settings, name):
            raise SettingsError(
                f"{variable_of('pubsub_push_endpoint')} needs {variable_of(name)}:"
                " pushes without an identity are refused"
            )
    return Push(settings.pubsub_push_endpoint, settings.push_service_account, settings.push_audience)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise SettingsError("there is no terminal to ask on; `pubsub apply --yes` does it without asking")
    return console.input("apply this? \\[y/N] ").strip().lower() in ("y", "yes")


def _print(found: Plan, settings: Settings) -> None:
    out = Console()
    for step in found.steps:
        for line in _lines(step, settings):
            out.print(escape(line), highlight=False, soft_wrap=True)
    counts = {action: sum(step.action == action for step in found.steps) for action in WORDS}
    told = [f"{count} {WORDS[action]}" for action, count in counts.items() if count]
    if found.stuck:
        told.append(f"{len(found.stuck)} with differences that stay")
    console.print(", ".join(told))


def _lines(step: Step, settings: Settings) -> Iterator[str]:
    """What is done about a resource, then a line for every field that differs."""
    yield f"{step.action:6} {step.kind} {step.resource.name}"
    for difference in step.changes:
        if difference.field == "definition":
            yield from _definition(difference)
        else:
            yield f"         {_in_words(difference)}"
    for difference in step.stuck:
        yield f"         {_in_words(difference)}: CANNOT BE CHANGED"
    if step.stuck:
        yield f"         {_way_out(step, settings)}"


def _definition(difference: Difference) -> Iterator[str]:
    """What differs of a definition, in part if it is much: it may be as large as 300 KB."""
    compared = unified_diff(difference.old.splitlines(), difference.new.splitlines(), n=1, lineterm="")
    lines = list(islice(compared, 2, None))  # two lines of file names come first
    if not lines:
        yield "         definition: differs in how its lines end"
        return
    yield "         definition (- in Pub/Sub, + in the file):"
    for line in lines[:MOST_LINES]:
        yield f"           {line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + '…'}"
    if len(lines) > MOST_LINES:
        yield f"           … {len(lines) - MOST_LINES} more lines"


def _way_out(step: Step, settings: Settings) -> str:
    delete = (
        f"gcloud pubsub {step.kind}s delete {step.resource.name} --project {settings.pubsub_project},"
        " then apply again"
    )
    if step.kind == "schema":
        return f"{delete} at once; until then its topic refuses all messages"
    return f"once its messages are done with: {delete}"


def _in_words(difference: Difference) -> str:
    old, new = (_value(difference.field, value) for value in (difference.old, difference.new))
    return f"{difference.field.replace('_', ' ')}: {old} → {new}"


def _value(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if not value:
        return "none"
    if field not in IN_SECONDS:
        return str(value)
    return f"{value:g} s" if value < DAY else f"{value / DAY:g} days"
