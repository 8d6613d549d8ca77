"""Revisions of a schema, and what they do to published messages. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.pubsub_v1 import types

from pubsub_emulator.avro import Matches, compile_avro
from pubsub_emulator.refusal import invalid

AVRO, PROTOCOL_BUFFER = int(types.Schema.Type.AVRO), int(types.Schema.Type.PROTOCOL_BUFFER)
JSON = types.Encoding.JSON
LARGEST = 300_000  # bytes of a definition
MESSAGE = re.compile(r"\bmessage\s+\w+\s*\{[^{]*\}")  # the innermost one


@dataclass(frozen=True)
class Revision:
    """A revision as the API shows it, and whether a JSON value matches it."""

    config: Any
    matches: Matches


def compile_revision(schema: Any) -> Revision:
    """Raise INVALID_ARGUMENT for a definition that Google would refuse.

    Of protocol buffers only a message in brackets is looked for, and all data match them.
    """
    if schema.type_ not in (AVRO, PROTOCOL_BUFFER):
        raise invalid("Invalid schema type")
    if len(schema.definition.encode()) > LARGEST:
        raise invalid(f"Schema definition is too large: {LARGEST} bytes are allowed.")
    if schema.type_ == PROTOCOL_BUFFER:
        if not MESSAGE.search(schema.definition):
            raise invalid("Could not parse schema definition")
        return Revision(schema, lambda _: True)
    try:
        return Revision(schema, compile_avro(schema.definition))
    except (ValueError, RecursionError):
        raise invalid("Could not parse schema definition") from None


def conform(revisions: Sequence[Revision], settings: Any, messages: Iterable[Any]) -> None:
    """Write into each message the newest revision that it matches; INVALID_ARGUMENT if there is none.

    Data in binary are taken as they come.
    """
    for message in messages:
        revision = _matched(revisions, message.data) if settings.encoding == JSON else revisions[-1]
        message.attributes.update(
            {
                "googclient_schemaname": settings.schema,
                "googclient_schemaencoding": types.Encoding(settings.encoding).name,
                "googclient_schemarevisionid": revision.config.revision_id,
            }
        )


def _matched(revisions: Sequence[Revision], data: bytes) -> Revision:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise invalid("Could not parse message") from None
    for revision in reversed(revisions):
        if revision.matches(value):
            return revision
    raise invalid("Could not parse message")
