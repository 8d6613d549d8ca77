"""A stored view is computed for some learners at a time: no learner's rows may depend on another's."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from progress_context.engine.definition import ASKED, POLICY, ReadModel
from progress_context.engine.shape import is_part, reads, varying_names
from progress_context.engine.source import Source

KEY = "learner_key"


def check_per_learner(source: Source, model: ReadModel, tree: exp.Query, constant: Collection[str]) -> None:
    """Complain about steps that mix learners; `constant` are the inputs that belong to none."""
    names = varying_names(tree, set(model.inputs) - {POLICY, ASKED, *constant})
    for step in tree.find_all(exp.Select):
        if reads(step, names) and not _is_of_a_row(step):
            _check_grouping(source, step)
            _check_windows(source, step)
            _check_choice(source, step)
            _check_joins(source, step, names)


def _is_of_a_row(step: exp.Select) -> bool:
    """Whether it is asked anew for each row of another step, and so can see whose row that is."""
    outer = step.parent_select
    return outer is not None and (step.find_ancestor(exp.Lateral) is not None or not is_part(step, outer))


def _check_grouping(source: Source, step: exp.Select) -> None:
    group = step.args.get("group")
    if group is not None:
        if not any(_is_key(_written_out(step, item)) for item in group.expressions):
            message = f"put {KEY} into GROUP BY: learners are computed some at a time"
            source.complain("per learner", message, source.clause("GROUP BY", group))
        return
    for aggregate in step.find_all(exp.AggFunc):
        if aggregate.find_ancestor(exp.Window, exp.Select) is step:
            message = f"GROUP BY {KEY}: learners are computed some at a time"
            source.complain("per learner", message, source.node(aggregate))


def _check_windows(source: Source, step: exp.Select) -> None:
    named = {window.name: window for window in step.args.get("windows") or ()}
    for window in step.find_all(exp.Window):
        if window.find_ancestor(exp.Select) is not step or window.name in named:
            continue
        meant = named.get(window.alias, window)
        if not any(_is_key(item) for item in meant.args.get("partition_by") or ()):
            message = f"PARTITION BY {KEY}: learners are computed some at a time"
            source.complain("per learner", message, source.node(window))


def _check_choice(source: Source, step: exp.Select) -> None:
    for clause, keyword in (("limit", "LIMIT"), ("offset", "OFFSET"), ("fetch", "FETCH")):
        if node := step.args.get(clause):
            message = f"{keyword} picks among the rows of several learners; number them with a window instead"
            source.complain("per learner", message, source.clause(keyword, node))


def _check_joins(source: Source, step: exp.Select, names: Collection[str]) -> None:
    """Where two inputs by learner meet, some condition speaks of the learner."""
    joins: list[exp.Join] = step.args.get("joins") or []
    parts = [part.this for part in (step.args.get("from_"), *joins) if part is not None]
    moving = [part for part in parts if reads(part, names) and not isinstance(part, exp.Lateral)]
    conditions = [step.args.get("where"), *(join.args.get("on") for join in joins)]
    columns = [column for c in conditions if c is not None for column in c.find_all(exp.Column)]
    using = [name for join in joins for name in join.args.get("using") or ()]
    keyed = any(name.name == KEY for name in (*columns, *using))
    if len(moving) > 1 and not keyed and not any(join.method == "NATURAL" for join in joins):
        message = f"join by {KEY}: this pairs the rows of different learners"
        source.complain("per learner", message, source.node(moving[1]))


def _written_out(step: exp.Select, item: exp.Expr) -> exp.Expr:
    """An item of GROUP BY that is a number, as the column it stands for."""
    if isinstance(item, exp.Literal) and not item.is_string and 1 <= int(item.name) <= len(step.selects):
        return step.selects[int(item.name) - 1]
    return item


def _is_key(node: exp.Expr) -> bool:
    return node.output_name == KEY
