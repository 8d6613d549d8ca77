"""The shape of a stored fold or rollup: every step treats each row by itself, and one grouped SELECT adds up.

Only then do rows computed from a page of events, or from what changed, merge into those computed from all.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from progress_context.engine.definition import ASKED, POLICY, ReadModel
from progress_context.engine.source import Source

CLAUSES = {
    "having": "HAVING", "limit": "LIMIT", "offset": "OFFSET", "fetch": "FETCH", "order": "ORDER BY",
    "distinct": "DISTINCT",
}  # fmt: skip
IN_PARTS = "it sees its input in parts, never all at once; say it in a lazy view that reads this model"
PAIRS = "pairs no rows of its inputs, which do not arrive together; fold each by itself, join in a view"


class Shape:
    """Checks one model. `constant` are the inputs that do not come in parts: lookups, beside the policy."""

    def __init__(
        self, source: Source, model: ReadModel, tree: exp.Query, constant: Collection[str] = ()
    ) -> None:
        self._source = source
        self._model = model
        self._tree = tree
        self._varying = varying_names(tree, set(model.inputs) - {POLICY, ASKED, *constant})

    def check(self) -> None:
        """Complain about every step that groups, picks, orders or pairs rows."""
        if not isinstance(self._tree, exp.Select):
            return
        for step in filter(self._reads, self._tree.find_all(exp.Select, exp.SetOperation)):
            if isinstance(step, exp.SetOperation):
                self._check_set_operation(step)
            else:
                self._check_clauses(step)
                self._check_pairs(step)
                if step is not self._tree:
                    self._check_grouping(step)

    def _complain(self, message: str, place: tuple[int, int]) -> None:
        rule = "linear" if self._model.is_rollup else "merge"
        self._source.complain(rule, f"a stored {self._model.kind} {message}", place)

    def _check_clauses(self, select: exp.Select) -> None:
        for clause, keyword in CLAUSES.items():
            if node := select.args.get(clause):
                anchor = select.selects[0] if clause == "distinct" and select.selects else node
                self._complain(f"has no {keyword}: {IN_PARTS}", self._source.clause(keyword, anchor))
        for window in select.find_all(exp.Window):
            if window.parent_select is select:
                self._complain(f"has no window functions: {IN_PARTS}", self._source.node(window))

    def _check_grouping(self, step: exp.Select) -> None:
        aggregates = (a for a in step.find_all(exp.AggFunc) if a.parent_select is step)
        if grouping := step.args.get("group") or next(aggregates, None):
            message = "groups once, in its outermost SELECT; make a read model of what is grouped here"
            self._complain(message, self._source.node(grouping))

    def _check_set_operation(self, step: exp.SetOperation) -> None:
        if not isinstance(step, exp.Union) or step.args.get("distinct"):
            keyword = type(step).__name__.upper()
            place = self._source.clause(keyword, step.expression)
            self._complain(f"joins its parts by UNION ALL only: {keyword} compares their rows", place)

    def _check_pairs(self, step: exp.Select) -> None:
        """One varying input may be joined to what is constant; no other may be looked at beside it."""
        from_ = step.args.get("from_")
        joins: list[exp.Join] = step.args.get("joins") or []
        parts = [part.this for part in (from_, *joins) if part is not None]
        moving = [part for part in parts if self._reads(part)]
        within = [s for s in step.find_all(exp.Select) if s.parent_select is step and not is_part(s, step)]
        for part in [*moving[1:], *(select for select in within if self._reads(select))]:
            self._complain(PAIRS, self._source.node(part))
        for join in joins:
            optional = {"LEFT": [join.this], "RIGHT": parts[:1], "FULL": [join.this, *parts[:1]]}
            if len(moving) == 1 and any(part is moving[0] for part in optional.get(join.side, ())):
                message = "has its input on the outer side of no join: that makes up rows without it"
                self._complain(message, self._source.node(join.this))

    def _reads(self, node: exp.Expr) -> bool:
        return reads(node, self._varying)


def varying_names(tree: exp.Query, names: set[str]) -> set[str]:
    """The inputs, and the parts of the WITH, whose rows come in parts."""
    parts = list(tree.find_all(exp.CTE))
    while more := {c.alias_or_name for c in parts if reads(c.this, names)} - names:
        names = names | more
    return names


def reads(node: exp.Expr, names: Collection[str]) -> bool:
    """Whether any relation in a part of a SELECT has one of these names."""
    return any(table.name in names for table in node.find_all(exp.Table))


def is_part(inner: exp.Select, step: exp.Select) -> bool:
    """Whether a SELECT stands in the FROM, JOIN or WITH of `step`, not in one of its expressions."""
    node: exp.Expr = inner
    while (parent := node.parent) is not None and parent is not step:
        if isinstance(parent, exp.From | exp.CTE) or (isinstance(parent, exp.Join) and parent.this is node):
            return True
        node = parent
    return False
