"""Cached answers as values: their keys, and how they lie in Redis, where anything may happen to them."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
from graphql import print_schema

from progress_context import __version__
from progress_context.query.cache_versions import Seen
from progress_context.query.roots import ROOTS
from progress_context.query.served import Served

FORMAT = b"pc2\n"  # raise the number when the key or the form of an entry changes its meaning
CHECK_BYTES = 16
_HEAD = struct.Struct(f">4s32s{CHECK_BYTES}sd")
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer without its extensions. `until` is in seconds since 1970; `tag` is its entity tag."""

    data: bytes
    until: float
    tag: str

    @property
    def size(self) -> int:
        """About the bytes of memory it takes."""
        return len(self.data) + 300


def entry(data: bytes, until: float) -> Entry:
    """An answer, tagged. The tag is weak: two with the same may name different positions."""
    return Entry(data, until, _tag(data))


def key_of(
    served: bytes, text: str, operation: str | None, variables: Mapping[str, Any], whose: object, seen: Seen
) -> bytes:
    """32 bytes that stand for the question and all that its answer depends on.

    `served` stands for the definitions in force, `whose` for what the one who asks may see.
    """
    question = (text, operation, variables, whose, seen.generation, seen.learners)
    return blake2b(_encode(question), key=served, digest_size=32).digest()


def packed(key: bytes, value: Entry) -> bytes:
    """An entry as bytes that know their key and tell when they were damaged."""
    return _HEAD.pack(FORMAT, key, _check(key, value.until, value.tag), value.until) + value.data


def unpacked(key: bytes, raw: bytes) -> Entry | None:
    """The entry in these bytes; None when it is not whole, or not the one of this key."""
    if len(raw) < _HEAD.size:
        return None
    form, of, check, until = _HEAD.unpack_from(raw)
    value = entry(raw[_HEAD.size :], until)
    return value if form == FORMAT and of == key and check == _check(key, until, value.tag) else None


def _tag(data: bytes) -> str:
    return f'W/"{blake2b(data, digest_size=16).hexdigest()}"'


def _check(key: bytes, until: float, tag: str) -> bytes:
    """What only the bytes have that were written: the tag stands for the data."""
    return blake2b(b"%a %a" % (until, tag), key=key, digest_size=CHECK_BYTES).digest()


def identity_of(served: Served) -> bytes:
    """32 bytes, standing for all definitions in force: of read models, questions, types; and this release."""
    hasher = blake2b(__version__.encode(), digest_size=32)
    for model in sorted(served.catalog, key=lambda model: model.name):
        hasher.update(repr((model.name, model.fingerprint, model.text)).encode())
    hasher.update(repr((served.catalog.policy, served.binder.default)).encode())
    hasher.update(print_schema(served.schema).encode())
    for name, root in sorted(ROOTS.items()):
        hasher.update(repr((name, root.question, sorted(root.lists.items()))).encode())
    return hasher.digest()
