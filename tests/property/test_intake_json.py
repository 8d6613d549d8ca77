"""The quick look at a JSON document agrees with the exact one, and PostgreSQL with both."""

from __future__ import annotations

import asyncio
import json
import random
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from progress_context.intake.cloudevents import decode_batch, decode_structured
from progress_context.intake.event_type import MAX_NAME_BYTES, check_name
from progress_context.intake.json_guard import find_flaw, find_flaw_exactly
from progress_context.log.event import NewEvent

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Query = Callable[..., Any]

SPACES = st.text(" \t\r\n", max_size=2)
PIECES = st.sampled_from([
    "a", "b", ":", ",", "{", "}", "é", "🌎", "\x7f", "\u2028", r"\"", r"\\", r"\/", r"\n", r"\u0061",
    r"\u0022", r"\u005c", r"\u0000", r"\\u0000", r"\ud83c\udf0e", r"\ud800", r"\udc00", r"\uD800", r"\uDFFF",
    r"\\ud800", "1e9", "1" * 98,
])  # fmt: skip
STRINGS = st.lists(PIECES, max_size=4).map(lambda pieces: '"' + "".join(pieces) + '"')
KEYS = st.one_of(st.sampled_from(['"a"', '"b"', r'"\u0061"', '"a:"']), STRINGS)
INTEGERS = st.one_of(
    st.integers(-(10**20), 10**20), st.integers(97, 103).map(lambda digits: 10**digits - 1)
).map(str)
EXPONENTS = st.builds(
    "{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]),
    st.sampled_from(["0", "9", "99", "308", "309", "999", "0999", "1000", "99999", "131073"]),
)  # fmt: skip
FRACTIONS = st.one_of(st.integers(0, 9).map(str), st.integers(90, 110).map(lambda n: "1" * n))
NUMBERS = st.one_of(
    INTEGERS,
    st.builds("{}.{}".format, INTEGERS, FRACTIONS),
    st.builds("{}{}".format, st.sampled_from(["0", "-0", "1", "1.5", "9.99"]), EXPONENTS),
)
SCALARS = st.one_of(STRINGS, NUMBERS, st.sampled_from(["true", "false", "null"]))


def nest(text: str, depth: int) -> str:
    return "[" * depth + text + "]" * depth


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    member = st.builds("{}{}:{}{}".format, KEYS, SPACES, SPACES, inner)
    return st.one_of(
        st.lists(member, max_size=4).map(lambda members: "{" + ",".join(members) + "}"),
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.builds(nest, inner, st.integers(29, 34)),
    )


DOCUMENTS = st.recursive(SCALARS, containers, max_leaves=12)


@given(DOCUMENTS)
@settings(max_examples=500)
def test_the_quick_look_agrees_with_the_exact_one(text: str) -> None:
    assert find_flaw(text.encode()) == find_flaw_exactly(text.encode())


@given(st.binary(max_size=40))
def test_any_bytes_get_a_verdict(raw: bytes) -> None:
    assert find_flaw(raw) == find_flaw_exactly(raw)


@given(DOCUMENTS, DOCUMENTS, st.sampled_from(['"k"', r'"\u006b"']), SPACES)
def test_a_repeated_key_never_passes(one: str, other: str, key: str, space: str) -> None:
    text = f'{{"x":[{{"k":{one},"y":{{}},{key}{space}:{other}}}]}}'
    assert find_flaw(text.encode()) is not None


@given(st.lists(DOCUMENTS, max_size=4))
def test_an_event_is_judged_in_an_array_as_it_is_alone(data: list[str]) -> None:
    events = [
        f'{{"specversion":"1.0","id":"{n}","source":"s","type":"t","data":{text}}}'.encode()
        for n, text in enumerate(data)
    ]
    alone = [decode_structured(event, now=NOW) for event in events]
    assert decode_batch(b"[" + b",".join(events) + b"]", now=NOW) == alone


@pytest.fixture
def query(database_url: str) -> Iterator[Query]:
    """`query(sql, *arguments)` on a real server."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(database_url))

    def run(sql: str, *arguments: object) -> Any:
        return loop.run_until_complete(connection.fetchval(sql, *arguments))

    yield run
    loop.run_until_complete(connection.close())
    loop.close()


def exactly(text: str) -> Any:
    """A JSON document with its numbers as decimals."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


@given(text=DOCUMENTS)
@example(text=rf'{{"a":"{chr(0x7F)}\u001f","b":1E-999,"c":[{"9" * 100}]}}')
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_passes_is_kept_by_jsonb_unchanged(query: Query, text: str) -> None:
    if find_flaw(text.encode()) is None:
        assert exactly(query("SELECT $1::text::jsonb::text", text)) == exactly(text)


@given(data=DOCUMENTS, extension=DOCUMENTS, name=st.sampled_from(["learning", "user", "x"]))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_becomes_an_event_fits_into_the_log(query: Query, data: str, extension: str, name: str) -> None:
    envelope = json.dumps({
        "specversion": "1.0", "id": "e", "source": "/app", "type": f"{name}.NeverHeard",
        "subject": "ada", "time": "2026-03-01T11:00:00.123456789+02:00",
    })  # fmt: skip
    body = f'{envelope[:-1]},"data":{data},"extension":{extension}}}'.encode()
    event = decode_structured(body, now=NOW)
    if isinstance(event, NewEvent):
        assert query(
            "SELECT $1::text::jsonb IS NOT NULL AND $2::timestamptz IS NOT NULL", event.data,
            event.occurred_at,
        )  # fmt: skip
        assert query("SELECT jsonb_typeof($1::text::jsonb)", event.context) == "object"


def test_the_longest_name_fits_into_an_index(query: Query) -> None:
    """Random letters, since an index row is compressed before it is measured."""
    dice = random.Random(7)
    event_id = "".join(dice.choices(string.printable, k=200))
    source = "".join(dice.choices(string.printable, k=MAX_NAME_BYTES - 200))
    assert check_name(source, event_id) is None
    assert check_name(source + "x", event_id) is not None
    query("CREATE TEMP TABLE names (key bigint, source text, id text, UNIQUE (key, source, id))")
    query("INSERT INTO names VALUES (1, $1, $2)", source, event_id)
    with pytest.raises(asyncpg.ProgramLimitExceededError):
        query("INSERT INTO names VALUES (1, $1, $2)", source + source, event_id)
