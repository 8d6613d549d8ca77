"""The columns of a stored fold or rollup: each must merge by its law, and GROUP BY must be the grain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from progress_context.engine.algebra import (
    WHOLE,
    bare,
    is_additive,
    is_call,
    is_sum,
    is_weight,
    is_weighted_sum,
    is_whole,
    laws_of,
    unwrapped,
)
from progress_context.engine.definition import MergeLaw, ReadModel
from progress_context.engine.source import Source

NONE: MergeLaw = "none"
FLOATS = (exp.DataType.Type.FLOAT, exp.DataType.Type.DOUBLE)
LISTS = (exp.ArrayAgg, exp.GroupConcat)
LIST_NAMES = frozenset({"json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg", "xmlagg"})
FLOAT_SUMS = "sums of floating point depend on their order; cast to numeric"


def check_laws(source: Source, model: ReadModel, tree: exp.Query) -> None:
    """Complain about what does not merge in a stored fold or rollup."""
    rule = "linear" if model.is_rollup else "merge"
    if not isinstance(tree, exp.Select):
        message = f"a stored {model.kind} is one grouped SELECT; put what it groups into a WITH"
        source.complain(rule, message, source.at(0))
        return
    _check_grouping(source, model, tree)
    check = _check_linear if model.is_rollup else _check_mergeable
    for column in tree.selects:
        if column.output_name not in model.grain and not column.is_star and not column.find(exp.Window):
            check(source, model, column)
    if model.is_rollup:
        _check_weight(source, tree)


def laws_of_lazy(model: ReadModel, tree: exp.Query) -> ReadModel:
    """A lazy fold or rollup never merges: its columns may be anything. Only sums are 0 where nothing is."""
    adds_up = is_weighted_sum if model.is_rollup else is_sum
    sums = {column.output_name for column in tree.selects if is_additive(column.unalias(), adds_up)}
    others = (column for column in model.values if column not in sums and column not in model.merges)
    return replace(model, merges={**model.merges, **dict.fromkeys(others, NONE)})


def _check_grouping(source: Source, model: ReadModel, tree: exp.Select) -> None:
    group = tree.args.get("group")
    listed = ", ".join(model.grain)
    if group is None:
        source.complain(
            "grain", f"the grain is what the rows are grouped by: GROUP BY {listed}", source.at(0)
        )
        return
    grouped: set[str] = set()
    for item in group.expressions:
        name = _grouped_column(tree, item)
        if name in model.grain:
            grouped.add(name)
        else:
            message = f"GROUP BY must be the grain, {listed}; this is not of it"
            source.complain("grain", message, source.node(item))
    for column in model.grain:
        if column not in grouped and column in model.columns:
            message = f"GROUP BY lacks {column!r}, which is of the grain"
            source.complain("grain", message, source.clause("GROUP BY", group))


def _grouped_column(tree: exp.Select, item: exp.Expr) -> str:
    """The output column that an item of GROUP BY stands for: by number, by name, or written out again."""
    columns = tree.selects
    if isinstance(item, exp.Literal) and not item.is_string:
        number = int(item.name)
        return columns[number - 1].output_name if 1 <= number <= len(columns) else ""
    for column in columns:
        written_out = column.unalias() == item
        if written_out or (
            isinstance(item, exp.Column) and not item.table and column.output_name == item.name
        ):
            return column.output_name
    return item.name if isinstance(item, exp.Column) and item.name in tree.named_selects else ""


def _check_mergeable(source: Source, model: ReadModel, column: exp.Expr) -> None:
    name, value = column.output_name, column.unalias()
    law, possible = model.law(name), laws_of(value)
    if not possible:
        source.complain("merge", f"{name!r} does not merge: {_why_not(value)}", source.node(value))
    elif law not in possible and name not in model.merges:
        message = f"{name!r} does not merge by sum: say `-- merge: {name} {possible[0]}`"
        source.complain("merge", message, source.node(value))
    elif law not in possible:
        hint = " of stamp(occurred_at, position, …)" if law in ("first", "last") else ""
        needed = {"first": "min", "last": "max", "union": "range_agg", "sum": "count or sum"}.get(law, law)
        message = f"{name!r} merges by {law}, so it must be a {needed}{hint}"
        source.complain("merge", message, source.word("merge", name))
    elif law == "sum":
        _check_exact(source, model, value)


def _why_not(value: exp.Expr) -> str:
    inner = bare(value)
    if isinstance(inner, exp.Avg):
        return "an average of averages is none; keep the sum and the count, and divide where it is read"
    if isinstance(inner, exp.Count | exp.Sum) and inner.find(exp.Distinct):
        return "the same value may come again; make it part of the grain, and count its rows where it is read"
    if isinstance(inner, LISTS) or is_call(inner, *LIST_NAMES):
        return "a list has no law; make its elements part of the grain"
    if value.find(exp.Count, exp.Sum, exp.Min, exp.Max):
        return "it is computed from aggregates; keep them as columns, and compute where they are read"
    if value.find(exp.AggFunc):
        return "only count, sum, min, max, bool_and, bool_or and range_agg do"
    return "it is no aggregate; aggregate it, or make it part of the grain"


def _check_linear(source: Source, model: ReadModel, column: exp.Expr) -> None:
    name, value = column.output_name, column.unalias()
    if name == "row_count":
        if not (isinstance(value, exp.Sum) and is_weight(value.this)):
            message = "row_count is sum(weight): it tells when nothing is left of a row"
            source.complain("linear", message, source.node(value))
    elif not is_additive(value, is_weighted_sum):
        source.complain("linear", f"{name!r} is not linear: {_why_not_linear(value)}", source.node(value))
    else:
        _check_exact(source, model, value)


def _why_not_linear(value: exp.Expr) -> str:
    if value.find(exp.Count):
        return "count does not see the weight; write sum(weight)"
    if value.find(exp.Sum):
        return "write sum(weight * …), for a row that is replaced comes again with weight -1"
    if value.find(exp.AggFunc):
        return "only sums can take a row back; a fold can have other laws, and a view anything"
    return "aggregate it with sum(weight * …), or make it part of the grain"


def _check_weight(source: Source, tree: exp.Select) -> None:
    """The weight is handed on as it is given, and decides nothing."""
    for column in filter(is_weight, tree.find_all(exp.Column)):
        if not isinstance(column.find_ancestor(exp.Where, exp.Join, exp.Select), exp.Select):
            message = "the weight may decide nothing: a row and its taking back must go the same way"
            source.complain("linear", message, source.node(column))
    for value in _given_as_weight(tree):
        if not is_weight(value):
            message = "hand the weight of the input on as it is"
            source.complain("linear", message, source.node(value))


def _given_as_weight(tree: exp.Select) -> Iterator[exp.Expr]:
    """What the steps of a SELECT call `weight`, by alias or by the column list of a WITH."""
    for alias in tree.find_all(exp.Alias):
        if alias.alias == "weight":
            yield alias.this
    for cte in tree.find_all(exp.CTE):
        names = cte.args["alias"].columns
        for index, name in enumerate(names):
            if name.name == "weight":
                yield from (leaf.selects[index].unalias() for leaf in _leaves(cte.this))


def _leaves(query: exp.Expr) -> Iterator[exp.Select]:
    if isinstance(query, exp.SetOperation):
        yield from _leaves(query.this)
        yield from _leaves(query.expression)
    elif isinstance(query, exp.Select):
        yield query


def _check_exact(source: Source, model: ReadModel, value: exp.Expr) -> None:
    """Sums are exact, whatever the order and the pages."""
    for sum_ in value.find_all(exp.Sum):
        factors = sum_.this.flatten() if isinstance(sum_.this, exp.Mul) else [sum_.this]
        if any(isinstance(f, exp.Cast) and f.to.this in FLOATS for f in map(bare, factors)):
            source.complain("merge", FLOAT_SUMS, source.node(sum_))
    outer = unwrapped(value)
    merged = model.kind == "fold" or model.update == "realtime"
    if merged and isinstance(outer, exp.Cast) and outer.to.this in WHOLE and not is_whole(outer.this):
        message = f"the cast rounds each part by itself; write sum((…)::{outer.to.sql('postgres').lower()})"
        source.complain("merge", message, source.node(outer))
