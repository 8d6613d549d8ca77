"""Who asks, and what they may see and do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal, get_args

from progress_context.errors import TokenRefused

Role = Literal["learner", "coach", "service", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)
WRITE_EVENTS = "events:write"
MOST_NAMES = 1_000  # learners and groups in one token
_MEANT = re.compile(r"[\\%_]")

Sight = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: `subject` is the learner's id for a learner, a name for everybody else.

    A learner sees themselves; a coach the named `learners` and those of `groups`, whose ids begin with the
    group's name and a slash; services and operators see every learner. `until` is when the token ends, in
    seconds since 1970.
    """

    role: Role
    subject: str = ""
    learners: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    until: float = field(default=inf, compare=False)

    @property
    def sees_all(self) -> bool:
        """Whether no learner is hidden."""
        return self.role in ("service", "operator")

    @property
    def sight(self) -> Sight:
        """Patterns for SQL's LIKE of the learners' ids that may be seen; None: all."""
        if self.sees_all:
            return None
        exact = {self.subject} if self.role == "learner" else self.learners
        within = frozenset[str]() if self.role == "learner" else self.groups
        return tuple(sorted([*map(_literally, exact), *(f"{_literally(group)}/%" for group in within)]))

    def may_see(self, learner_id: str) -> bool:
        """The same as `sight`, for one learner."""
        if self.sees_all:
            return True
        if self.role == "learner":
            return learner_id == self.subject
        return learner_id in self.learners or any(learner_id.startswith(f"{g}/") for g in self.groups)


EVERYBODY = Principal("operator")  # without authentication: whoever reaches us may see everything


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where a token says what we need to know."""

    role: str = "role"
    learners: str = "learners"
    groups: str = "groups"
    scope: str = "scope"


def principal_of(claims: Mapping[str, Any], names: ClaimNames) -> Principal:
    """Who a verified token speaks of; one that tells no role is a learner's. Raises TokenRefused."""
    role = claims.get(names.role, "learner")
    if role not in ROLES:
        raise TokenRefused(f"{names.role} {role!r} is none of {', '.join(ROLES)}")
    [subject] = _names([claims.get("sub")], "sub")
    return Principal(
        role,
        subject,
        learners=frozenset(_names(claims.get(names.learners, ()), names.learners)),
        groups=frozenset(_names(claims.get(names.groups, ()), names.groups)),
        scopes=frozenset(_scopes(claims.get(names.scope, ()), names.scope)),
        until=float(claims.get("exp", inf)),
    )


def _scopes(value: object, claim: str) -> list[str]:
    """Scopes stand in a list, or in one text with spaces between, as RFC 8693 has it."""
    return value.split() if isinstance(value, str) else _names(value, claim)


def _names(value: object, claim: str) -> list[str]:
    """Names a database can be asked about."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or len(listed) > MOST_NAMES:
        raise TokenRefused(f"{claim} is no list of at most {MOST_NAMES:,} names")
    for name in listed:
        if not isinstance(name, str) or not name or "\0" in name or not _is_unicode(name):
            raise TokenRefused(f"{claim} holds what is no name")
    return list(listed)


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _literally(name: str) -> str:
    return _MEANT.sub(r"\\\g<0>", name)
