"""Find columns that do not exist, without a database: the columns of all inputs are known.

Only what is certain is reported. Where a function or a `*` gives columns nobody knows here, anything may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from sqlglot import exp

from progress_context.engine.definition import ASKED, EVENTS, POLICY, ReadModel
from progress_context.engine.source import Source, tree_of
from progress_context.engine.template import fill

Known = tuple[str, ...] | None  # the columns of a relation; None where they are not known
Frame = dict[str, Known]  # the relations of one FROM, by alias


def given_columns() -> dict[str, tuple[str, ...]]:
    """The columns of the inputs that are no read models."""
    return {
        EVENTS: _columns_of(fill("events", scope="true", upto="0")),
        POLICY: _columns_of(fill("policy", idle_seconds="0", cap_seconds="0", streak_grace="false")),
        ASKED: ("at", "today"),
    }


def input_columns(model: ReadModel, models: Mapping[str, ReadModel]) -> dict[str, Known]:
    """The columns of each input of a model: rows of read models are weighted for all but views."""
    weight = () if model.is_view else ("weight",)
    given = given_columns()
    return {
        name: given[name] if name in given else (*models[name].columns, *weight) if name in models else None
        for name in model.inputs
    }


def check_columns(source: Source, tree: exp.Query, inputs: Mapping[str, Known]) -> None:
    """Complain about every column and relation that a SELECT names and that is not there."""
    _Resolver(source).query(tree, dict(inputs), [])


def suggest(name: str, candidates: Iterable[str]) -> str:
    """Which names there are, and the likeliest one; the end of a sentence that said there is no `name`."""
    known = sorted(set(candidates))
    listed = f"; there are {', '.join(known)}" if known else ""
    likely = get_close_matches(name, known, n=1) or [k for k in known if len(name) > 2 and name in k]
    return f"{listed}; did you mean {likely[0]!r}?" if likely else listed


class _Resolver:
    """Walks a SELECT with the relations that are visible at each place."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def query(self, node: exp.Expr, relations: Frame, outer: Sequence[Frame]) -> Known:
        """Check a query; the columns it gives. `relations` are inputs and parts of a WITH."""
        relations = {**relations, **self._with(node, relations, outer)}
        if isinstance(node, exp.Subquery):
            return self.query(node.this, relations, outer)
        if isinstance(node, exp.SetOperation):
            columns = self.query(node.this, relations, outer)
            self.query(node.expression, relations, outer)
            return columns
        return self._select(node, relations, outer) if isinstance(node, exp.Select) else None

    def _with(self, node: exp.Expr, relations: Frame, outer: Sequence[Frame]) -> Frame:
        found: Frame = {}
        with_ = node.args.get("with_")
        if not isinstance(with_, exp.With):
            return found
        for cte in with_.expressions:
            names = cte.args["alias"].columns
            itself = {cte.alias: _renamed(_outputs(cte.this), names)} if with_.recursive else {}
            columns = self.query(cte.this, {**relations, **found, **itself}, outer)
            found[cte.alias] = _renamed(columns, names)
        return found

    def _select(self, select: exp.Select, relations: Frame, outer: Sequence[Frame]) -> Known:
        frame: Frame = {}
        from_ = select.args.get("from_")
        for part in (from_, *(select.args.get("joins") or ())):
            if part is not None:
                frame[part.this.alias_or_name] = self._part(part.this, relations, [frame, *outer])
        frames = [frame, *outer]
        outputs = _aliases(select)
        for clause, value in select.args.items():
            named = outputs if clause in ("group", "order", "distinct") else ()
            for expression in _expressions(value) if clause not in ("with_", "from_", "joins") else ():
                self._expression(expression, relations, frames, named)
        for join in select.args.get("joins") or ():
            if join.args.get("on"):
                self._expression(join.args["on"], relations, frames)
        self._check_grouped_names(select, frame)
        return _selected(select, frame)

    def _part(self, part: exp.Expr, relations: Frame, frames: Sequence[Frame]) -> Known:
        """The columns of one relation of a FROM; what it says itself is checked too."""
        alias = part.args.get("alias")
        names = alias.columns if isinstance(alias, exp.TableAlias) else ()
        if isinstance(part, exp.Table) and isinstance(part.this, exp.Identifier):
            return _renamed(relations.get(part.name), names)
        if isinstance(part, exp.Lateral) and isinstance(part.this, exp.Subquery):
            return _renamed(self.query(part.this, relations, frames), names)
        if isinstance(part, exp.Subquery):
            return _renamed(self.query(part, relations, frames[1:]), names)
        for argument in _expressions([part.this, part.args.get("expressions")]):
            self._expression(argument, relations, frames)
        return None

    def _expression(
        self, node: exp.Expr, relations: Frame, frames: Sequence[Frame], named: Iterable[str] = ()
    ) -> None:
        for part in node.walk(prune=lambda part: isinstance(part, exp.Query)):
            if isinstance(part, exp.Query):
                self.query(part, relations, frames)
            elif isinstance(part, exp.Column) and not part.is_star and part.name not in named:
                self._column(part, frames)

    def _column(self, column: exp.Column, frames: Sequence[Frame]) -> None:
        if column.args.get("db"):
            return
        if not column.table:
            self._unqualified(column, frames)
            return
        frame = next((frame for frame in frames if column.table in frame), None)
        if frame is None:
            names = [alias for frame in frames for alias in frame]
            if "" in names:
                return  # something without a name here, which may hold relations of its own
            message = f"there is no relation {column.table!r} here{suggest(column.table, names)}"
            self._source.complain("columns", message, self._source.node(column.args["table"]))
        elif (known := frame[column.table]) is not None and column.name not in known:
            message = f"{column.table!r} has no column {column.name!r}{suggest(column.name, known)}"
            self._source.complain("columns", message, self._source.node(column.this))

    def _unqualified(self, column: exp.Column, frames: Sequence[Frame]) -> None:
        relations = [(alias, known) for frame in frames for alias, known in frame.items()]
        if any(known is None or column.name == alias or column.name in known for alias, known in relations):
            return
        names = [name for _, known in relations for name in known or ()]
        message = f"there is no column {column.name!r}{suggest(column.name, names)}"
        self._source.complain("columns", message, self._source.node(column))

    def _check_grouped_names(self, select: exp.Select, frame: Frame) -> None:
        """In GROUP BY a name is first a column of the FROM, and only then one of the SELECT."""
        group = select.args.get("group")
        for item in group.expressions if group else ():
            if not isinstance(item, exp.Column) or item.table:
                continue
            taken = any(item.name in (known or ()) for known in frame.values())
            value = next(
                (a.this for a in select.selects if isinstance(a, exp.Alias) and a.alias == item.name), None
            )
            if (
                taken
                and value is not None
                and not (isinstance(value, exp.Column) and value.name == item.name)
            ):
                message = (
                    f"GROUP BY {item.name} means the column of the input, not what the SELECT calls so;"
                    " choose another name"
                )
                self._source.complain("columns", message, self._source.node(item))


def _expressions(value: object) -> Iterator[exp.Expr]:
    if isinstance(value, exp.Expr):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _expressions(item)


def _aliases(select: exp.Select) -> set[str]:
    return {column.alias for column in select.selects if isinstance(column, exp.Alias)}


def _selected(select: exp.Select, frame: Frame) -> Known:
    """The columns a SELECT gives, with every `*` written out."""
    columns: list[str] = []
    for column in select.selects:
        if not column.is_star:
            columns.append(column.output_name)
            continue
        relations = [frame.get(column.table)] if isinstance(column, exp.Column) else list(frame.values())
        for known in relations:
            if known is None:
                return None
            columns += known
    return tuple(columns)


def _outputs(query: exp.Expr) -> Known:
    """What a query gives by its own words, before anything is known of its inputs."""
    names = query.named_selects if isinstance(query, exp.Query) else ["*"]
    return None if "*" in names else tuple(names)


def _renamed(columns: Known, names: Sequence[exp.Expr]) -> Known:
    """Columns under the names that an alias gives to the first of them."""
    new = tuple(name.name for name in names)
    return None if columns is None else (*new, *columns[len(new) :])


def _columns_of(select: str) -> tuple[str, ...]:
    tree = tree_of(select)
    return tuple(tree.named_selects) if isinstance(tree, exp.Query) else ()
