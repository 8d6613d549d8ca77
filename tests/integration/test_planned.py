"""What only PostgreSQL can say of a read model becomes a complaint at its place in the file."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from progress_context.engine.catalog import assemble, load
from progress_context.engine.definition import Policy
from progress_context.engine.planned import check_planned, column_types
from progress_context.errors import Complaint, ReadModelError
from progress_context.log.database import Connection, connect

HERE = "‸"
FOLD = "-- name: a\n-- kind: fold\n-- grain: learner_key\n-- update: realtime\n"
VIEW = "-- name: b\n-- kind: view\n-- grain: learner_key\n-- update: {}\n"
COUNT = "SELECT learner_key, count(*) AS n FROM events GROUP BY learner_key\n"


@pytest.fixture(scope="module")
async def connection(module_database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(module_database_url, "progress_projection")
    yield connection
    await connection.close()


async def complaints(connection: Connection, *texts: str) -> list[Complaint]:
    try:
        await check_planned(connection, assemble({f"{n}.sql": t for n, t in enumerate(texts)}, Policy()))
    except ReadModelError as error:
        return list(error.complaints)
    return []


async def test_our_read_models_are_accepted(connection: Connection) -> None:
    await check_planned(connection, load())


@pytest.mark.parametrize(
    ("column", "rule", "says"),
    [
        (f"count({HERE}upper(1)) AS x", "postgres", "function upper(integer) does not exist"),
        (f"count({HERE}nosuch(data)) AS x", "postgres", "function nosuch(jsonb) does not exist"),
        (f"count(*) FILTER (WHERE occurred_at > {HERE}'noon') AS x", "postgres", "invalid input syntax"),
        (f"count(*) FILTER (WHERE type {HERE}> 5) AS x", "postgres", "operator does not exist: text > integer"),
        (f"{HERE}sum(data->>'cost') AS x", "postgres", "function sum(text) does not exist"),
        (f"{HERE}sum(occurred_at - occurred_at) AS x", "postgres", "'x' cannot merge by sum: COALESCE"),
        (f"{HERE}sum(date_part('epoch', occurred_at)) AS x", "merge", "cast to numeric"),
        (f"count({HERE}pg_current_logfile()) AS x", "volatile", "may give another answer each time"),
    ],
)  # fmt: skip
async def test_what_postgresql_refuses_is_named_at_its_place(
    connection: Connection, column: str, rule: str, says: str
) -> None:
    text = FOLD + COUNT.replace("count(*) AS n", column)
    await check(connection, text, rule, says)


async def check(connection: Connection, text: str, rule: str, says: str) -> None:
    """There is one complaint about a file, at its mark."""
    [found] = await complaints(connection, text.replace(HERE, ""), FOLD.replace("name: a", "name: c") + COUNT)
    [line, column] = next((n, t.index(HERE) + 1) for n, t in enumerate(text.split("\n"), 1) if HERE in t)
    assert (found.file, found.line, found.column, found.rule) == ("0.sql", line, column, rule), found
    assert says in found.message


async def test_a_column_that_only_postgresql_can_miss_is_named_with_those_there_are(
    connection: Connection,
) -> None:
    select = (
        f"SELECT learner_key, count({HERE}positon) AS n FROM events, unnest(ARRAY[1]) AS g (x) GROUP BY 1"
    )
    await check(connection, FOLD + select, "postgres", "did you mean 'position'?")


async def test_values_that_cannot_be_kept_are_refused(connection: Connection) -> None:
    """Stored rows are compared with new ones, so a column needs a type that has an equality."""
    columns = f"SELECT learner_key, n, {HERE}to_json(n) AS x FROM c"
    await check(connection, VIEW.format("realtime") + columns, "types", "cannot be compared")
    await check(
        connection, VIEW.format("realtime") + columns.replace("to_json", "row"), "types", "no column can be"
    )
    assert (
        await complaints(
            connection, VIEW.format("lazy") + columns.replace(HERE, ""), FOLD.replace(": a", ": c") + COUNT
        )
        == []
    )
    stamps = f"SELECT learner_key, {HERE}bool_or(zone IS NULL) AS x FROM events GROUP BY 1"
    assert await complaints(connection, FOLD + "-- merge: x max\n" + stamps.replace(HERE, "")) == []


async def test_who_reads_what_postgresql_refuses_is_not_blamed(connection: Connection) -> None:
    broken = FOLD + COUNT.replace("count(*)", "count(upper(1))")
    reader = VIEW.format("lazy") + "SELECT learner_key, n FROM a"
    assert [c.file for c in await complaints(connection, broken, reader)] == ["0.sql"]


async def test_columns_have_types(connection: Connection) -> None:
    types = await column_types(connection, load(), "item_stats")
    assert types["item_id"] == "text"
    assert types["next_review_at"] == "timestamp with time zone"
