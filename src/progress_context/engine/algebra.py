"""What can be said of an aggregate without knowing any row: whether it adds up, and how it merges."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from progress_context.engine.definition import MergeLaw

IsSum = Callable[[exp.Expr], bool]

WHOLE = tuple(exp.DataType.INTEGER_TYPES)


def laws_of(value: exp.Expr) -> tuple[MergeLaw, ...]:
    """The laws by which an aggregate merges, the likeliest first."""
    inner = bare(value)
    stamped = isinstance(inner.this, exp.Anonymous) and inner.this.name.lower() == "stamp"
    if isinstance(inner, exp.Min):
        return ("first", "min") if stamped else ("min",)
    if isinstance(inner, exp.Max):
        return ("last", "max") if stamped else ("max",)
    if isinstance(inner, exp.LogicalAnd) or is_call(inner, "every"):
        return ("min",)
    if isinstance(inner, exp.LogicalOr):
        return ("max",)
    if is_call(inner, "range_agg"):
        return ("union",)
    return ("sum",) if is_additive(value, is_sum) else ()


def is_additive(value: exp.Expr, adds_up: IsSum) -> bool:
    """Whether value(a + b) = value(a) + value(b), where null counts as 0."""
    value = unwrapped(value)
    if isinstance(value, exp.Cast | exp.Neg):
        return is_additive(value.this, adds_up)
    if isinstance(value, exp.Mul):
        sides = (value.this, value.expression)
        return any(_is_number(a) and is_additive(b, adds_up) for a, b in (sides, sides[::-1]))
    if isinstance(value, exp.Add | exp.Sub):
        return all(_is_never_null(s) and is_additive(s, adds_up) for s in (value.this, value.expression))
    if isinstance(value, exp.Coalesce):
        return is_additive(value.this, adds_up) and [e.sql() for e in value.expressions] == ["0"]
    return adds_up(bare(value))


def _is_never_null(value: exp.Expr) -> bool:
    value = unwrapped(value)
    if isinstance(value, exp.Cast | exp.Neg):
        return _is_never_null(value.this)
    if isinstance(value, exp.Mul | exp.Add | exp.Sub):
        return all(_is_number(s) or _is_never_null(s) for s in (value.this, value.expression))
    return isinstance(bare(value), exp.Count | exp.Coalesce)


def is_sum(value: exp.Expr) -> bool:
    return isinstance(value, exp.Count | exp.Sum) and not isinstance(value.this, exp.Distinct)


def is_weighted_sum(value: exp.Expr) -> bool:
    return isinstance(value, exp.Sum) and _is_weighted(value.this)


def _is_weighted(value: exp.Expr) -> bool:
    """Whether a value is the weight times something that does not depend on the weight."""
    value = unwrapped(value)
    if isinstance(value, exp.Cast | exp.Neg):
        return _is_weighted(value.this)
    if isinstance(value, exp.Mul):
        return sum(map(_is_weighted, (value.this, value.expression))) == 1 and (
            sum(map(_has_weight, (value.this, value.expression))) == 1
        )
    if isinstance(value, exp.Div):
        return _is_weighted(value.this) and not _has_weight(value.expression)
    if isinstance(value, exp.Add | exp.Sub):
        return _is_weighted(value.this) and _is_weighted(value.expression)
    if isinstance(value, exp.Coalesce):
        return _is_weighted(value.this) and [e.sql() for e in value.expressions] == ["0"]
    if isinstance(value, exp.Case):
        chosen = [branch.args["true"] for branch in value.args["ifs"]] + [value.args.get("default")]
        decides = [value.this, *(branch.this for branch in value.args["ifs"])]
        return not any(d is not None and _has_weight(d) for d in decides) and all(
            c is None or _is_nothing(c) or _is_weighted(c) for c in chosen
        )
    return is_weight(value)


def is_weight(value: exp.Expr) -> bool:
    return isinstance(value, exp.Column) and value.name == "weight"


def _has_weight(value: exp.Expr) -> bool:
    return any(is_weight(column) for column in value.find_all(exp.Column))


def _is_nothing(value: exp.Expr) -> bool:
    return isinstance(value, exp.Null) or value.sql() == "0"


def _is_number(value: exp.Expr) -> bool:
    value = unwrapped(value)
    return isinstance(value, exp.Literal) and not value.is_string


def is_whole(value: exp.Expr) -> bool:
    inner = bare(value)
    return isinstance(inner, exp.Count) or (
        isinstance(inner, exp.Sum)
        and isinstance(cast_ := unwrapped(inner.this), exp.Cast)
        and cast_.to.this in WHOLE
    )


def is_call(value: exp.Expr, *names: str) -> bool:
    return isinstance(value, exp.Anonymous) and value.name.lower() in names


def unwrapped(value: exp.Expr) -> exp.Expr:
    while isinstance(value, exp.Paren):
        value = value.this
    return value


def bare(value: exp.Expr) -> exp.Expr:
    """An aggregate without the parentheses and the FILTER around it."""
    while isinstance(value, exp.Paren | exp.Filter):
        value = value.this
    return value
