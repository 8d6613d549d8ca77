"""All read models of a deployment: ours and the user's, checked, in the order they depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

from progress_context.engine.columns import check_columns, input_columns
from progress_context.engine.definition import ASKED, EVENTS, POLICY, RESERVED, Policy, ReadModel
from progress_context.engine.inputs import check_inputs, lookups
from progress_context.engine.parse import fingerprint, input_place, read
from progress_context.engine.per_learner import check_per_learner
from progress_context.engine.shape import Shape
from progress_context.engine.source import Source
from progress_context.engine.template import template
from progress_context.errors import Complaint, ReadModelError


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


def load(user_folder: Path | None = None, policy: Policy | None = None, *more: Path) -> Catalog:
    """Our read models, those in `user_folder`, and `more`; raises ReadModelError with every complaint."""
    ours = files("progress_context.read_models")
    texts = {entry.name: entry.read_text("utf-8") for entry in ours.iterdir() if entry.name.endswith(".sql")}
    own = sorted(user_folder.glob("*.sql")) if user_folder is not None else []
    known = {path.resolve() for path in own}
    unread: list[Complaint] = []
    for path in [*own, *(path for path in more if path.resolve() not in known)]:
        try:
            texts[str(path)] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unread.append(Complaint(str(path), 1, 1, "file", f"cannot be read: {error}"))
    return assemble(texts, policy or Policy(), unread)


def assemble(texts: Mapping[str, str], policy: Policy, complaints: Iterable[Complaint] = ()) -> Catalog:
    """The catalog of read-model files, by file name.

    Raises ReadModelError with everything that is wrong in any of them, and with `complaints`.
    """
    parsed: list[_Parsed] = []
    for file, text in sorted(texts.items()):
        source = Source(file, text)
        parsed.append(_Parsed(source, read(source, text)))
    return _arranged(parsed, policy, complaints)


def arrange(models: Iterable[ReadModel], policy: Policy) -> Catalog:
    """As `assemble`, of read models."""
    return _arranged([_Parsed(Source(model.file, model.text), model) for model in models], policy)


def revive_catalog(texts: Mapping[str, str], policy: Policy) -> Catalog:
    """The catalog of definitions that were checked when they were stored: rules made since then do not count.

    What reads a read model that is not among them is left out.
    """
    sources = {file: Source(file, text) for file, text in texts.items()}
    by_name = _by_name([_Parsed(source, read(source, texts[file])) for file, source in sources.items()])
    models = {name: entry.model for name, entry in by_name.items() if entry.model is not None}
    while lacking := [n for n, model in models.items() if not set(model.inputs) <= models.keys() | RESERVED]:
        models = {name: model for name, model in models.items() if name not in lacking}
    return Catalog(_with_fingerprints(models, _in_order(models, by_name), policy), policy)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A file and, as far as it makes sense, its model."""

    source: Source
    model: ReadModel | None


def _arranged(parsed: Iterable[_Parsed], policy: Policy, complaints: Iterable[Complaint] = ()) -> Catalog:
    by_name = _by_name(parsed)
    models = {name: entry.model for name, entry in by_name.items() if entry.model is not None}
    broken = {entry.source.header.get("name", "") for entry in parsed if entry.model is None}
    for name, model in models.items():
        _check(by_name[name].source, model, models, broken)
    in_order = _in_order(models, by_name)
    found = [*complaints, *(complaint for entry in parsed for complaint in entry.source.complaints)]
    if found:
        raise ReadModelError(sorted(found, key=lambda c: (c.file, c.line, c.column)))
    return Catalog(_with_fingerprints(models, in_order, policy), policy)


def _by_name(parsed: Iterable[_Parsed]) -> dict[str, _Parsed]:
    found: dict[str, _Parsed] = {}
    for entry in parsed:
        if entry.model is None:
            continue
        name = entry.model.name
        if name in found:
            message = f"{name} is already defined in {found[name].source.file}"
            entry.source.complain("name", message, entry.source.word("name", name))
        else:
            found[name] = entry
    return found


def _check(source: Source, model: ReadModel, models: dict[str, ReadModel], broken: set[str]) -> None:
    """What can only be said when the others are known."""
    check_inputs(source, model, models, broken)
    tree = source.syntax()
    if tree is None:
        return
    if model.stored and model.is_view:
        check_per_learner(source, model, tree, lookups(model, models))
    elif model.stored:
        Shape(source, model, tree, lookups(model, models)).check()
    check_columns(source, tree, input_columns(model, models))


def _with_fingerprints(
    by_name: dict[str, ReadModel], in_order: Iterable[str], policy: Policy
) -> dict[str, ReadModel]:
    known = {EVENTS: template("events"), POLICY: repr(policy), ASKED: ""}
    models: dict[str, ReadModel] = {}
    for name in in_order:
        model = replace(by_name[name], lookups=lookups(by_name[name], by_name))
        models[name] = replace(model, fingerprint=fingerprint(model, known))
        known[name] = models[name].fingerprint
    return models


def _in_order(models: dict[str, ReadModel], by_name: dict[str, _Parsed]) -> list[str]:
    """Names, inputs first; models that read each other in a circle are complained of."""
    graph = {name: [i for i in model.inputs if i in models] for name, model in sorted(models.items())}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1]
        message = f"read models read each other in a circle: {' → '.join(circle)}"
        source = by_name[circle[1]].source
        source.complain("inputs", message, input_place(source, circle[0]))
        return []
