"""Schemas of topics as files in a folder, each named after its topic: `learning-events.avsc`."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from progress_context.delivery.topology import Schema
from progress_context.errors import SettingsError
from progress_context.settings import variable_of

TYPES = {".avsc": "avro", ".proto": "protobuf"}
LARGEST = 300_000  # bytes of a definition that Google takes


def read_schemas(folder: Path, topics: Collection[str]) -> list[Schema]:
    """The schemas of a folder by topic; files of other endings are none.

    Raises SettingsError, naming the file, for what cannot be read, cannot be a definition, or belongs to no
    topic or to one that has a schema already.
    """
    found: dict[str, Path] = {}
    for path in _files(folder):
        topic = path.stem
        if topic not in topics:
            raise _wrong(f"{path} is named after none of the topics: {', '.join(topics)}")
        if topic in found:
            raise _wrong(f"{found[topic]} and {path} are both schemas of {topic}: keep one")
        found[topic] = path
    return [Schema(topic, TYPES[path.suffix], _definition(path)) for topic, path in found.items()]


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in TYPES)
    except OSError as error:
        raise _wrong(f"{folder} cannot be read: {error.strerror}") from error


def _definition(path: Path) -> str:
    try:
        content = path.read_bytes()
        text = content.decode().strip()
    except OSError as error:
        raise _wrong(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(f"{path} is not UTF-8") from error
    if not text:
        raise _wrong(f"{path} is empty")
    if len(content) > LARGEST:
        raise _wrong(f"{path} has {len(content):,} bytes; Google takes {LARGEST:,} at most")
    if path.suffix == ".avsc":
        _check_json(path, text)
    return text


def _check_json(path: Path, text: str) -> None:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{path} is not JSON: {error}") from error


def _wrong(reason: str) -> SettingsError:
    return SettingsError(f"{variable_of('pubsub_schemas')}: {reason}")
