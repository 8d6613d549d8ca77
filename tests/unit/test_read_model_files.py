"""A read-model file that breaks a rule is refused with file, line, column and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from progress_context.engine.catalog import arrange, assemble, load
from progress_context.engine.columns import given_columns
from progress_context.engine.definition import Policy
from progress_context.engine.parse import parse
from progress_context.errors import Complaint, ReadModelError

HEADER = "-- name: a\n-- kind: {kind}\n-- grain: learner_key\n-- update: {update}\n"
FOLD = HEADER.format(kind="fold", update="realtime")
LAZY_FOLD = HEADER.format(kind="fold", update="lazy")
ROLLUP = HEADER.format(kind="rollup", update="realtime")
VIEW = HEADER.format(kind="view", update="lazy")
STORED_VIEW = HEADER.format(kind="view", update="realtime")
COUNT = "SELECT learner_key, count(*) AS n FROM events GROUP BY learner_key\n"
SUM = "SELECT learner_key, sum(weight) AS row_count FROM events GROUP BY learner_key\n"
HERE = "‸"  # in a test's text: a complaint is expected at what follows


def complaints(*texts: str) -> list[Complaint]:
    """What is wrong with files, beside read models that are sound: `days`, `items`, `shelf`, `looks`."""
    files = {f"{number}.sql": text for number, text in enumerate(texts)}
    try:
        assemble(files | SOUND, Policy())
    except ReadModelError as error:
        return list(error.complaints)
    return []


def sound(name: str, grain: str, select: str, kind: str = "fold", update: str = "realtime") -> str:
    return f"-- name: {name}\n-- kind: {kind}\n-- grain: {grain}\n-- update: {update}\n{select}"


SOUND = {
    "days.sql": sound("days", "learner_key, learning_day", COUNT.replace("learner_key", "learner_key, learning_day")),
    "items.sql": sound(
        "items", "learner_key, item_id",
        "SELECT learner_key, data->>'item_id' AS item_id, count(*) AS n FROM events GROUP BY learner_key, item_id",
    ),
    "shelf.sql": sound(
        "shelf", "item_id",
        "SELECT data->>'item_id' AS item_id, count(*) AS editions FROM events GROUP BY item_id",
    ),
    "latest.sql": sound(
        "latest", "learner_key",
        "SELECT learner_key, max(data->>'item_id') AS item_id FROM events GROUP BY learner_key",
    ).replace("SELECT", "-- merge: item_id max\nSELECT"),
    "shelves.sql": sound(
        "shelves", "editions",
        "SELECT editions, sum(weight) AS row_count FROM shelf GROUP BY editions", "rollup",
    ),
    "slow.sql": sound("slow", "learner_key", COUNT, update="batch"),
    "looks.sql": sound("looks", "learner_key", "SELECT learner_key, max(n) AS most FROM days GROUP BY learner_key", "view", "lazy"),
}  # fmt: skip


def test_a_sound_file_becomes_a_read_model() -> None:
    model = parse("a.sql", FOLD + "-- merge: first_at min,\n--        last_at max\n" + COUNT.replace(
        "count(*) AS n", "min(occurred_at) AS first_at, max(occurred_at) AS last_at"
    ))  # fmt: skip
    assert (model.name, model.kind, model.grain, model.inputs) == ("a", "fold", ("learner_key",), ("events",))
    assert model.merges == {"first_at": "min", "last_at": "max"}
    assert model.law("anything else") == "sum"
    assert complaints() == []


def check(text: str, rule: str, says: str) -> None:
    """The complaints about a file are at its marks, all of one rule; the first says this."""
    lines = [line.split(HERE) for line in text.split("\n")]
    places = [
        (number, sum(map(len, pieces[: i + 1])) + 1)
        for number, pieces in enumerate(lines, 1)
        for i in range(len(pieces) - 1)
    ]
    found = complaints(text.replace(HERE, ""))
    assert [(c.line, c.column) for c in found] == places, found
    assert {(c.file, c.rule) for c in found} == {("0.sql", rule)}, found
    assert says in found[0].message


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        (f"{HERE}-- name: a\n-- kind: fold\n-- update: lazy\n{COUNT}", "header", "lacks `-- grain"),
        (FOLD + f"-- {HERE}colour: red\n" + COUNT, "header", "unknown header key 'colour'"),
        (FOLD + f"-- {HERE}kind: fold\n" + COUNT, "header", "a second"),
        (FOLD.replace("name: a", f"name: {HERE}A-b") + COUNT, "name", "lower-case"),
        (FOLD.replace("name: a", f"name: {HERE}events") + COUNT, "name", "asked, events, policy are given"),
        (FOLD.replace("fold", f"{HERE}heap") + COUNT, "kind", "fold, rollup, view"),
        (FOLD.replace("realtime", f"{HERE}soon") + COUNT, "update", "realtime, batch, lazy"),
        (FOLD + f"SELEKT {HERE}1", "syntax", "unexpected '1'"),
        (FOLD + f"SELECT learner_key, FROM {HERE}WHERE", "syntax", "unexpected"),
        (FOLD + f"SELECT (a {HERE}FROM x", "syntax", "Expecting )"),
        (FOLD + f"SELECT 'ö',\n 'it''s', {HERE}'open", "syntax", "never closed"),
        (FOLD + f"SELECT 1 {HERE}/* open", "syntax", "never closed"),
        (FOLD + HERE + COUNT + "; " + COUNT, "one SELECT", "one SELECT"),
        (FOLD + HERE + "DELETE FROM events", "one SELECT", "one SELECT"),
        (FOLD + f"WITH d AS (DELETE FROM {HERE}events RETURNING id) " + COUNT, "one SELECT", "only reads"),
        (FOLD + COUNT.replace("events", f"events WHERE position > {HERE}$1"), "one SELECT", "parameters"),
        (FOLD.replace("grain: learner_key", f"grain: learner_key, {HERE}day") + COUNT, "grain", "no column 'day'"),
        (FOLD.replace("-- grain", f"{HERE}-- grain") + "SELECT learner_key FROM events GROUP BY learner_key", "grain", "nothing would be kept"),
        (FOLD + f"-- merge: {HERE}n product\n" + COUNT, "merge", "law one of sum, min"),
        (FOLD + f"-- merge: {HERE}n none\n" + COUNT, "merge", "law one of sum, min"),
        (FOLD + f"-- merge: n sum,\n--   {HERE}m min\n" + COUNT, "merge", "no column 'm'"),
        (FOLD + f"-- merge: {HERE}learner_key min\n" + COUNT, "merge", "is of the grain"),
        (FOLD + COUNT.replace("events", f"{HERE}log.events"), "inputs", "log.events: name a read model"),
        (FOLD + f"WITH {HERE}policy AS (SELECT 1 AS x) " + COUNT, "inputs", "another name"),
        (FOLD + "\n" + COUNT.replace("count(*)", f"sum(extract(year FROM {HERE}now()))"), "volatile", "asked.at"),
        (FOLD + COUNT.replace("count(*)", f"sum({HERE}random()::numeric)"), "volatile", "random"),
        (FOLD + COUNT.replace("events", f"events WHERE learning_day < {HERE}current_date"), "volatile", "current_date"),
        (FOLD + COUNT.replace("events", f"events WHERE learning_day < {HERE}'today'::date"), "volatile", "'today'"),
        (VIEW + COUNT.replace("events", f"{HERE}events"), "kind", "a view reads read models"),
        (VIEW.replace("-- grain: learner_key", f"{HERE}-- grain: n") + COUNT.replace("events", "days"), "grain", "per learner"),
        (ROLLUP + f"{HERE}-- merge: row_count sum\n" + SUM, "linear", "sum only"),
        (ROLLUP + HERE + SUM.replace("row_count", "n"), "linear", "row_count"),
        (STORED_VIEW + f"SELECT days.learner_key, {HERE}days.* FROM days", "columns", "name the columns"),
        (STORED_VIEW + "SELECT days.learner_key, 1 AS n, 2 AS " + HERE + "n FROM days", "columns", "two columns"),
        (STORED_VIEW + f"SELECT learner_key, {HERE}max(n) FROM days GROUP BY learner_key", "columns", "no name"),
        (STORED_VIEW + f"SELECT learner_key, n AS {HERE}weight FROM days", "columns", "is taken"),
        (STORED_VIEW + f"SELECT learner_key, n AS {HERE}{'n' * 64} FROM days", "columns", "63 bytes"),
        (FOLD + COUNT.replace("FROM events", f"FROM events CROSS JOIN {HERE}asked"), "kind", "only a lazy view"),
        (STORED_VIEW + f"SELECT learner_key, n FROM days, {HERE}asked", "update", "must be lazy"),
    ],
)  # fmt: skip
def test_each_broken_rule_of_a_file_is_named_at_its_place(text: str, rule: str, says: str) -> None:
    check(text, rule, says)


MERGE_X = "-- merge: x {law}\n"


@pytest.mark.parametrize(
    ("law", "column", "says"),
    [
        ("", f"{HERE}avg(position) AS x", "keep the sum and the count"),
        ("", f"{HERE}avg(position) FILTER (WHERE zone IS NULL) AS x", "keep the sum and the count"),
        ("", f"{HERE}count(DISTINCT source) AS x", "part of the grain, and count its rows"),
        ("", f"{HERE}sum(DISTINCT position) AS x", "part of the grain"),
        ("", f"{HERE}array_agg(source) AS x", "a list has no law"),
        ("", f"string_agg({HERE}source, ',') AS x", "a list has no law"),
        ("", f"{HERE}jsonb_agg(data) AS x", "a list has no law"),
        ("", f"{HERE}sum(position) / count(*) AS x", "compute where they are read"),
        ("", f"{HERE}round(sum(position)) AS x", "compute where they are read"),
        ("", f"{HERE}sum(position) + count(*) AS x", "compute where they are read"),
        ("", f"{HERE}coalesce(sum(position), 1) AS x", "compute where they are read"),
        ("", f"{HERE}stddev(position) AS x", "only count, sum, min, max"),
        ("", f"{HERE}upper('x') AS x", "it is no aggregate"),
        ("", f"{HERE}min(occurred_at) AS x", "say `-- merge: x min`"),
        ("", f"{HERE}max(occurred_at) AS x", "say `-- merge: x max`"),
        ("", f"{HERE}max(stamp(occurred_at, position, data)) AS x", "say `-- merge: x last`"),
        ("", f"{HERE}bool_or(true) AS x", "say `-- merge: x max`"),
        ("", f"{HERE}range_agg(tstzrange(occurred_at, occurred_at)) AS x", "say `-- merge: x union`"),
        ("", f"{HERE}sum((data->>'cost')::float8) AS x", "cast to numeric"),
        ("", f"{HERE}sum(position)::int AS x", "write sum((…)::int)"),
        ("min", "max(occurred_at) AS x", "must be a min"),
        ("sum", "max(occurred_at) AS x", "must be a count or sum"),
        ("last", "max(data->>'level') AS x", "must be a max of stamp("),
        ("first", "max(stamp(occurred_at, position, data)) AS x", "must be a min of stamp("),
        ("union", "count(*) AS x", "must be a range_agg"),
    ],
)  # fmt: skip
def test_a_stored_fold_keeps_only_what_merges_by_its_law(law: str, column: str, says: str) -> None:
    mark = "" if HERE in column else HERE
    merge = MERGE_X.format(law=law).replace("x", f"{mark}x") if law else ""
    check(FOLD + merge + COUNT.replace("count(*) AS n", column), "merge", says)


@pytest.mark.parametrize(
    ("law", "column"),
    [
        ("", "count(*) FILTER (WHERE zone IS NULL) AS x"),
        ("", "10 * count(*) AS x"),
        ("", "-coalesce(sum(position), 0) + 2 * count(zone) AS x"),
        ("", "count(*)::int AS x"),
        ("", "sum(position::int)::int AS x"),
        ("", "sum(position)::numeric AS x"),
        ("", "sum(round((data->>'cost')::float8)::int) AS x"),
        ("min", "min(occurred_at) FILTER (WHERE zone IS NULL) AS x"),
        ("max", "max(stamp(occurred_at, position, data)) AS x"),
        ("max", "bool_or(zone IS NULL) AS x"),
        ("min", "every(zone IS NULL) AS x"),
        ("last", "max(stamp(occurred_at, position, data)) FILTER (WHERE zone IS NULL) AS x"),
        ("union", "range_agg(tstzrange(occurred_at, occurred_at)) AS x"),
    ],
)
def test_what_merges_is_accepted(law: str, column: str) -> None:
    merge = MERGE_X.format(law=law) if law else ""
    assert complaints(FOLD + merge + COUNT.replace("count(*) AS n", column)) == []


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (COUNT + f"{HERE}HAVING count(*) > 1", "no HAVING"),
        (COUNT + f"{HERE}ORDER BY 1", "no ORDER BY"),
        (COUNT + f"{HERE}LIMIT 5 {HERE}OFFSET 1", "no LIMIT"),
        (COUNT.replace("SELECT", f"SELECT {HERE}DISTINCT"), "no DISTINCT"),
        (COUNT.replace("count(*)", f"{HERE}sum(count(*)) OVER ()"), "no window"),
        (f"{HERE}{COUNT}UNION ALL {COUNT}", "one grouped SELECT"),
        (f"WITH e AS (SELECT learner_key FROM events {HERE}LIMIT 9) " + COUNT.replace("events", "e"), "no LIMIT"),
        (f"WITH e AS (SELECT learner_key, {HERE}row_number() OVER () AS r FROM events) " + COUNT.replace("events", "e"), "no window"),
        (f"WITH e AS (SELECT learner_key FROM events GROUP BY {HERE}learner_key) " + COUNT.replace("events", "e"), "groups once"),
        (f"WITH e AS (SELECT {HERE}max(learner_key) AS learner_key FROM events) " + COUNT.replace("events", "e"), "groups once"),
        (f"WITH e AS (SELECT learner_key FROM events {HERE}UNION SELECT learner_key FROM events) " + COUNT.replace("events", "e"), "UNION ALL only"),
        (COUNT.replace("learner_key", "e.learner_key").replace("events", f"events AS e JOIN {HERE}events AS f ON f.id = e.id"), "pairs no rows"),
        (COUNT.replace("events", f"events WHERE position > (SELECT {HERE}position FROM events AS f WHERE f.id = 'x')"), "pairs no rows"),
        ("WITH e AS (SELECT learner_key, id FROM events) " + COUNT.replace("learner_key", "e.learner_key").replace("events", f"e JOIN {HERE}e AS f ON f.id = e.id"), "pairs no rows"),
        (COUNT.replace("events", f"policy LEFT JOIN {HERE}events ON true"), "outer side"),
        (COUNT.replace("events", f"events RIGHT JOIN {HERE}policy ON true"), "outer side"),
    ],
)  # fmt: skip
def test_a_stored_fold_takes_each_event_by_itself(select: str, says: str) -> None:
    check(FOLD + select, "merge", says)


@pytest.mark.parametrize("step", [
    "SELECT learner_key FROM events WHERE type = 'a' UNION ALL SELECT learner_key FROM events WHERE type = 'b'",
    "SELECT learner_key, (SELECT max(x::text) FROM jsonb_array_elements(data->'x') AS x) AS y FROM events LEFT JOIN policy ON true",
    "SELECT learner_key FROM events CROSS JOIN LATERAL (SELECT DISTINCT x FROM unnest(ARRAY[1]) AS x ORDER BY x LIMIT 1) AS l",
])  # fmt: skip
def test_a_step_may_look_into_its_own_row(step: str) -> None:
    assert complaints(FOLD + f"WITH e AS ({step}) " + COUNT.replace("events", "e")) == []


def test_a_lazy_fold_never_merges_and_may_be_anything() -> None:
    text = LAZY_FOLD + (
        "SELECT learner_key, avg(position) AS mean, max(type) AS greatest, count(*) AS n, sum(count(*)) OVER () AS share,"
        " 10 * sum(position) AS total FROM events GROUP BY learner_key HAVING count(*) > 1 ORDER BY 2 LIMIT 5"
    )
    assert complaints(text) == []
    model = parse("a.sql", text)
    assert [model.law(c) for c in model.values] == ["none", "none", "sum", "none", "sum"]


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("", None),
        (f" GROUP BY learner_key, {HERE}zone", "not of it"),
        (f" GROUP BY learner_key, {HERE}learning_day", "not of it"),
        (f" {HERE}GROUP BY zone", None),
        (f" {HERE}GROUP BY ROLLUP ({HERE}learner_key)", "lacks 'learner_key'"),
    ],
)
def test_a_stored_fold_groups_by_its_grain(group: str, says: str | None) -> None:
    found = complaints(FOLD + COUNT.replace(" GROUP BY learner_key\n", group.replace(HERE, "")))
    assert {c.rule for c in found} == {"grain"}
    if says is not None:
        check(FOLD + COUNT.replace(" GROUP BY learner_key\n", group), "grain", says)


@pytest.mark.parametrize("group", ["1", "learner_key", "e.learner_key", "1, (data->>'x')", "1, x", "1, 2"])
def test_the_grain_is_found_by_name_by_number_and_written_out(group: str) -> None:
    header = FOLD.replace("learner_key", "learner_key, x") if "," in group else FOLD
    x = "(data->>'x')" if "(" in group else "data->>'x'"
    columns = f"e.learner_key, {x} AS x, " if "," in group else "learner_key, "
    assert complaints(header + f"SELECT {columns}count(*) AS n FROM events AS e GROUP BY {group}") == []


def test_a_name_in_group_by_is_first_the_inputs_column() -> None:
    text = FOLD.replace("grain: learner_key", "grain: learner_key, zone") + COUNT.replace(
        "learner_key, count", "learner_key, upper(zone) AS zone, count"
    ).replace("BY learner_key", f"BY learner_key, {HERE}zone")
    check(text, "columns", "means the column of the input")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (f"{HERE}count(*) AS x", "write sum(weight)"),
        (f"{HERE}sum(n) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(weight + n) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(weight * weight) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(n / weight) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(abs(weight) * n) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(CASE WHEN weight > 0 THEN weight ELSE 0 END) AS x", "write sum(weight * …)"),
        (f"{HERE}sum(DISTINCT weight * n) AS x", "write sum(weight * …)"),
        (f"{HERE}min(n) AS x", "only sums can take a row back"),
        (f"{HERE}avg(n) AS x", "only sums can take a row back"),
        (f"{HERE}upper('x') AS x", "aggregate it"),
        (f"sum(weight) FILTER (WHERE {HERE}weight > 0) AS x", "the weight may decide nothing"),
        (f"{HERE}sum(n * weight * 2.5::float8) AS x", "cast to numeric"),
        (f"{HERE}sum(n * weight)::int AS x", "write sum((…)::int)"),
    ],
)
def test_a_stored_rollup_is_linear_in_the_weight(column: str, says: str) -> None:
    text = ROLLUP + SUM.replace("AS row_count", f"AS row_count, {column}").replace("events", "days")
    check(text, "merge" if says in ("cast to numeric", "write sum((…)::int)") else "linear", says)


@pytest.mark.parametrize("column", [
    "sum(weight * n)", "sum(-n * weight)", "sum(weight) FILTER (WHERE n > 1)", "sum(weight * n / 1000)",
    "sum(CASE WHEN n > 1 THEN weight * n WHEN n > 0 THEN 0 END)", "2 * sum((weight * n)::int)::int",
    "sum(coalesce(weight * n, 0))", "sum(days.weight * (n > 1)::int)", "coalesce(sum(weight - weight * n), 0)",
])  # fmt: skip
def test_what_is_linear_is_accepted(column: str) -> None:
    assert (
        complaints(
            ROLLUP + SUM.replace("AS row_count", f"AS row_count, {column} AS x").replace("events", "days")
        )
        == []
    )


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (SUM.replace("sum(weight)", f"{HERE}sum(weight * n)").replace("events", "days"), "row_count is sum(weight)"),
        (SUM.replace("events", f"days WHERE {HERE}weight > 0"), "may decide nothing"),
        (f"WITH d AS (SELECT learner_key, {HERE}1 AS weight FROM days) " + SUM.replace("events", "d"), "hand the weight"),
        (f"WITH d (learner_key, weight) AS (SELECT learner_key, weight FROM days UNION ALL SELECT learner_key, {HERE}weight * 2 FROM days) "
         + SUM.replace("events", "d"), "hand the weight"),
        (SUM.replace("learner_key", "days.learner_key").replace("weight", "days.weight").replace("events", f"days JOIN {HERE}items ON true"), "pairs no rows"),
        (SUM.replace("events", "days") + f"{HERE}HAVING true", "no HAVING"),
    ],
)  # fmt: skip
def test_a_stored_rollup_adds_up_weighted_rows_and_nothing_else(select: str, says: str) -> None:
    check(ROLLUP + select, "linear", says)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ([FOLD + COUNT, FOLD + COUNT], "already defined in 0.sql"),
        ([VIEW + COUNT.replace("events", "dayz")], "no read model 'dayz'; there are"),
        ([VIEW + COUNT.replace("events", "dayz")], "did you mean 'days'?"),
        ([FOLD + COUNT.replace("events", "events, days")], "reads events only, not 'days'"),
        ([VIEW + "SELECT learner_key, n FROM a"], "in a circle: a → a"),
        ([ROLLUP + SUM.replace("events", "looks")], "'looks' is a view"),
        ([STORED_VIEW + "SELECT learner_key, most FROM looks"], "'looks' is lazy"),
        ([STORED_VIEW.replace("realtime", "batch") + "SELECT learner_key, most FROM looks"], "'looks' is lazy"),
        ([STORED_VIEW + "SELECT learner_key, n FROM slow"], "'slow' is kept in batches"),
        ([ROLLUP + SUM.replace("events", "slow")], "'slow' is kept in batches"),
        ([STORED_VIEW + "SELECT learner_key, editions FROM days CROSS JOIN shelf"], "has its grain (item_id)"),
        ([STORED_VIEW + "SELECT learner_key, s.row_count FROM days CROSS JOIN shelves AS s"], "is no fold"),
        ([ROLLUP.replace("realtime", "batch") + SUM], "a rollup (batch) computes learners anew"),
        (
            [ROLLUP + "WITH e AS (SELECT learner_key, weight FROM events UNION ALL SELECT learner_key, i.weight"
             " FROM items AS i JOIN shelf USING (item_id)) " + SUM.replace("events", "e")],
            "a rollup (with a lookup) computes learners anew",
        ),
        ([ROLLUP.replace("learner_key", "n") + "SELECT n, sum(weight) AS row_count FROM days GROUP BY n"], "'days' is by learner"),
    ],
)  # fmt: skip
def test_read_models_that_do_not_fit_together_are_refused(texts: list[str], says: str) -> None:
    found = complaints(*texts)
    assert any(says in c.message for c in found), found
    assert {c.line for c in found} <= {1, 5}


@pytest.mark.parametrize("text", [
    VIEW + "SELECT learner_key, editions, n FROM slow CROSS JOIN shelf",
    STORED_VIEW + "SELECT i.learner_key, count(*) AS n FROM items AS i LEFT JOIN shelf USING (item_id) GROUP BY 1",
    STORED_VIEW.replace("realtime", "batch") + "SELECT learner_key, n FROM slow JOIN days USING (learner_key, n)",
    STORED_VIEW + "SELECT learner_key, editions FROM latest JOIN shelf USING (item_id)",
    ROLLUP + SUM.replace("weight", "i.weight").replace("events", "items AS i LEFT JOIN shelf USING (item_id)"),
    HEADER.format(kind="fold", update="batch") + COUNT,
    ROLLUP + SUM,
])  # fmt: skip
def test_read_models_that_fit_together_are_accepted(text: str) -> None:
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (f"SELECT max(learner_key) AS learner_key, n FROM days {HERE}GROUP BY n", "put learner_key into GROUP BY"),
        (f"SELECT learner_key, {HERE}rank() OVER (ORDER BY n) AS place FROM days", "PARTITION BY learner_key"),
        (f"SELECT learner_key, {HERE}rank() OVER w AS place FROM days WINDOW w AS (PARTITION BY n)", "PARTITION BY learner_key"),
        (f"SELECT learner_key, n FROM days ORDER BY n {HERE}LIMIT 3", "LIMIT picks among"),
        (f"WITH best AS (SELECT {HERE}max(n) AS n FROM days) SELECT learner_key, best.n FROM days, best", "GROUP BY learner_key"),
        (f"SELECT d.learner_key, i.n FROM days AS d JOIN {HERE}items AS i ON i.n = d.n", "join by learner_key"),
        (f"SELECT d.learner_key, i.n FROM days AS d, {HERE}items AS i", "join by learner_key"),
    ],
)  # fmt: skip
def test_a_stored_view_mixes_no_learners(select: str, says: str) -> None:
    found = [c for c in complaints(STORED_VIEW + select.replace(HERE, "")) if c.rule == "per learner"]
    assert (5, len(select.split(HERE)[0]) + 1, says) in {
        (c.line, c.column, says) for c in found if says in c.message
    }
    assert complaints(VIEW + select.replace(HERE, "")) == []


@pytest.mark.parametrize("select", [
    "SELECT learner_key, rank() OVER (PARTITION BY learner_key ORDER BY n) AS place FROM days",
    "SELECT learner_key, rank() OVER w AS place FROM days WINDOW w AS (PARTITION BY learner_key)",
    "SELECT d.learner_key, i.n FROM days AS d JOIN items AS i USING (learner_key, n)",
    "SELECT d.learner_key, i.n FROM days AS d, items AS i WHERE i.learner_key = d.learner_key",
    "SELECT d.learner_key, (SELECT max(n) FROM items AS i WHERE i.learner_key = d.learner_key) AS n FROM days AS d",
    "SELECT d.learner_key, l.n FROM days AS d, LATERAL (SELECT n FROM items AS i WHERE i.learner_key = d.learner_key LIMIT 1) AS l",
    "SELECT learner_key, count(*) AS n FROM days GROUP BY 1",
    "SELECT i.learner_key, total FROM items AS i JOIN shelf USING (item_id) CROSS JOIN (SELECT count(*) AS total FROM shelf) AS t",
])  # fmt: skip
def test_a_stored_view_may_do_anything_with_one_learner(select: str) -> None:
    assert complaints(STORED_VIEW + select) == []


@pytest.mark.parametrize(
    ("select", "says"),
    [
        (f"SELECT learner_key, {HERE}m AS x FROM days", "no column 'm'; there are learner_key, learning_day, n"),
        (f"SELECT learner_key, days.{HERE}m AS x FROM days", "'days' has no column 'm'"),
        (f"SELECT learner_key, n FROM days AS d WHERE {HERE}days.n > 0", "no relation 'days' here; there are d"),
        (f"SELECT learner_key, {HERE}weight AS x FROM days", "no column 'weight'"),
        (f"WITH d AS (SELECT learner_key, n AS m FROM days) SELECT learner_key, {HERE}n AS x FROM d", "no column 'n'"),
        (f"WITH d (l, m) AS (SELECT learner_key, n FROM days) SELECT l AS learner_key, d.{HERE}n AS x FROM d", "no column 'n'"),
        (f"SELECT learner_key, (SELECT max(i.{HERE}m) FROM items AS i WHERE i.n = d.n AND i.n = {HERE}k) AS x FROM days AS d", "no column 'm'"),
        (f"WITH RECURSIVE w AS (SELECT learner_key, n FROM days UNION ALL SELECT w.learner_key, w.{HERE}m FROM w) SELECT learner_key, n FROM w", "no column 'm'"),
        (f"SELECT learner_key, x FROM days CROSS JOIN LATERAL (SELECT {HERE}m + n AS x) AS l", "no column 'm'"),
        (f"SELECT learner_key, x FROM (SELECT learner_key, {HERE}m AS x FROM days) AS d", "no column 'm'"),
        (f"SELECT d.learner_key, d.n FROM days AS d JOIN items AS i ON i.{HERE}m = d.n", "no column 'm'"),
        (f"SELECT learner_key, n FROM days WHERE EXISTS (SELECT FROM items WHERE items.n = {HERE}m)", "no column 'm'"),
        (f"SELECT learner_key, n FROM days, unnest(ARRAY[{HERE}m]) AS x", "no column 'm'"),
        (f"SELECT learner_key, max(n) AS n FROM days GROUP BY learner_key, {HERE}m", "no column 'm'"),
        (f"SELECT learner_key, {HERE}cap AS n FROM days, policy", "did you mean 'cap_seconds'?"),
        (f"SELECT learner_key, asked.{HERE}now AS n FROM days, asked", "there are at, today"),
    ],
)  # fmt: skip
def test_a_column_that_does_not_exist_is_named_with_those_that_do(select: str, says: str) -> None:
    check(VIEW + select, "columns", says)


def test_columns_of_events_are_known() -> None:
    check(
        FOLD + COUNT.replace("events", f"events WHERE {HERE}kind = 'x'"),
        "columns",
        "there is no column 'kind'",
    )
    assert given_columns()["events"] == (
        "position", "source", "id", "type", "learner_key", "occurred_at", "learning_day", "recorded_at", "data",
        "zone", "weight",
    )  # fmt: skip
    assert given_columns()["policy"] == ("idle_gap", "cap_seconds", "streak_grace")


@pytest.mark.parametrize("select", [
    "SELECT learner_key, upper(x) AS n FROM days, unnest(ARRAY['a']) AS x",
    "SELECT learner_key, anything AS n FROM days, jsonb_to_record('{}') AS r (anything int)",
    "SELECT learner_key, day::date AS n FROM days CROSS JOIN generate_series(learning_day, learning_day, interval '1 day') AS day",
    "SELECT learner_key, to_jsonb(days) AS n FROM days",
    "SELECT learner_key, all_of.m AS n FROM (SELECT days.*, n AS m FROM days) AS all_of WHERE all_of.n > 0",
    "WITH RECURSIVE w AS (SELECT learner_key, n FROM days UNION ALL SELECT w.learner_key, w.n + 1 FROM w) SELECT learner_key, n FROM w",
    "SELECT learner_key, max(n) AS most FROM days GROUP BY learner_key ORDER BY most",
    "SELECT learner_key, n AS made FROM days ORDER BY made DESC NULLS LAST",
    "SELECT (x).learner_key, (x).n FROM (SELECT days AS x FROM days) AS s",
    "SELECT learner_key, make_interval(secs => n) AS i, extract(hour FROM interval '1 h') AS h FROM days",
    "SELECT learner_key, v.p AS n FROM days, (VALUES (1, 2)) AS v (p, q)",
    'SELECT "learner_key", N AS n FROM Days',
    "SELECT d.learner_key, i.n FROM (days AS d JOIN items AS i USING (learner_key))",
    "SELECT learner_key, sum(n) OVER w AS n FROM days WINDOW w AS (PARTITION BY learner_key ORDER BY learning_day)",
])  # fmt: skip
def test_what_may_exist_is_left_to_the_database(select: str) -> None:
    assert complaints(VIEW + select) == []


def test_all_errors_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "bad.sql").write_text(
        FOLD
        + "SELECT learner_key, avg(nothing) AS n, max(zone) AS z, now() AS t FROM events GROUP BY learner_key"
    )
    (tmp_path / "worse.sql").write_bytes(b"-- name: \xff\n")
    (tmp_path / "worst.sql").write_text(
        VIEW.replace("name: a", "name: b") + "SELECT learner_key, n FROM a, nowhere"
    )
    with pytest.raises(ReadModelError) as refusal:
        load(tmp_path)
    assert [(Path(c.file).stem, c.rule) for c in refusal.value.complaints] == [
        ("bad", "merge"), ("bad", "columns"), ("bad", "merge"), ("bad", "volatile"), ("bad", "merge"),
        ("worse", "file"), ("worst", "inputs"),
    ]  # fmt: skip
    lines = str(refusal.value).splitlines()
    assert lines[0] == (
        f"{tmp_path}/bad.sql:5:21: 'n' does not merge: an average of averages is none; keep the sum and the count,"
        " and divide where it is read [merge]"
    )
    assert len(lines) == 7


def test_who_reads_a_broken_file_is_not_blamed() -> None:
    broken = FOLD + "SELEKT"
    reader = VIEW.replace("name: a", "name: b") + "SELECT learner_key, n FROM a"
    assert [c.file for c in complaints(broken, reader)] == ["0.sql"]


def test_header_and_comments_may_be_written_freely() -> None:
    text = (
        "\ufeff-- name: a\r\n-- about: one\r\n--        two\r\n-- kind: fold\r\n-- grain: learner_key\r\n"
        "-- update: realtime\r\n\r\n-- why: because\r\n"
        '  SELECT learner_key, /* ; */ count(*) AS "n" FROM Events GROUP BY Learner_Key ; -- done\r\n\r\n'
    )
    model = parse("a.sql", text)
    assert (model.about, model.update, model.columns) == ("one two", "realtime", ("learner_key", "n"))
    assert model.select.endswith("Learner_Key")


def fingerprint_of(text: str, policy: Policy | None = None) -> str:
    return arrange([parse("a.sql", text)], policy or Policy())["a"].fingerprint


def test_the_fingerprint_stands_for_the_content_and_nothing_else() -> None:
    base = fingerprint_of(FOLD + COUNT)
    assert fingerprint_of(FOLD + "-- about: words\n" + COUNT.replace(" ", "\n  ")) == base
    assert fingerprint_of(FOLD + COUNT.replace("FROM", "/* why */ FROM")) == base
    assert fingerprint_of(FOLD + COUNT.replace("count(*)", "count(learner_key)")) != base
    assert fingerprint_of(FOLD.replace("realtime", "batch") + COUNT) != base
    maximum = COUNT.replace("count(*)", "max(stamp(occurred_at, position, 1))")
    assert fingerprint_of(FOLD + "-- merge: n max\n" + maximum) != fingerprint_of(
        FOLD + "-- merge: n last\n" + maximum
    )


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
