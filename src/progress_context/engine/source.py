"""The text of a read-model file: its header, its SELECT, and where in the file a thing stands."""

from __future__ import annotations

import re
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

from progress_context.errors import Complaint

HEADER = re.compile(r"^--\s*(?:(?P<key>[a-z]+):)?\s*(?P<value>.*?)\s*$")
REQUIRED = ("name", "kind", "grain", "update")
KEYS = (*REQUIRED, "about", "merge")
UNCLOSED = re.compile(r"^Missing .+ from \d+:(\d+)$")

Place = tuple[int, int]  # line and column, from 1


class Source:
    """One file. `select` is its SELECT as written; offsets count characters of it."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.header: dict[str, str] = {}
        self.complaints: list[Complaint] = []
        self._lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        self._header_lines: dict[str, range] = {}
        self._first = self._read_header()
        self.select = _without_semicolon("\n".join(self._lines[self._first :]).rstrip())

    def complain(self, rule: str, message: str, place: Place = (1, 1)) -> None:
        """Remember a broken rule, once."""
        complaint = Complaint(self.file, *place, rule, message)
        if complaint not in self.complaints:
            self.complaints.append(complaint)

    def key(self, key: str) -> Place:
        """Where a line of the header is."""
        return (self._header_lines[key].start, 1) if key in self._header_lines else (1, 1)

    def word(self, key: str, word: str) -> Place:
        """Where a word stands in the value of a header key."""
        for line in self._header_lines.get(key, ()):
            text = self._lines[line - 1]
            begin = text.find(":") + 1 if line == self._header_lines[key].start else 0
            if found := re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(text, begin):
                return line, found.start() + 1
        return self.key(key)

    def at(self, offset: int) -> Place:
        """Where an offset of the SELECT is in the file."""
        before = self.select[:offset]
        return self._first + before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    def node(self, node: exp.Expr) -> Place:
        """Where a part of the syntax tree begins, as far as that is known."""
        return self.at(offset_of(node))

    def clause(self, keyword: str, node: exp.Expr) -> Place:
        """Where the last `keyword` before a part of the syntax tree is."""
        wanted = keyword.lower().split()
        limit = offset_of(node)
        found = [token.start for token in tokens(self.select) if token.text.lower().split() == wanted]
        before = [offset for offset in found if offset <= limit]
        return self.at(before[-1] if before else found[0] if found else limit)

    def syntax(self) -> exp.Query | None:
        """The syntax tree of the SELECT, unquoted names in lower case; `None`, with a complaint, if wrong."""
        try:
            tree = tree_of(self.select)
        except ParseError as error:
            self._complain_of_syntax(error)
        except TokenError as error:
            self._complain_of_tokens(error)
        else:
            if isinstance(tree, exp.Query):
                return tree
            self.complain("one SELECT", "a read model is one SELECT", self.at(0))
        return None

    def _complain_of_syntax(self, error: ParseError) -> None:
        where = error.errors[0] if error.errors else {}
        highlight = str(where.get("highlight") or "")
        lines = self.select.split("\n")
        line = min(int(where.get("line") or 1), len(lines))
        column = max(1, int(where.get("col") or 1) - len(highlight) + 1)
        expected = str(where.get("description") or "")
        what = f"{expected} before" if expected.startswith("Expecting") else "unexpected"
        self.complain("syntax", f"{what} {highlight!r}", (self._first + line, column))

    def _complain_of_tokens(self, error: TokenError) -> None:
        """A quote or comment that swallows the rest; sqlglot knows the offset of a quote."""
        found = UNCLOSED.search(str(error.__cause__))
        offset = int(found[1]) if found else max(0, self.select.rfind("/*"))
        self.complain("syntax", "what is opened here is never closed", self.at(offset))

    def _read_header(self) -> int:
        """Read the keys; the index of the first line of the SELECT. An empty line ends the header."""
        key = ""
        ended = False
        for number, text in enumerate(self._lines):
            if not text.strip():
                ended = bool(self.header)
            elif not text.startswith("--"):
                return number
            elif not ended and (found := HEADER.match(text)):
                key = self._read_line(key, number + 1, found["key"], found["value"])
        return len(self._lines) - 1

    def _read_line(self, key: str, line: int, new_key: str | None, value: str) -> str:
        """Take one line of the header in; the key that the next line may continue."""
        if new_key is None:
            if key:
                self.header[key] += f" {value}"
                self._header_lines[key] = range(self._header_lines[key].start, line + 1)
            return key
        if new_key not in KEYS:
            message = f"unknown header key {new_key!r}; the keys are {', '.join(KEYS)}"
            self.complain("header", message, (line, 4))
            return ""
        if new_key in self.header:
            self.complain("header", f"a second `-- {new_key}:`", (line, 4))
        self.header[new_key] = value
        self._header_lines[new_key] = range(line, line + 1)
        return new_key


@lru_cache(maxsize=256)
def tree_of(select: str) -> exp.Expr | None:
    """The syntax tree; `None` unless it is one statement. Not to be changed: others hold it too."""
    trees = [tree for tree in sqlglot.parse(select, read="postgres") if tree is not None]
    return normalize_identifiers(trees[0], dialect="postgres") if len(trees) == 1 else None


@lru_cache(maxsize=256)
def tokens(select: str) -> tuple[sqlglot.Token, ...]:
    """The words of a SELECT."""
    return tuple(sqlglot.tokenize(select, read="postgres"))


def offset_of(node: exp.Expr) -> int:
    """The offset of a part of the syntax tree: of the first word in it whose place is known."""
    return min((part.meta["start"] for part in node.walk() if "start" in part.meta), default=0)


def _without_semicolon(select: str) -> str:
    """A SELECT without the semicolon and comments that may end it."""
    try:
        found = tokens(select)
    except TokenError:
        return select
    last = len(found)
    while last and found[last - 1].token_type == sqlglot.TokenType.SEMICOLON:
        last -= 1
    return select[: found[last].start].rstrip() if 0 < last < len(found) else select
