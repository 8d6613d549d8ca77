"""Schemas, and what they do to messages, asked of ours and of Google's own emulator."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import Encoding, Schema, SchemaView, Topic

from pubsub_emulator.client import Clients

Call = Callable[[Clients], Awaitable[Any]]

AVRO, PROTOBUF = Schema.Type.AVRO, Schema.Type.PROTOCOL_BUFFER
MESSAGE = 'syntax = "proto3";\nmessage Answer { string item = 1; }\n'
GONE, TAKEN, WRONG = exceptions.NotFound, exceptions.AlreadyExists, exceptions.InvalidArgument


def record(**fields: Any) -> str:
    """An Avro definition with these fields."""
    named = [{"name": name, "type": type_} for name, type_ in fields.items()]
    return json.dumps({"type": "record", "name": "Answer", "fields": named})


ANSWER = record(item="string", seconds=["null", "long"])


def create(definition: str, type_: Schema.Type = AVRO, name: str = "answers") -> Call:
    """Creates a schema."""

    def call(clients: Clients) -> Awaitable[Schema]:
        schema = Schema(type_=type_, definition=definition)
        request = {"parent": f"projects/{clients.project}", "schema_id": name, "schema": schema}
        return clients.schemas.create_schema(request)

    return call


def commit(definition: str, type_: Schema.Type = AVRO, name: str = "answers") -> Call:
    """Commits a new revision."""

    def call(clients: Clients) -> Awaitable[Schema]:
        schema = Schema(name=clients.schema(name), type_=type_, definition=definition)
        return clients.schemas.commit_schema({"name": schema.name, "schema": schema})

    return call


def validate(definition: str) -> Call:
    """Asks whether a definition is one."""
    return lambda clients: clients.schemas.validate_schema(
        parent=f"projects/{clients.project}", schema=Schema(type_=AVRO, definition=definition)
    )


def get(view: SchemaView, name: str = "answers") -> Call:
    """The newest revision."""
    return lambda clients: clients.schemas.get_schema({"name": clients.schema(name), "view": view})


def topic(clients: Clients, schema: str, encoding: Encoding = Encoding.JSON) -> Topic:
    """A topic with a schema."""
    settings = {"schema": clients.schema(schema), "encoding": encoding}
    return Topic(name=clients.topic("events"), schema_settings=settings)


def update(schema: str) -> Call:
    """Gives the topic another schema."""
    mask = FieldMask(paths=["schema_settings"])
    return lambda clients: clients.publisher.update_topic(
        {"topic": topic(clients, schema), "update_mask": mask}
    )


def publish(data: Any) -> Call:
    """Publishes data, as JSON unless they are a text."""
    text = data if isinstance(data, str) else json.dumps(data)
    return lambda clients: clients.publish(clients.topic("events"), text)


ERRORS: dict[str, tuple[type[Exception], Call]] = {
    "create a schema again": (TAKEN, create(ANSWER)),
    "create a schema of a short name": (WRONG, create(ANSWER, name="ab")),
    "create a schema of Google's": (WRONG, create(ANSWER, name="google-answers")),
    "create a schema of no type": (WRONG, create(ANSWER, Schema.Type.TYPE_UNSPECIFIED, "other")),
    "define what is not JSON": (WRONG, create("{", name="other")),
    "define a number": (WRONG, create("3", name="other")),
    "define an unknown type": (WRONG, create('{"type": "nonsense", "name": "x"}', name="other")),
    "define a record without fields": (WRONG, create('{"type": "record", "name": "x"}', name="other")),
    "define a field of an unknown type": (WRONG, create(record(item="nonsense"), name="other")),
    "define too much": (WRONG, create(record(**{"x" * 300_001: "string"}), name="other")),
    "define no message": (WRONG, create("nonsense", PROTOBUF, name="other")),
    "define half a message": (WRONG, create("message M { string a = 1;", PROTOBUF, name="other")),
    "commit to no schema": (GONE, commit(ANSWER, name="none")),
    "commit what is not JSON": (WRONG, commit("{")),
    "commit another type": (WRONG, commit(MESSAGE, PROTOBUF)),
    "validate what is not JSON": (WRONG, validate("{")),
    "get no schema": (GONE, get(SchemaView.FULL, "none")),
    "delete no schema": (GONE, lambda c: c.schemas.delete_schema(name=c.schema("none"))),
    "create a topic with no schema": (GONE, lambda c: c.publisher.create_topic(topic(c, "none"))),
    "create a topic with no encoding": (
        WRONG,
        lambda c: c.publisher.create_topic(topic(c, "answers", Encoding.ENCODING_UNSPECIFIED)),
    ),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_what_is_wrong_is_refused_with_its_code(clients: Clients, what: str) -> None:
    await create(ANSWER)(clients)
    expected, call = ERRORS[what]
    with pytest.raises(expected):
        await call(clients)


async def test_a_definition_is_shown_as_it_was_given_and_only_when_asked_for(clients: Clients) -> None:
    await create(f"\n {ANSWER}\n\n")(clients)
    full: Schema = await get(SchemaView.FULL)(clients)
    assert (full.type_, full.definition) == (AVRO, f"\n {ANSWER}\n\n")
    assert (await get(SchemaView.BASIC)(clients)).definition == ""


async def test_a_list_shows_no_definitions(clients: Clients) -> None:
    await create(ANSWER)(clients)
    listed = await clients.schemas.list_schemas(parent=f"projects/{clients.project}")
    assert [(each.name, each.definition) async for each in listed] == [(clients.schema("answers"), "")]


async def test_protocol_buffers_are_taken(clients: Clients) -> None:
    await create(MESSAGE, PROTOBUF)(clients)
    assert (await get(SchemaView.FULL)(clients)).type_ == PROTOBUF


async def test_a_commit_makes_a_new_revision(clients: Clients) -> None:
    first: Schema = await create(ANSWER)(clients)
    second: Schema = await commit(record(item="string"))(clients)
    assert second.revision_id != first.revision_id
    assert (await get(SchemaView.FULL)(clients)).definition == record(item="string")


async def test_a_schema_has_20_revisions_at_most(clients: Clients) -> None:
    await create(ANSWER)(clients)
    for _ in range(19):
        await commit(ANSWER)(clients)
    with pytest.raises(exceptions.ResourceExhausted):
        await commit(ANSWER)(clients)


MESSAGES: dict[str, tuple[bool, Any]] = {
    "all fields": (True, {"item": "a", "seconds": {"long": 3}}),
    "null": (True, {"item": "a", "seconds": None}),
    "fields that are not named": (True, {"item": "a", "seconds": None, "more": 1}),
    "fields in another order": (True, {"seconds": None, "item": "a"}),
    "a value of a union without its type": (False, {"item": "a", "seconds": 3}),
    "a value of a union of another type": (False, {"item": "a", "seconds": {"string": "3"}}),
    "a flag for a number": (False, {"item": "a", "seconds": {"long": True}}),
    "a field that may be null left out": (False, {"item": "a"}),
    "a required field left out": (False, {"seconds": None}),
    "a number for a text": (False, {"item": 1, "seconds": None}),
    "a list": (False, []),
    "no JSON": (False, "nonsense"),
}


@pytest.mark.parametrize("data", MESSAGES)
async def test_only_data_that_match_can_be_published(clients: Clients, data: str) -> None:
    await create(ANSWER)(clients)
    await clients.publisher.create_topic(topic(clients, "answers"))
    matches, value = MESSAGES[data]
    if matches:
        await publish(value)(clients)
    else:
        with pytest.raises(WRONG):
            await publish(value)(clients)


NESTED = {
    "type": "record",
    "name": "Tree",
    "namespace": "n",
    "fields": [
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["LEAF", "NODE"]}},
        {"name": "tags", "type": {"type": "map", "values": "boolean"}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "below", "type": {"type": "array", "items": "n.Tree"}},
    ],
}
LEAF = {"kind": "LEAF", "tags": {"new": True}, "at": 1, "below": []}


@pytest.mark.parametrize(
    ("matches", "value"),
    [
        (True, {**LEAF, "below": [LEAF, LEAF]}),
        (False, {**LEAF, "kind": "ROOT"}),
        (False, {**LEAF, "tags": {"new": 1}}),
        (False, {**LEAF, "below": [{"kind": "LEAF"}]}),
    ],
)
async def test_records_lists_maps_and_choices_are_looked_into(
    clients: Clients, matches: bool, value: Any
) -> None:
    await create(json.dumps(NESTED))(clients)
    await clients.publisher.create_topic(topic(clients, "answers"))
    if matches:
        await publish(value)(clients)
    else:
        with pytest.raises(WRONG):
            await publish(value)(clients)


async def test_a_message_may_match_any_revision_and_says_which(clients: Clients) -> None:
    first: Schema = await create(record(old="string"))(clients)
    name = clients.topic("events")
    await clients.publisher.create_topic(topic(clients, "answers"))
    await clients.subscriber.create_subscription(name=clients.subscription("reader"), topic=name)
    second: Schema = await commit(record(new="string"))(clients)
    await publish({"old": "a"})(clients)
    await publish({"new": "a"})(clients)
    received = [each for _ in range(2) for each in await clients.pull(clients.subscription("reader"), 1)]
    attributes = {each.message.data: dict(each.message.attributes) for each in received}
    assert attributes == {
        json.dumps({field: "a"}).encode(): {
            "googclient_schemaname": clients.schema("answers"),
            "googclient_schemaencoding": "JSON",
            "googclient_schemarevisionid": revision.revision_id,
        }
        for field, revision in (("old", first), ("new", second))
    }


async def test_a_topic_gets_a_schema_and_is_rid_of_it(clients: Clients) -> None:
    await clients.topic_with()
    await create(ANSWER)(clients)
    await publish("anything")(clients)
    after: Topic = await update("answers")(clients)
    assert after.schema_settings.schema == clients.schema("answers")
    with pytest.raises(WRONG):
        await publish("anything")(clients)
    with pytest.raises(GONE):
        await update("none")(clients)
    await clients.publisher.update_topic(
        {"topic": {"name": clients.topic("events")}, "update_mask": FieldMask(paths=["schema_settings"])}
    )
    await publish("anything")(clients)


async def test_without_its_schema_a_topic_refuses_everything_until_it_gets_one_again(
    clients: Clients,
) -> None:
    await create(ANSWER)(clients)
    await clients.publisher.create_topic(topic(clients, "answers"))
    await clients.schemas.delete_schema(name=clients.schema("answers"))
    await create(ANSWER)(clients)  # under the same name, which is not enough
    found = await clients.publisher.get_topic(topic=clients.topic("events"))
    assert found.schema_settings.schema == "_deleted-schema_"
    with pytest.raises(GONE):
        await publish({"item": "a", "seconds": None})(clients)
    await update("answers")(clients)
    await publish({"item": "a", "seconds": None})(clients)
