"""The plain part of YAML: nested mappings and lists by indentation, scalars, `[flow, lists]`, folded text.

Enough for the files in `deploy`; anything else raises ValueError rather than being misread.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

KEY = re.compile(r"(\"[^\"]*\"|[^\s\"'\[\]{}#&*!|>%@-][^:]*?):(?: +(.*))?$|(-?[\w./]+):(?: +(.*))?$")
BLOCK = re.compile(r"[|>][+-]?$")


class _Line(NamedTuple):
    indent: int
    text: str
    number: int


def load(text: str) -> Any:
    """The value of a document."""
    lines = [
        _Line(len(line) - len(line.lstrip()), line.strip(), number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#") and line.strip() != "---"
    ]
    value, rest = _node(lines, lines[0].indent)
    if rest:
        raise ValueError(f"line {rest[0].number}: {rest[0].text!r} is indented like nothing before it")
    return value


def _node(lines: list[_Line], indent: int) -> tuple[Any, list[_Line]]:
    if lines[0].text == "-" or lines[0].text.startswith("- "):
        return _sequence(lines, indent)
    return _mapping(lines, indent)


def _sequence(lines: list[_Line], indent: int) -> tuple[list[Any], list[_Line]]:
    items: list[Any] = []
    while lines and lines[0].indent == indent and (lines[0].text == "-" or lines[0].text.startswith("- ")):
        first = lines[0]
        rest = first.text[1:].lstrip()
        if not rest:
            item, lines = _node(lines[1:], lines[1].indent)
        elif KEY.match(rest):
            inner = _Line(indent + len(first.text) - len(rest), rest, first.number)
            item, lines = _mapping([inner, *lines[1:]], inner.indent)
        else:
            item, lines = _scalar(rest, first.number), lines[1:]
        items.append(item)
    return items, lines


def _mapping(lines: list[_Line], indent: int) -> tuple[dict[str, Any], list[_Line]]:
    found: dict[str, Any] = {}
    while lines and lines[0].indent == indent:
        line, lines = lines[0], lines[1:]
        match = KEY.match(line.text)
        if match is None:
            raise ValueError(f"line {line.number}: no key in {line.text!r}")
        key, text = (match[1] or match[3]).strip('"'), (match[2] or match[4] or "").strip()
        if key in found:
            raise ValueError(f"line {line.number}: {key!r} stands here twice")
        if BLOCK.match(text):
            folded, lines = _block(lines, indent)
            found[key] = (" " if text[0] == ">" else "\n").join(folded)
        elif text:
            found[key] = _scalar(text, line.number)
        elif lines and (
            lines[0].indent > indent or (lines[0].indent == indent and lines[0].text.startswith("- "))
        ):
            found[key], lines = _node(lines, lines[0].indent)
        else:
            found[key] = None
    return found, lines


def _block(lines: list[_Line], indent: int) -> tuple[list[str], list[_Line]]:
    texts: list[str] = []
    while lines and lines[0].indent > indent:
        texts.append(lines[0].text)
        lines = lines[1:]
    return texts, lines


def _scalar(text: str, number: int) -> Any:
    if text[0] == '"':
        match = re.match(r'"(?:[^"\\]|\\.)*"', text)
        if match is None or text[match.end() :].split("#")[0].strip():
            raise ValueError(f"line {number}: {text!r} is no quoted text")
        return json.loads(match[0])
    if text[0] == "[" and text[-1] == "]":
        return [_scalar(part.strip(), number) for part in text[1:-1].split(",") if part.strip()]
    if text[0] in "'{&*!|>%@`":
        raise ValueError(f"line {number}: {text!r} is beyond plain YAML")
    text = text.split(" #")[0].strip()
    if text in ("true", "false", "null", "~"):
        return {"true": True, "false": False}.get(text)
    return int(text) if re.fullmatch(r"-?(0|[1-9]\d*)", text) else text
