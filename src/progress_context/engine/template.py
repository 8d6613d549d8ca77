"""SQL lives in `.sql` files; `fill` puts names and fragments where they say `:name`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from progress_context.log.database import statement

PLACE = re.compile(r"(?<!:):([a-z_]+)\b")


def template(name: str) -> str:
    """The text of `engine/<name>.sql` without its comments."""
    lines = statement(__package__, name).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("--"))


def fill(name: str, **parts: str) -> str:
    """The template `name` with every `:part` replaced; a missing part is a KeyError."""
    return PLACE.sub(lambda place: parts[place[1]], template(name))


def quote(identifier: str) -> str:
    """An identifier, quoted for SQL."""
    return '"' + identifier.replace('"', '""') + '"'


def quote_all(identifiers: Iterable[str], *, prefix: str = "") -> str:
    """Identifiers separated by commas, each with an optional table prefix."""
    return ", ".join(f"{prefix}{quote(identifier)}" for identifier in identifiers)


def literal(text: str) -> str:
    """A string constant, quoted for SQL."""
    return "'" + text.replace("'", "''") + "'"


def with_ctes(ctes: Iterable[tuple[str, str]], query: str, *, inline: bool = False) -> str:
    """`query` behind a WITH of (name, body) pairs: this is how inputs are bound.

    With `inline` they are only names: where they are read twice, they are computed twice.
    """
    how = "NOT MATERIALIZED " if inline else ""
    bound = ",\n".join(f"{quote(name)} AS {how}(\n{body}\n)" for name, body in ctes)
    return f"WITH {bound}\n{query}" if bound else query
