"""A read-model file that breaks a rule is refused with file, line, column and rule."""

from __future__ import annotations

import pytest

from progress_context.engine.catalog import arrange, load
from progress_context.engine.definition import Policy
from progress_context.engine.parse import parse
from progress_context.errors import ReadModelError

HEADER = "-- name: a\n-- kind: {kind}\n-- grain: learner_key\n-- update: {update}\n"
FOLD = HEADER.format(kind="fold", update="realtime")
ROLLUP = HEADER.format(kind="rollup", update="realtime")
VIEW = HEADER.format(kind="view", update="lazy")
COUNT = "SELECT learner_key, count(*) AS n FROM events GROUP BY learner_key\n"


def test_a_sound_file_becomes_a_read_model() -> None:
    model = parse("a.sql", FOLD + "-- merge: first_at min,\n--        last_at max\n" + COUNT.replace(
        "count(*) AS n", "min(occurred_at) AS first_at, max(occurred_at) AS last_at"
    ))  # fmt: skip
    assert (model.name, model.kind, model.grain, model.inputs) == ("a", "fold", ("learner_key",), ("events",))
    assert model.merges == {"first_at": "min", "last_at": "max"}
    assert model.law("anything else") == "sum"


@pytest.mark.parametrize(
    ("text", "line", "column", "rule", "says"),
    [
        ("SELECT 1", 1, 1, "header", "lacks `-- name"),
        (FOLD.replace("-- grain: learner_key\n", "") + COUNT, 1, 1, "header", "lacks `-- grain"),
        (FOLD + "-- colour: red\n" + COUNT, 5, 4, "header", "unknown header key 'colour'"),
        (FOLD.replace("name: a", "name: A-b") + COUNT, 1, 1, "name", "is no name"),
        (FOLD.replace("name: a", "name: events") + COUNT, 1, 1, "name", "is no name"),
        (FOLD.replace("fold", "heap") + COUNT, 2, 1, "kind", "fold, rollup, view"),
        (FOLD.replace("realtime", "soon") + COUNT, 4, 1, "update", "realtime, batch, lazy"),
        (FOLD + "SELEKT 1", 5, None, None, ""),
        (FOLD + "SELECT learner_key, FROM WHERE", 5, None, "syntax", ""),
        (FOLD + "SELECT learner_key, 'open", 5, None, "syntax", ""),
        (FOLD + COUNT + "; " + COUNT, 5, 1, "one SELECT", "one SELECT"),
        (FOLD + "DELETE FROM events", 5, 1, "one SELECT", "one SELECT"),
        (FOLD.replace("grain: learner_key", "grain: day") + COUNT, 3, 1, "grain", "no column 'day'"),
        (FOLD + "SELECT learner_key FROM events GROUP BY learner_key", 3, 1, "grain", "nothing would be kept"),
        (FOLD + "-- merge: n product\n" + COUNT, 5, 1, "merge", "law one of sum, min"),
        (FOLD + "-- merge: m min\n" + COUNT, 5, 1, "merge", "no column 'm'"),
        (FOLD + "-- merge: learner_key min\n" + COUNT, 5, 1, "merge", "is of the grain"),
        (FOLD + COUNT.replace("events", "log.events"), 5, 44, "inputs", "log.events: name a read model"),
        (FOLD + "SELECT 1 AS learner_key, 2 AS n", 5, 1, "inputs", "reads nothing"),
        (FOLD + "\n" + COUNT.replace("count(*)", "max(now())"), 6, 25, "volatile", "asked.at"),
        (FOLD + COUNT.replace("count(*)", "max(random())"), 5, 25, "volatile", "random"),
        (FOLD + COUNT.replace("count(*)", "max(current_date)"), 5, 25, "volatile", "current_date"),
        (FOLD + COUNT.replace("FROM events", "FROM other"), 2, 1, "kind", "a fold reads events"),
        (VIEW + COUNT, 5, 40, "kind", "a view reads read models"),
        (VIEW.replace("grain: learner_key", "grain: n") + COUNT.replace("events", "other"), 3, 1, "grain", "per learner"),
        (ROLLUP + "-- merge: n min\n" + COUNT, 5, 1, "linear", "sum only"),
        (ROLLUP + COUNT, 5, 1, "linear", "row_count"),
        (FOLD + COUNT.replace("count(*) AS n", "*"), 5, None, "columns", "name the columns"),
        (FOLD + COUNT.replace("count(*) AS n", "1 AS n, 2 AS n"), 5, None, "columns", "two columns"),
        (FOLD + COUNT.replace("FROM events", "FROM events CROSS JOIN asked"), 5, 58, "kind", "only a lazy view"),
        (VIEW.replace("lazy", "realtime") + COUNT.replace("events", "other, asked"), 5, 47, "update", "must be lazy"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_named_at_its_place(
    text: str, line: int, column: int | None, rule: str | None, says: str
) -> None:
    with pytest.raises(ReadModelError) as refusal:
        parse("a.sql", text)
    error = refusal.value
    assert error.file == "a.sql"
    assert error.line == line
    assert column is None or error.column == column
    assert rule is None or error.rule == rule
    assert says in error.message


def fold(name: str, select: str = COUNT, header: str = FOLD) -> str:
    return header.replace("name: a", f"name: {name}") + select


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([fold("a"), fold("a")], "already defined"),
        ([fold("a", COUNT.replace("events", "b"), VIEW)], "no read model 'b'"),
        ([fold("a", COUNT.replace("events", "events, b")), fold("b")], "reads events only"),
        (
            [
                fold("a", COUNT.replace("events", "b"), VIEW),
                fold("b", COUNT.replace("events", "c"), VIEW),
                fold("c", COUNT.replace("events", "a"), VIEW),
            ],
            "in a circle",
        ),
        (
            [
                fold(
                    "a",
                    COUNT.replace("count(*) AS n", "sum(weight) AS row_count").replace("events", "b"),
                    ROLLUP,
                ),
                fold("b", COUNT.replace("events", "c"), VIEW),
                fold("c"),
            ],
            "is a view",
        ),
        (
            [
                fold("a", COUNT.replace("events", "b"), VIEW.replace("lazy", "realtime")),
                fold("b", COUNT.replace("events", "c"), VIEW),
                fold("c"),
            ],
            "is lazy",
        ),
    ],
    ids=["twice", "missing", "fold of fold", "circle", "rollup of view", "stored of lazy"],
)
def test_read_models_that_do_not_fit_together_are_refused(texts: list[str], says: str) -> None:
    parsed = [parse(f"{number}.sql", text) for number, text in enumerate(texts)]
    with pytest.raises(ReadModelError, match=says):
        arrange(parsed, Policy())


def fingerprint_of(text: str, policy: Policy | None = None) -> str:
    return arrange([parse("a.sql", text)], policy or Policy())["a"].fingerprint


def test_the_fingerprint_stands_for_the_content_and_nothing_else() -> None:
    base = fingerprint_of(FOLD + COUNT)
    assert fingerprint_of(FOLD + "-- about: words\n" + COUNT.replace(" ", "\n  ")) == base
    assert fingerprint_of(FOLD + COUNT.replace("FROM", "/* why */ FROM")) == base
    assert fingerprint_of(FOLD.replace("realtime", "batch") + COUNT) == base
    assert fingerprint_of(FOLD + COUNT.replace("count(*)", "count(learner_key)")) != base
    assert fingerprint_of(FOLD + "-- merge: n max\n" + COUNT) != base


def test_a_changed_policy_changes_only_what_reads_it() -> None:
    strict, graceful = load(policy=Policy()), load(policy=Policy(streak_grace=True))
    changed = {m.name for m in strict if m.fingerprint != graceful[m.name].fingerprint}
    assert "streak_runs" in changed
    assert "item_progress" not in changed


def test_inputs_come_before_what_reads_them() -> None:
    order = [model.name for model in load()]
    for model in load():
        for name in model.inputs:
            if name in order:
                assert order.index(name) < order.index(model.name)
