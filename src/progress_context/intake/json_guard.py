"""What PostgreSQL's jsonb would refuse, or silently change, is found here first.

jsonb keeps the last of two equal keys, refuses the character U+0000 and lone surrogates, and holds
numbers of a limited size only. Most documents are proved harmless by a few passes over their bytes;
whatever looks unusual is read once more, exactly, and the flaw is named with its path.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, NoReturn, cast

import msgspec

MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 100
MAX_KEY_IN_PATH = 100

_LONG_EXPONENT = re.compile(r"[eE][+-]?[0-9]{4}")

# Digits become 0, everything else blank: a long number shows as a long run.
_DIGITS = bytes(ord("0") if c in b"0123456789" else 32 for c in range(256))
_LONG_RUN = b"0" * (MAX_NUMBER_LENGTH - 1)


class Flaw(NamedTuple):
    """Why a JSON document cannot be kept as sent; `path` is empty for the document itself."""

    path: str
    reason: str


class _Number(str):
    """A number as written."""

    __slots__ = ()


class _Members(list[tuple[str, Any]]):
    """An object's members as written, duplicates included."""

    __slots__ = ()


def find_flaw(raw: bytes) -> Flaw | None:
    """The first reason why jsonb would not keep this document as sent, `None` without one."""
    return None if is_shallow(raw) and is_plain(raw) else find_flaw_exactly(raw)


def is_plain(raw: bytes) -> bool:
    """Whether a few passes over the document, and so over every document in it, find nothing unusual.

    Says nothing about depth. What is not plain may be harmless all the same.
    """
    if b"\\u0000" in raw or _LONG_RUN in raw.translate(_DIGITS):
        return False
    encoded = _reencode(raw)  # fails for lone surrogates and bad floats
    return encoded is not None and has_strings_of(raw, encoded)


def is_shallow(raw: bytes) -> bool:
    """Whether so few brackets are in the document that it cannot be nested too deep."""
    return raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH


def has_strings_of(raw: bytes, encoded: bytes) -> bool:
    """Whether `raw` has as many strings, keys included, as what was decoded from it and encoded.

    Decoding drops a member only together with its key, so equal counts prove that no key occurs
    twice.
    """
    return _count_quotes(raw) == _count_quotes(encoded)


def find_flaw_exactly(raw: bytes) -> Flaw | None:
    """The same verdict as `find_flaw`, from reading every key, string and number."""
    document = _parse(raw)
    return document if isinstance(document, Flaw) else next(_flaws(document, "", 0), None)


def why_not_json(raw: bytes) -> str | None:
    """Why these bytes are no JSON document in UTF-8, with the place; `None` when they are one."""
    document = _parse(raw)
    return document.reason if isinstance(document, Flaw) else None


def _parse(raw: bytes) -> object:
    """The document, its members and numbers as written, or why it cannot be read."""
    try:
        return json.loads(
            raw.decode(),
            object_pairs_hook=_Members,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        return Flaw("", f"not UTF-8 at byte {error.start}")
    except ValueError as error:
        return Flaw("", f"not JSON: {error}")
    except RecursionError:
        return Flaw("", f"nested deeper than {MAX_DEPTH}")


def _reencode(raw: bytes) -> bytes | None:
    """The document after decoding, `None` when that fails."""
    try:
        return _encode(_decode(raw))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return None


def _read_float(text: str) -> float:
    if _complain_about(text):
        raise ValueError(text)
    return 0.0


_decode = msgspec.json.Decoder(float_hook=_read_float).decode
_encode = msgspec.json.Encoder().encode


def _count_quotes(raw: bytes) -> int:
    if b"\\" not in raw:
        return raw.count(b'"')
    unescaped = raw.replace(b"\\\\", b"")
    return unescaped.count(b'"') - unescaped.count(b'\\"')


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _flaws(value: object, path: str, depth: int) -> Iterator[Flaw]:
    if isinstance(value, _Number):
        yield from _flaws_of_number(value, path)
    elif isinstance(value, str):
        yield from _flaws_of_text(value, path)
    elif isinstance(value, list):
        if depth == MAX_DEPTH:
            yield Flaw(path, f"nested deeper than {MAX_DEPTH}")
        elif isinstance(value, _Members):
            yield from _flaws_of_members(value, path, depth + 1)
        else:
            items = cast("list[object]", value)
            for index, item in enumerate(items):
                yield from _flaws(item, f"{path}[{index}]", depth + 1)


def _flaws_of_members(members: _Members, path: str, depth: int) -> Iterator[Flaw]:
    seen: set[str] = set()
    for key, value in members:
        below = join_path(path, key)
        yield from _flaws_of_text(key, below)
        if key in seen:
            yield Flaw(below, "this key occurs twice in its object")
        seen.add(key)
        yield from _flaws(value, below, depth)


def _flaws_of_number(number: _Number, path: str) -> Iterator[Flaw]:
    if complaint := _complain_about(number):
        yield Flaw(path, complaint)


def _complain_about(number: str) -> str | None:
    if len(number) > MAX_NUMBER_LENGTH:
        return f"a number of more than {MAX_NUMBER_LENGTH} characters"
    if _LONG_EXPONENT.search(number) or math.isinf(float(number)) or _vanishes(number):
        return f"the number {number} is out of range"
    return None


def _vanishes(number: str) -> bool:
    """Whether a number that is not 0 is 0 as a float: PostgreSQL refuses to read it as one."""
    return float(number) == 0.0 and any(digit in "123456789" for digit in re.split("[eE]", number)[0])


def _flaws_of_text(text: str, path: str) -> Iterator[Flaw]:
    if "\0" in text:
        yield Flaw(path, "contains the character U+0000")
    try:
        text.encode()
    except UnicodeEncodeError:
        yield Flaw(path, "contains half of a surrogate pair")


def join_path(path: str, key: str) -> str:
    """The path of a member; a key that is not plain text shows its escapes."""
    shown = key[:MAX_KEY_IN_PATH]
    if not shown.isprintable():
        shown = shown.encode("unicode_escape").decode("ascii")
    return f"{path}.{shown}" if path else shown
