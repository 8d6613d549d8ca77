"""All read models of a deployment: ours and the user's, checked, in the order they depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

from progress_context.engine.definition import ASKED, EVENTS, POLICY, RESERVED, Policy, ReadModel
from progress_context.engine.parse import fingerprint, parse
from progress_context.engine.template import template
from progress_context.errors import ReadModelError


@dataclass(frozen=True, slots=True)
class Catalog:
    """Read models by name, inputs before those that read them."""

    models: dict[str, ReadModel]
    policy: Policy

    def __iter__(self) -> Iterator[ReadModel]:
        return iter(self.models.values())

    def __getitem__(self, name: str) -> ReadModel:
        return self.models[name]

    def stored(self) -> list[ReadModel]:
        """Those with a table, inputs first."""
        return [model for model in self if model.stored]

    def upstream(self, names: Iterable[str]) -> set[str]:
        """The named ones and everything they are computed from."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [i for i in self.models[name].inputs if i not in RESERVED]
        return found


def load(user_folder: Path | None = None, policy: Policy | None = None) -> Catalog:
    """Our read models and those in `user_folder`; raises ReadModelError."""
    policy = policy or Policy()
    ours = files("progress_context.read_models")
    texts = [
        (entry.name, entry.read_text("utf-8")) for entry in ours.iterdir() if entry.name.endswith(".sql")
    ]
    if user_folder is not None:
        texts += [(str(path), path.read_text("utf-8")) for path in sorted(user_folder.glob("*.sql"))]
    return arrange((parse(file, text) for file, text in sorted(texts)), policy)


def arrange(parsed: Iterable[ReadModel], policy: Policy) -> Catalog:
    """Order the models, check what they say about each other, and give each its fingerprint."""
    by_name: dict[str, ReadModel] = {}
    for model in parsed:
        if model.name in by_name:
            other = by_name[model.name].file
            raise ReadModelError(model.file, 1, 1, "name", f"{model.name} is already defined in {other}")
        by_name[model.name] = model
    for model in by_name.values():
        _check_inputs(model, by_name)
    known = {
        EVENTS: template("events"),
        POLICY: repr(policy),
        ASKED: "",
    }
    models: dict[str, ReadModel] = {}
    for name in _in_order(by_name):
        model = by_name[name]
        lookups = tuple(i for i in model.inputs if i not in RESERVED and not by_name[i].by_learner)
        model = replace(model, lookups=lookups if model.by_learner else ())
        models[name] = replace(model, fingerprint=fingerprint(model, known))
        known[name] = models[name].fingerprint
    return Catalog(models, policy)


def _in_order(by_name: dict[str, ReadModel]) -> list[str]:
    graph = {n: [i for i in m.inputs if i not in RESERVED] for n, m in sorted(by_name.items())}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1]
        file = by_name[circle[0]].file
        message = f"read models read each other in a circle: {' → '.join(circle)}"
        raise ReadModelError(file, 1, 1, "inputs", message) from None


def _check_inputs(model: ReadModel, by_name: dict[str, ReadModel]) -> None:
    for name in model.inputs:
        if name in RESERVED:
            continue
        if name not in by_name:
            _refuse(model, f"there is no read model {name!r}; `events` and read models can be read")
        source = by_name[name]
        if model.is_rollup and source.is_view:
            _refuse(model, f"a rollup reads events, folds and rollups; {name!r} is a view")
        if model.kind == "fold":
            _refuse(model, f"a fold reads events only, not {name!r}")
        if model.stored and not source.stored:
            _refuse(model, f"{name!r} is lazy: what reads it must be lazy too")


def _refuse(model: ReadModel, message: str) -> None:
    raise ReadModelError(model.file, 1, 1, "inputs", message)
