"""The calls of google.pubsub.v1.SchemaService. Topics allow all revisions of their schema."""

from __future__ import annotations

import uuid
from typing import Any

from google.pubsub_v1 import types

from pubsub_emulator.broker import Broker
from pubsub_emulator.listing import page
from pubsub_emulator.messages import check_name, message_class
from pubsub_emulator.publisher import Empty
from pubsub_emulator.refusal import already_exists, exhausted, invalid
from pubsub_emulator.revisions import compile_revision

MOST_REVISIONS = 20


class SchemaService:
    """Answers to unary calls; raises Refused."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def create_schema(self, request: Any) -> Any:
        """Raises ALREADY_EXISTS, INVALID_ARGUMENT."""
        name = f"{request.parent}/schemas/{request.schema_id}"
        check_name(name, "schemas")
        if name in self._broker.schemas:
            raise already_exists(name)
        revision = compile_revision(_identified(name, request.schema))
        self._broker.schemas[name] = [revision]
        return revision.config

    def commit_schema(self, request: Any) -> Any:
        """A new revision. Raises NOT_FOUND, INVALID_ARGUMENT, RESOURCE_EXHAUSTED after 20 of them."""
        revisions = self._broker.schema(request.name)
        if request.schema.type_ != revisions[0].config.type_:
            raise invalid("The type of a schema cannot be changed.")
        revision = compile_revision(_identified(request.name, request.schema))
        if len(revisions) == MOST_REVISIONS:
            raise exhausted("Already at maximum number of schema revisions")
        revisions.append(revision)
        return revision.config

    def get_schema(self, request: Any) -> Any:
        """The newest revision. Raises NOT_FOUND."""
        return self._viewed(request.name, request.view)

    def list_schemas(self, request: Any) -> Any:
        """The schemas of a project."""
        names = [name for name in self._broker.schemas if name.startswith(f"{request.parent}/")]
        answer = message_class("ListSchemasResponse")()
        chosen, answer.next_page_token = page(names, request)
        answer.schemas.extend(self._viewed(name, request.view) for name in chosen)
        return answer

    def delete_schema(self, request: Any) -> Any:
        """Its topics refuse all messages from now on. Raises NOT_FOUND."""
        self._broker.schema(request.name)
        self._broker.drop_schema(request.name)
        return Empty()

    def validate_schema(self, request: Any) -> Any:
        """Raises INVALID_ARGUMENT."""
        compile_revision(request.schema)
        return message_class("ValidateSchemaResponse")()

    def _viewed(self, name: str, view: int) -> Any:
        shown = message_class("Schema")()
        shown.CopyFrom(self._broker.schema(name)[-1].config)
        if view != types.SchemaView.FULL:
            shown.ClearField("definition")
        return shown


def _identified(name: str, schema: Any) -> Any:
    """The schema under its full name, with an id for this revision; one out of the journal keeps its own."""
    schema.name = name
    schema.revision_id = schema.revision_id or uuid.uuid4().hex[:8]
    return schema
