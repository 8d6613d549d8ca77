"""What jsonb would refuse or change is found first, with its path."""

from __future__ import annotations

import pytest

from progress_context.intake.json_guard import find_flaw, find_flaw_exactly, has_strings_of


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


HARMLESS = [
    b"{}", b"null", b'"a"', b"[]", b'{"a":1,"b":{"a":1}}', rb'{"a":"say \"a\":1","b":"\\"}',
    rb'{"\"a":1,"a":"\\\"a"}', '{"é":"🌎"}'.encode(), rb'{"e":"\u00e9\ud83c\udf0e"}', b"1e308",
    b"-1E-300", b"0e999", b"9" * 100, nested(32), b'[{"a":1},{"a":1}]', rb'"\\u0000"', rb'"\\ud800"',
    b'"0123456789' + b"1" * 200 + b'"', b' { "a" : 1 , "b" : [ 1.50 ] } ',
]  # fmt: skip

FLAWED = [
    (b'{"a":1,"a":1}', "a"),
    (b'{"a":1,"a" :2}', "a"),
    (rb'{"a":1,"\u0061":2}', "a"),
    (rb'{"a":"\"","a":"x\"x\":"}', "a"),
    (b'{"data":{"x":[{},{"k":1,"k":2}]}}', "data.x[1].k"),
    (b'{"":1,"":2}', ""),
    (rb'{"a":"\u0000"}', "a"),
    (rb'{"a":{"b\u0000":1}}', r"a.b\x00"),
    (rb'["\ud800"]', "[0]"),
    (rb'["ok","\udc00\ud800"]', "[1]"),
    (b'{"n":1e309}', "n"),
    (b'{"n":1e-1000}', "n"),
    (b'{"n":-1E-999}', "n"),
    (b'{"n":0.01e-399}', "n"),
    (b'{"n":0e99999}', "n"),
    (b'{"n":' + b"9" * 101 + b"}", "n"),
    (b'{"n":0.' + b"1" * 99 + b"}", "n"),
    (nested(33), "[0]" * 32),
    (nested(100_000), ""),
    (b"[NaN]", ""),
    (b"[-Infinity]", ""),
    (b'["\x01"]', ""),
    (b"", ""),
    (b'{"a":1', ""),
    (b'{"a":"\xff"}', ""),
]


@pytest.mark.parametrize("raw", HARMLESS)
def test_a_harmless_document_has_no_flaw(raw: bytes) -> None:
    assert find_flaw(raw) is None
    assert find_flaw_exactly(raw) is None


@pytest.mark.parametrize(("raw", "path"), FLAWED)
def test_a_flaw_is_found_at_its_path(raw: bytes, path: str) -> None:
    flaw = find_flaw(raw)
    assert flaw is not None
    assert flaw == find_flaw_exactly(raw)
    assert flaw.path == path
    assert flaw.reason


def test_a_path_is_short_enough_to_answer_with() -> None:
    key = b"k" * 100_000
    flaw = find_flaw(b'{"' + key + b'":1,"' + key + b'":2}')
    assert flaw is not None
    assert flaw.path == "k" * 100


def test_strings_are_counted_whichever_way_they_are_escaped() -> None:
    assert has_strings_of(rb'["\u005c","\u0022","\\\""]', rb'["\\","\"","\\\""]')
    assert not has_strings_of(rb'["\\",""]', rb'["\\\""]')
