"""Parse and check a read-model file. Every complaint names file, line, column and rule."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import NoReturn, cast, get_args

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from progress_context.engine.definition import RESERVED, Kind, MergeLaw, ReadModel, Update
from progress_context.errors import ReadModelError

HEADER = re.compile(r"^--\s*(?:(?P<key>[a-z]+):)?\s*(?P<value>.*?)\s*$")
NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
REQUIRED = ("name", "kind", "grain", "update")
KEYS = (*REQUIRED, "about", "merge")
VOLATILE = frozenset({
    "now", "random", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday",
    "gen_random_uuid", "nextval", "current_setting", "setseed",
})  # fmt: skip
CLOCKS = frozenset({"current_timestamp", "current_date", "current_time", "localtime", "localtimestamp"})


class _File:
    """The text of one file and where in it we are; knows how to complain."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.header: dict[str, str] = {}
        self.header_line: dict[str, int] = {}
        self.first_line_of_select = 0

    def refuse(self, rule: str, message: str, *, line: int = 1, column: int = 1) -> NoReturn:
        raise ReadModelError(self.file, line, column, rule, message)

    def refuse_key(self, key: str, rule: str, message: str) -> NoReturn:
        self.refuse(rule, message, line=self.header_line.get(key, 1))

    def refuse_at(self, fragment: str, rule: str, message: str) -> NoReturn:
        """Complain about the first place in the SELECT where `fragment` stands as a word."""
        pattern = re.compile(rf"(?<!\w){re.escape(fragment)}(?!\w)", re.IGNORECASE)
        for number, text in enumerate(self.lines[self.first_line_of_select :]):
            if found := pattern.search(text.split("--")[0]):
                line = self.first_line_of_select + number + 1
                self.refuse(rule, message, line=line, column=found.start() + 1)
        self.refuse(rule, message, line=self.first_line_of_select + 1)


def parse(file: str, text: str) -> ReadModel:
    """The read model that `text` defines; raises ReadModelError at the first broken rule."""
    source = _File(file, text)
    _read_header(source)
    select = "\n".join(source.lines[source.first_line_of_select :]).strip().rstrip(";").rstrip()
    tree = _parse_select(source, select)
    model = ReadModel(
        name=_name(source),
        about=source.header.get("about", ""),
        kind=cast("Kind", _choice(source, "kind", get_args(Kind))),
        grain=tuple(_words(source.header["grain"])),
        update=cast("Update", _choice(source, "update", get_args(Update))),
        merges=_merges(source),
        select=select,
        inputs=_inputs(source, tree),
        columns=tuple(tree.named_selects),
        file=file,
    )
    _check_columns(source, model, tree)
    _check_volatile(source, select)
    _check_kind(source, model, tree)
    return model


def fingerprint(model: ReadModel, inputs: Mapping[str, str]) -> str:
    """Twelve hex digits that change when the content may: SELECT, grain, merge laws, update mode, inputs.

    Comments and white space do not count. `inputs` maps each input to what stands
    for its own content.
    """
    tokens = " ".join(token.text for token in sqlglot.tokenize(model.select, read="postgres"))
    parts = [model.kind, model.update, tokens, ",".join(model.grain)]
    parts += [f"{column} {law}" for column, law in sorted(model.merges.items())]
    parts += [f"{name}={inputs[name]}" for name in model.inputs]
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def _read_header(source: _File) -> None:
    key = ""
    for number, text in enumerate(source.lines):
        if not text.startswith("--"):
            if text.strip():
                source.first_line_of_select = number
                break
            continue
        found = HEADER.match(text)
        if found is None:
            continue
        if found["key"]:
            key = found["key"]
            if key not in KEYS:
                message = f"unknown header key {key!r}; the keys are {', '.join(KEYS)}"
                source.refuse("header", message, line=number + 1, column=4)
            source.header[key] = found["value"]
            source.header_line[key] = number + 1
        elif key:
            source.header[key] += " " + found["value"]
    for required in REQUIRED:
        if not source.header.get(required):
            source.refuse("header", f"the header lacks `-- {required}: …`")


def _parse_select(source: _File, select: str) -> exp.Query:
    try:
        trees = sqlglot.parse(select, read="postgres")
    except ParseError as error:
        where = error.errors[0] if error.errors else {}
        line = source.first_line_of_select + int(where.get("line") or 1)
        column = int(where.get("col") or 1)
        source.refuse("syntax", str(where.get("description", error)), line=line, column=column)
    except TokenError as error:
        source.refuse("syntax", str(error), line=source.first_line_of_select + 1)
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        source.refuse("one SELECT", "a read model is one SELECT", line=source.first_line_of_select + 1)
    return trees[0]


def _name(source: _File) -> str:
    name = source.header["name"]
    if not NAME.match(name) or name in RESERVED:
        source.refuse_key(
            "name", "name", f"{name!r} is no name: lower-case letters, digits and _, at most 40"
        )
    return name


def _choice(source: _File, key: str, choices: tuple[str, ...]) -> str:
    value = source.header[key]
    if value not in choices:
        source.refuse_key(key, key, f"{key} is {value!r}; it must be one of {', '.join(choices)}")
    return value


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _merges(source: _File) -> dict[str, MergeLaw]:
    merges: dict[str, MergeLaw] = {}
    for entry in _words(source.header.get("merge", "")):
        column, _, law = entry.partition(" ")
        if law not in get_args(MergeLaw):
            laws = ", ".join(get_args(MergeLaw))
            source.refuse_key("merge", "merge", f"{entry!r}: write `column law`, law one of {laws}")
        merges[column] = cast("MergeLaw", law)
    return merges


def _inputs(source: _File, tree: exp.Query) -> tuple[str, ...]:
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    inputs: dict[str, None] = {}
    for table in tree.find_all(exp.Table):
        if table.db:
            name = f"{table.db}.{table.name}"
            source.refuse_at(table.name, "inputs", f"{name}: name a read model, not a table")
        if isinstance(table.this, exp.Identifier) and table.name not in own:
            inputs[table.name] = None
    if not inputs:
        source.refuse("inputs", "the SELECT reads nothing", line=source.first_line_of_select + 1)
    return tuple(inputs)


def _check_columns(source: _File, model: ReadModel, tree: exp.Query) -> None:
    columns = model.columns
    if "*" in columns:
        source.refuse_at("*", "columns", "name the columns: `*` changes when its source does")
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        source.refuse_at(twice[0], "columns", f"two columns are named {twice[0]!r}")
    for column in model.grain:
        if column not in columns:
            source.refuse_key("grain", "grain", f"the SELECT has no column {column!r} of the grain")
    for column in model.merges:
        if column not in columns:
            source.refuse_key("merge", "merge", f"the SELECT has no column {column!r} to merge")
        if column in model.grain:
            source.refuse_key("merge", "merge", f"{column!r} is of the grain and does not merge")
    if len(columns) == len(model.grain):
        source.refuse_key("grain", "grain", "every column is of the grain: nothing would be kept")


def _check_volatile(source: _File, select: str) -> None:
    """A read model gives the same answer for the same events: it may not look at clocks or dice."""
    tokens = sqlglot.tokenize(select, read="postgres")
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        name = token.text.lower()
        called = following is not None and following.text == "("
        if token.token_type.name != "STRING" and ((name in VOLATILE and called) or name in CLOCKS):
            source.refuse_at(
                name, "volatile", f"{name} gives another answer each time; read `asked.at` or `asked.today`"
            )


def _check_kind(source: _File, model: ReadModel, tree: exp.Query) -> None:
    reads_events = "events" in model.inputs
    if model.kind == "fold" and not reads_events:
        source.refuse_key("kind", "kind", "a fold reads events")
    if model.kind == "view" and reads_events:
        source.refuse_at("events", "kind", "a view reads read models; events are for folds and rollups")
    if model.kind != "view" and "asked" in model.inputs:
        source.refuse_at("asked", "kind", "only a lazy view may read the moment asked about")
    if model.kind == "view" and "learner_key" not in model.grain:
        source.refuse_key("grain", "grain", "a view is computed per learner: put learner_key in its grain")
    if model.kind == "rollup" and model.merges:
        source.refuse_key("merge", "linear", "a rollup merges by sum only: old rows must cancel out")
    if model.kind == "rollup" and "row_count" not in tree.named_selects:
        source.refuse(
            "linear", "a rollup selects sum(weight) AS row_count, so that empty groups vanish",
            line=source.first_line_of_select + 1,
        )  # fmt: skip
    if model.update != "lazy" and "asked" in model.inputs:
        source.refuse_at("asked", "update", "what depends on the moment asked about must be lazy")
