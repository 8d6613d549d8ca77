"""The parts of an xAPI 1.0.3 or 2.0 statement that its mapping reads; the rest stays as sent."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta, Raw

from progress_context.intake.envelope import refuse
from progress_context.intake.event_type import Id, Iri

VIDEO_SESSION = "https://w3id.org/xapi/video/extensions/session-id"

_MAILBOX = re.compile(r"mailto:[^@\s]+@[^@\s]+")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_AGENT_MARKS = (b"mbox", b"account", b"openid", b"Agent", b"Group", b"\\")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_IDENTIFIERS = frozenset({"mbox", "mbox_sha1sum", "openid"})
_PERSONAL = _IDENTIFIERS | {"name", "account", "member"}

_encode = msgspec.json.Encoder().encode


class Account(msgspec.Struct, rename="camel", gc=False):
    """A login at a home page."""

    home_page: Iri
    name: Annotated[str, Meta(min_length=1, max_length=500)]


class Actor(msgspec.Struct, rename={"object_type": "objectType"}, gc=False):
    """Who did it: an agent, or a group with an identifier of its own."""

    object_type: Literal["Agent", "Group"] = "Agent"
    account: Account | None = None
    mbox: str | None = None
    mbox_sha1sum: str | None = None
    openid: str | None = None


class Verb(msgspec.Struct, gc=False):
    """What was done."""

    id: Iri


class Target(msgspec.Struct, rename={"object_type": "objectType"}, gc=False):
    """What it was done to; people and sub-statements have no id to keep progress by."""

    id: Iri
    object_type: Literal["Activity", "StatementRef"] = "Activity"


class Result(msgspec.Struct, gc=False):
    """What came of it."""

    success: bool | None = None
    duration: str | None = None


class Context(msgspec.Struct, gc=False):
    """Around what it was done."""

    registration: Id | None = None
    extensions: dict[str, Any] | None = None


class Statement(msgspec.Struct, gc=False):
    """One learning experience."""

    id: Id
    actor: Actor
    verb: Verb
    object: Target
    result: Result | None = None
    context: Context | None = None
    timestamp: str | None = None
    stored: str | None = None
    authority: Actor | None = None


class _Kind(msgspec.Struct, rename={"object_type": "objectType"}, omit_defaults=False, gc=False):
    object_type: str = "Agent"


def _keep_number(text: str) -> Raw:
    return Raw(text.encode())


_read_members = msgspec.json.Decoder(dict[str, Raw]).decode
_read_kind = msgspec.json.Decoder(_Kind).decode
_read_exactly = msgspec.json.Decoder(float_hook=_keep_number).decode


def identifier_of(actor: Actor) -> str:
    """The one identifier of the actor, as a learner id.

    An account is `homePage|name`, since names repeat between home pages; the other kinds differ by
    their beginning. Raises IntakeError for no identifier and for more than one.
    """
    found: list[str] = []
    if actor.account is not None:
        found.append(f"{actor.account.home_page}|{actor.account.name}")
    if actor.mbox is not None:
        found.append(_checked(actor.mbox, _MAILBOX, "actor.mbox", "a mailto: IRI"))
    if actor.mbox_sha1sum is not None:
        digest = _checked(actor.mbox_sha1sum, _SHA1, "actor.mbox_sha1sum", "40 hex digits")
        found.append(f"mbox_sha1sum:{digest.lower()}")
    if actor.openid is not None:
        found.append(_checked(actor.openid, _URI, "actor.openid", "a URI"))
    if not found:
        raise refuse("actor", f"An anonymous {actor.object_type}: no identifier")
    if len(found) > 1:
        raise refuse("actor", "More than one of account, mbox, mbox_sha1sum and openid")
    return found[0]


def session_of(statement: Statement) -> str | None:
    """The video session this statement belongs to, else its registration."""
    context = statement.context
    if context is None:
        return None
    named = (context.extensions or {}).get(VIDEO_SESSION)
    if named is None:
        return context.registration
    if not isinstance(named, str) or not named:
        raise refuse(f"context.extensions.{VIDEO_SESSION}", "Expected a string")
    return named


def without_identifiers(raw: bytes) -> Raw:
    """The statement as sent, except that nobody can be told from it any more.

    The actor keeps its kind only. Every other agent and group (authority, instructor, team …) keeps
    its kind and the home page of its account.
    """
    members: dict[str, Any] = _read_members(raw)
    for name, value in members.items():
        sent = bytes(value)
        if name == "actor":
            members[name] = _read_kind(sent)
        elif any(mark in sent for mark in _AGENT_MARKS):
            members[name] = _depersonalise(_read_exactly(sent))
    return Raw(_encode(members))


def _depersonalise(value: Any) -> Any:
    if isinstance(value, list):
        return [_depersonalise(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if not _is_agent(members):
        return {name: _depersonalise(member) for name, member in members.items()}
    kept = {n: _depersonalise(member) for n, member in members.items() if n not in _PERSONAL}
    account = members.get("account")
    if isinstance(account, dict) and "homePage" in account:
        kept["account"] = {"homePage": account["homePage"]}
    return kept


def _is_agent(members: dict[str, Any]) -> bool:
    return (
        members.get("objectType") in ("Agent", "Group")
        or isinstance(members.get("account"), dict)
        or not _IDENTIFIERS.isdisjoint(members)
    )


def _checked(text: str, pattern: re.Pattern[str], path: str, expected: str) -> str:
    if not pattern.fullmatch(text):
        raise refuse(path, f"Expected {expected}")
    return text
