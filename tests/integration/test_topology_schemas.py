"""`pubsub diff` and `pubsub apply` with schemas of topics, which are files in a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from google.api_core.exceptions import InvalidArgument
from google.pubsub_v1.types import Encoding, PubsubMessage, Schema, SchemaView, Topic

from pubsub_commands import Run
from pubsub_emulator.client import Clients

TOPIC = "learning-events"
MESSAGE = 'syntax = "proto3";\nmessage Answer { string item = 1; }\n'

# Cyclopts wonders about reading the arguments of a process whose tests it can see.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked:UserWarning")


def record(*fields: str) -> str:
    """An Avro definition of texts."""
    named = [{"name": name, "type": "string"} for name in fields]
    return json.dumps({"type": "record", "name": "Answer", "fields": named}, indent=1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of schemas, with one for learning-events, and a file that is none."""
    (tmp_path / f"{TOPIC}.avsc").write_text(record("item"))
    (tmp_path / "README.md").write_text("no schema")
    monkeypatch.setenv("PROGRESS_PUBSUB_SCHEMAS", str(tmp_path))
    return tmp_path


async def topic(clients: Clients, name: str = TOPIC) -> Topic:
    return await clients.publisher.get_topic(topic=clients.topic(name))


async def definition(clients: Clients, name: str = TOPIC) -> str:
    request = {"name": clients.schema(name), "view": SchemaView.FULL}
    return (await clients.schemas.get_schema(request)).definition


async def send(clients: Clients, data: object) -> None:
    message = PubsubMessage(data=json.dumps(data).encode())
    await clients.publisher.publish(topic=clients.topic(TOPIC), messages=[message])


async def test_a_schema_is_made_with_its_topic_and_then_left_alone(
    clients: Clients, run: Run, folder: Path
) -> None:
    code, said = run("diff")
    assert (code, said.index(f"create schema {TOPIC}") < said.index(f"create topic {TOPIC}")) == (1, True)
    assert run("apply", "--yes")[0] == 0
    settings = (await topic(clients)).schema_settings
    assert (settings.schema, settings.encoding) == (clients.schema(TOPIC), Encoding.JSON)
    assert not (await topic(clients, "user-events")).schema_settings
    await send(clients, {"item": "apple"})
    with pytest.raises(InvalidArgument):
        await send(clients, {"thing": "apple"})
    assert run("diff")[0] == 0
    (folder / f"{TOPIC}.avsc").write_text(f"\n{record('item')}\n\n")
    assert run("diff")[0] == 0


async def test_a_topic_that_exists_gets_its_schema(clients: Clients, run: Run, folder: Path) -> None:
    assert run("apply", "--yes", PROGRESS_PUBSUB_SCHEMAS="")[0] == 0
    code, said = run("diff")
    assert (code, f"change topic {TOPIC}" in " ".join(said.split())) == (1, True)
    assert run("apply", "--yes")[0] == 0
    assert (await topic(clients)).schema_settings.schema == clients.schema(TOPIC)
    assert run("diff")[0] == 0
    assert run("diff", PROGRESS_PUBSUB_SCHEMAS="")[0] == 0  # without a file it is not ours to judge


async def test_an_edited_file_becomes_a_new_revision(clients: Clients, run: Run, folder: Path) -> None:
    run("apply", "--yes")
    (folder / f"{TOPIC}.avsc").write_text(record("item", "note"))
    code, said = run("diff")
    assert (code, '+   "name": "note"' in said) == (1, True)
    assert run("apply", "--yes")[0] == 0
    assert await definition(clients) == record("item", "note")
    await send(clients, {"item": "apple"})  # what matches an older revision is taken as well
    await send(clients, {"item": "apple", "note": "red"})


async def test_a_schema_that_was_deleted_is_made_anew(clients: Clients, run: Run, folder: Path) -> None:
    run("apply", "--yes")
    await clients.schemas.delete_schema(name=clients.schema(TOPIC))
    code, said = run("diff")
    assert (code, "_deleted-schema_" in said) == (1, True)
    assert run("apply", "--yes")[0] == 0
    await send(clients, {"item": "apple"})
    assert run("diff")[0] == 0


async def test_another_type_cannot_be_committed_and_the_topic_stays_as_it_is(
    clients: Clients, run: Run, folder: Path
) -> None:
    run("apply", "--yes")
    (folder / f"{TOPIC}.avsc").unlink()
    (folder / f"{TOPIC}.proto").write_text(MESSAGE)
    code, said = run("apply", "--yes")
    assert (code, "CANNOT BE CHANGED" in said, "schemas delete" in said) == (1, True, True)
    assert await definition(clients) == record("item")


async def test_a_topic_gets_no_schema_that_is_not_the_one_in_the_file(
    clients: Clients, run: Run, folder: Path
) -> None:
    parent = f"projects/{clients.project}"
    other = Schema(type_=Schema.Type.PROTOCOL_BUFFER, definition=MESSAGE)
    await clients.schemas.create_schema({"parent": parent, "schema_id": TOPIC, "schema": other})
    assert run("apply", "--yes")[0] == 1
    assert not (await topic(clients)).schema_settings


async def test_a_schema_that_google_refuses_is_told_in_a_line(
    clients: Clients, run: Run, folder: Path
) -> None:
    (folder / f"{TOPIC}.avsc").write_text('{"type": "nonsense"}')
    code, said = run("apply", "--yes")
    assert code != 0
    assert clients.schema(TOPIC) in said
    assert "Traceback" not in said


async def test_names_stand_behind_the_prefix(clients: Clients, run: Run, folder: Path) -> None:
    run("apply", "--yes", PROGRESS_PUBSUB_PREFIX="x-")
    assert (await topic(clients, f"x-{TOPIC}")).schema_settings.schema == clients.schema(f"x-{TOPIC}")


WRONG = {
    "no topic": ("learnin-events.avsc", record("item").encode(), "named after none of the topics"),
    "empty": ("user-events.avsc", b" \n", "is empty"),
    "no JSON": ("user-events.avsc", b"{", "is not JSON"),
    "no text": ("user-events.proto", b"\xff\xfe", "is not UTF-8"),
    "too large": ("user-events.proto", b"/" * 300_001, "300,001 bytes"),
    "two of them": (f"{TOPIC}.proto", MESSAGE.encode(), "keep one"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.usefixtures("clients")
def test_a_file_that_is_wrong_is_named(run: Run, folder: Path, what: str) -> None:
    name, content, reason = WRONG[what]
    (folder / name).write_bytes(content)
    code, said = run("diff")
    assert code == 2
    assert "PROGRESS_PUBSUB_SCHEMAS" in said
    assert name in said
    assert reason in " ".join(said.split())


@pytest.mark.usefixtures("clients")
def test_a_folder_that_is_not_there_is_named(run: Run) -> None:
    code, said = run("diff", PROGRESS_PUBSUB_SCHEMAS="/no/such/folder")
    assert (code, "PROGRESS_PUBSUB_SCHEMAS" in said) == (2, True)
