"""Read a read-model file: what its header and its SELECT say, checked as far as one file can be by itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import cast, get_args

from sqlglot import exp

from progress_context.engine.definition import MERGED, RESERVED, Kind, MergeLaw, ReadModel, Update
from progress_context.engine.laws import check_laws, laws_of_lazy
from progress_context.engine.source import REQUIRED, Place, Source, tokens
from progress_context.errors import ReadModelError

NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
IDENTIFIER_BYTES = 63
TAKEN = frozenset({"weight", "row_id", "ctid", "oid", "tableoid", "xmin", "xmax", "cmin", "cmax"})
VOLATILE = frozenset({
    "now", "random", "random_normal", "clock_timestamp", "statement_timestamp", "transaction_timestamp",
    "timeofday", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval", "lastval", "setval", "setseed",
    "current_setting", "set_config", "pg_sleep", "txid_current", "pg_current_xact_id",
})  # fmt: skip
CLOCKS = frozenset({
    "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
    "current_user", "session_user", "current_role",
})  # fmt: skip
CLOCK_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})  # as in 'today'::date


def parse(file: str, text: str) -> ReadModel:
    """The read model that `text` defines; raises ReadModelError with everything that is wrong."""
    source = Source(file, text)
    model = read(source, text)
    if model is None or source.complaints:
        raise ReadModelError(source.complaints)
    return model


def read(source: Source, text: str) -> ReadModel | None:
    """The read model of a file, as far as it can be understood; what is wrong is left in the source."""
    for required in REQUIRED:
        if not source.header.get(required):
            source.complain("header", f"the header lacks `-- {required}: …`")
    name = _name(source)
    kind = _choice(source, "kind", get_args(Kind))
    update = _choice(source, "update", get_args(Update))
    merges = _merges(source)
    tree = source.syntax()
    if tree is None or not (name and kind and update and source.header.get("grain")):
        return None
    model = ReadModel(
        name=name,
        about=source.header.get("about", ""),
        kind=cast("Kind", kind),
        grain=tuple(_words(source.header["grain"])),
        update=cast("Update", update),
        merges=merges,
        select=source.select,
        inputs=_inputs(source, tree),
        columns=tuple(tree.named_selects),
        file=source.file,
        text=text,
    )
    _check_statement(source, tree)
    _check_columns(source, model, tree)
    _check_volatile(source, tree)
    _check_kind(source, model)
    if model.is_view:
        return model
    if not model.stored:
        return laws_of_lazy(model, tree)
    check_laws(source, model, tree)
    return model


def fingerprint(model: ReadModel, inputs: Mapping[str, str]) -> str:
    """Twelve hex digits that change when the content may: SELECT, grain, merge laws, update mode, inputs.

    Comments and white space do not count. `inputs` maps each input to what stands
    for its own content.
    """
    words = " ".join(token.text for token in tokens(model.select))
    parts = [model.kind, model.update, words, ",".join(model.grain)]
    parts += [f"{column} {law}" for column, law in sorted(model.merges.items())]
    parts += [f"{name}={inputs[name]}" for name in model.inputs]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def _name(source: Source) -> str:
    name = source.header.get("name", "")
    if name and (not NAME.match(name) or name in RESERVED):
        says = f"{name!r} is no name for a read model: lower-case letters, digits and _, at most 40"
        if name in RESERVED:
            says = f"{name!r} is no name for a read model: {', '.join(sorted(RESERVED))} are given"
        source.complain("name", says, source.word("name", name))
        return ""
    return name


def _choice(source: Source, key: str, choices: tuple[str, ...]) -> str:
    value = source.header.get(key, "")
    if value and value not in choices:
        message = f"{key} is {value!r}; it must be one of {', '.join(choices)}"
        source.complain(key, message, source.word(key, value))
        return ""
    return value


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _merges(source: Source) -> dict[str, MergeLaw]:
    merges: dict[str, MergeLaw] = {}
    for entry in _words(source.header.get("merge", "")):
        column, _, law = entry.partition(" ")
        if law.strip() in MERGED:
            merges[column] = cast("MergeLaw", law.strip())
        else:
            message = f"{entry!r}: write `column law`, law one of {', '.join(MERGED)}"
            source.complain("merge", message, source.word("merge", column))
    return merges


def _inputs(source: Source, tree: exp.Query) -> tuple[str, ...]:
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    inputs: dict[str, int] = {}
    for table in tree.find_all(exp.Table):
        if table.args.get("db"):
            message = f"{table.db}.{table.name}: name a read model, not a table"
            source.complain("inputs", message, source.node(table))
        elif isinstance(table.this, exp.Identifier) and table.name not in own:
            offset = table.this.meta.get("start", 0)
            inputs[table.name] = min(offset, inputs.get(table.name, offset))
    for cte in tree.find_all(exp.CTE):
        if cte.alias_or_name in RESERVED:
            message = f"{cte.alias_or_name!r} is an input; give this part another name"
            source.complain("inputs", message, source.node(cte.args["alias"]))
    if not inputs and not any(complaint.rule == "inputs" for complaint in source.complaints):
        source.complain("inputs", "the SELECT reads nothing", source.at(0))
    return tuple(sorted(inputs, key=lambda name: inputs[name]))


def _check_statement(source: Source, tree: exp.Query) -> None:
    """It only reads, and needs nothing but its inputs."""
    for node in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Lock):
        source.complain("one SELECT", "a read model only reads", source.node(node))
    for node in tree.find_all(exp.Parameter, exp.Placeholder):
        mark = "$" if isinstance(node, exp.Parameter) else ":" if node.this else "?"
        source.complain("one SELECT", "a read model has no parameters", source.clause(mark, node))


def _check_columns(source: Source, model: ReadModel, tree: exp.Query) -> None:
    columns = model.columns
    for number, column in enumerate(tree.selects):
        _check_column(source, column, columns[:number])
    for column in model.grain:
        if column not in columns and "*" not in columns:
            message = f"the SELECT has no column {column!r} of the grain"
            source.complain("grain", message, source.word("grain", column))
    for column in model.merges:
        if column not in columns and "*" not in columns:
            source.complain(
                "merge", f"the SELECT has no column {column!r} to merge", source.word("merge", column)
            )
        if column in model.grain:
            message = f"{column!r} is of the grain and does not merge"
            source.complain("merge", message, source.word("merge", column))
    if all(column.output_name in model.grain for column in tree.selects):
        message = "every column is of the grain: nothing would be kept"
        source.complain("grain", message, source.key("grain"))


def _check_column(source: Source, column: exp.Expr, before: tuple[str, ...]) -> None:
    name = column.output_name
    place = source.node(column.args["alias"] if isinstance(column, exp.Alias) else column)
    if column.is_star:
        place = source.clause("*", column) if isinstance(column, exp.Star) else place
        source.complain("columns", "name the columns: `*` changes when its source does", place)
    elif not _is_named(column):
        source.complain("columns", "this column has no name: give it one with AS", place)
    elif name in before:
        source.complain("columns", f"two columns are named {name!r}", place)
    elif name in TAKEN:
        source.complain("columns", f"no column can be named {name!r}: the name is taken", place)
    elif len(name.encode()) > IDENTIFIER_BYTES:
        source.complain(
            "columns", f"the name of a column has at most {IDENTIFIER_BYTES} bytes: {name!r}", place
        )


def _is_named(column: exp.Expr) -> bool:
    """Whether PostgreSQL calls a column as we do."""
    bare = column.this if isinstance(column, exp.Cast) else column
    return isinstance(bare, exp.Alias | exp.Column | exp.Dot)


def _check_volatile(source: Source, tree: exp.Query) -> None:
    """A read model gives the same answer for the same events: it may not look at clocks or dice."""
    advice = "gives another answer each time; read `asked.at` or `asked.today` in a lazy view"
    words = tokens(source.select)
    for token, following in zip(words, [*words[1:], None], strict=True):
        name = token.text.lower()
        called = following is not None and following.text == "("
        if token.token_type.name in ("STRING", "IDENTIFIER"):
            continue
        if (name in VOLATILE and called) or name in CLOCKS:
            source.complain("volatile", f"{name} {advice}", source.at(token.start))
    for cast_ in tree.find_all(exp.Cast):
        value = cast_.this
        if isinstance(value, exp.Literal) and value.is_string and value.name.strip().lower() in CLOCK_WORDS:
            source.complain("volatile", f"{value.name!r} {advice}", source.clause(value.name, cast_))


def _check_kind(source: Source, model: ReadModel) -> None:
    reads_events = "events" in model.inputs
    if model.kind == "fold" and not reads_events and model.inputs:
        source.complain("kind", "a fold reads events", source.key("kind"))
    if model.is_view and reads_events:
        message = "a view reads read models; events are for folds and rollups"
        source.complain("kind", message, input_place(source, "events"))
    if not model.is_view and "asked" in model.inputs:
        source.complain(
            "kind", "only a lazy view may read the moment asked about", input_place(source, "asked")
        )
    elif model.stored and "asked" in model.inputs:
        message = "what depends on the moment asked about must be lazy"
        source.complain("update", message, input_place(source, "asked"))
    if model.is_rollup and model.merges:
        message = "a rollup merges by sum only: old rows must cancel out"
        source.complain("linear", message, source.key("merge"))
    if model.is_rollup and "row_count" not in model.columns:
        message = "a rollup selects sum(weight) AS row_count, so that empty groups vanish"
        source.complain("linear", message, source.at(0))
    if model.is_view and not model.by_learner:
        message = "a view is computed per learner: put learner_key in its grain"
        source.complain("grain", message, source.key("grain"))


def input_place(source: Source, name: str) -> Place:
    """Where a SELECT reads an input first."""
    tree = source.syntax()
    tables = [] if tree is None else [t for t in tree.find_all(exp.Table) if t.name == name]
    return min((source.node(table) for table in tables), default=source.at(0))
