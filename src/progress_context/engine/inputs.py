"""What read models may read of each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from progress_context.engine.columns import suggest
from progress_context.engine.definition import EVENTS, RESERVED, ReadModel
from progress_context.engine.parse import input_place
from progress_context.engine.source import Source


def check_inputs(
    source: Source, model: ReadModel, models: Mapping[str, ReadModel], broken: Collection[str] = ()
) -> None:
    """Complain about inputs that cannot be; of the `broken` ones their own files complain."""
    for name in model.inputs:
        if name in models:
            for message in _objections(model, models[name], models):
                source.complain("inputs", message, input_place(source, name))
        elif name not in RESERVED and name not in broken:
            message = f"there is no read model {name!r}{suggest(name, [*RESERVED, *models])}"
            source.complain("inputs", message, input_place(source, name))
    if EVENTS in model.inputs and model.stored and model.kind != "fold":
        _check_events(source, model, models)


def lookups(model: ReadModel, models: Mapping[str, ReadModel]) -> tuple[str, ...]:
    """The inputs that belong to no learner, of a model that does."""
    if not model.by_learner:
        return ()
    return tuple(name for name in model.inputs if name in models and not models[name].by_learner)


def _objections(model: ReadModel, read: ReadModel, models: Mapping[str, ReadModel]) -> list[str]:
    """Why a model may not read another."""
    found: list[str] = []
    if model.kind == "fold":
        found.append(f"a fold reads events only, not {read.name!r}")
    if model.is_rollup and read.is_view:
        found.append(f"a rollup reads events, folds and rollups; {read.name!r} is a view")
    if model.is_rollup and read.by_learner and not model.by_learner:
        found.append(f"{read.name!r} is by learner: what reads it has learner_key in its grain")
    if model.stored and not read.stored:
        found.append(f"{read.name!r} is lazy: what reads it must be lazy too")
    if model.update == "realtime" and read.update == "batch":
        found.append(f"{read.name!r} is kept in batches: what reads it must be batch or lazy")
    if model.stored and model.by_learner and not read.by_learner:
        found += _objections_to_lookup(model, read, models)
    return found


def _objections_to_lookup(model: ReadModel, lookup: ReadModel, models: Mapping[str, ReadModel]) -> list[str]:
    """When a lookup changes, the learners to compute anew are those with its keys in another input."""
    if lookup.kind != "fold":
        return [f"{lookup.name!r} belongs to no learner and is no fold: what reads it must be lazy"]
    inputs = [models[name] for name in model.inputs if name in models]
    if any(other.by_learner and set(lookup.grain) <= set(other.columns) for other in inputs):
        return []
    keys = ", ".join(lookup.grain)
    reason = f"{lookup.name!r} belongs to no learner, and no input by learner has its grain ({keys})"
    return [f"{reason}: nobody would know whom a change of it concerns, so this must be lazy"]


def _check_events(source: Source, model: ReadModel, models: Mapping[str, ReadModel]) -> None:
    """What is computed anew for a learner must not read all their events again each time."""
    cause = "batch" if model.update == "batch" else "with a lookup" if lookups(model, models) else ""
    if cause:
        message = (
            f"a {model.kind} ({cause}) computes learners anew, and may not read all their events each time"
        )
        source.complain("inputs", f"{message}: make a fold of them", input_place(source, EVENTS))
