"""Every setting, read from the environment once; each is described in docs/operations.md."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from progress_context.errors import SettingsError

PREFIX = "PROGRESS_"
WITHOUT_PREFIX = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def _setting(default: Any, parse: Callable[[str], Any], about: str) -> Any:
    return field(default=default, metadata={"parse": parse, "about": about})


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(f"must be from {least:,} to {most:,}")
        return number

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    return parse


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("must be true or false")


def _minutes(text: str) -> timedelta:
    return timedelta(minutes=_whole(1, 1440)(text))


def _hours(text: str) -> timedelta:
    return timedelta(hours=_whole(0, 8760)(text))


def _folder(text: str) -> Path:
    folder = Path(text).expanduser()
    if not folder.is_dir():
        raise ValueError("must be an existing folder")
    return folder


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.split("://", 1)[0] not in schemes or "://" not in text:
            raise ValueError(f"must begin with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings with their defaults; `from_environment` reads them."""

    database_url: str = _setting(
        "", _url("postgresql", "postgres"), "PostgreSQL 15 or later; empty: `up` starts its own"
    )
    redis_url: str = _setting(
        "",
        _url("redis", "rediss", "unix"),
        "Valkey or Redis for the response cache; empty: none, or `up` starts its own",
    )
    host: str = _setting("127.0.0.1", str, "the address the services listen on")
    command_port: int = _setting(8401, _whole(1, 65535), "port of progress-command-service")
    query_port: int = _setting(8400, _whole(1, 65535), "port of progress-query-service and the dashboard")
    projection_port: int = _setting(8402, _whole(1, 65535), "port of progress-projection-service")
    default_time_zone: str = _setting("UTC", str, "IANA zone of learners whose events and profile name none")
    default_rollover_hour: int = _setting(
        0, _whole(0, 23), "wall-clock hour at which a learning day begins, unless the profile says"
    )
    max_clock_skew: timedelta = _setting(timedelta(hours=24), _hours, "hours an event may lie in the future")
    max_body_bytes: int = _setting(
        8 * 1024 * 1024, _whole(1024, 1 << 30), "largest request body, also after decompression"
    )
    max_batch_events: int = _setting(5_000, _whole(1, 1_000_000), "most events in one request")
    append_queue_events: int = _setting(
        50_000, _whole(1, 10_000_000), "most events that may wait to be appended; beyond: 429"
    )
    read_models: Path | None = _setting(None, _folder, "folder with read models of your own, *.sql")
    idle_gap: timedelta = _setting(
        timedelta(minutes=30), _minutes, "minutes; a longer gap within a session is not study time"
    )
    study_cap_seconds: int = _setting(
        14_400, _whole(60, 86_400), "study time of one session or activity counts up to this"
    )
    streak_grace: bool = _setting(False, _flag, "bridge a single missed day, once in any 7 days")
    page_events: int = _setting(
        5_000, _whole(1, 1_000_000), "most events folded in one commit while catching up"
    )
    shards: int = _setting(
        1, _whole(1, 256), "parts of the learners that projection services share; the same for all of them"
    )
    batch_seconds: int = _setting(
        300, _whole(1, 86_400), "seconds between batches, for read models that say `update: batch`"
    )
    snapshot_events: int = _setting(
        100_000, _whole(0, 10**9), "events between snapshots, at least a tenth of the log; 0: take none"
    )
    snapshots_kept: int = _setting(
        3, _whole(1, 100), "snapshots kept, the newest and others spread over the log"
    )
    rebuild: str = _setting(
        "auto",
        _one_of("auto", "ask", "never"),
        "what the projection service does about edited read models: rebuild them (auto), wait for `rebuild`"
        " and say so in its log (ask), or wait (never)",
    )
    poll_ms: int = _setting(
        250, _whole(1, 60_000), "milliseconds between looks at the log when no notification comes"
    )
    graphiql: bool = _setting(True, _flag, "serve GraphiQL at /graphql to browsers")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of `environment` (default: the process's); raises SettingsError naming the setting."""
        environment = os.environ if environment is None else environment
        known = {variable_of(f.name): f for f in fields(cls)}
        for variable in environment:
            if variable.startswith(PREFIX) and variable not in known:
                raise SettingsError(f"{variable} is no setting; `progress-context settings` lists them")
        values: dict[str, Any] = {}
        for variable, description in known.items():
            text = environment.get(variable, "").strip()
            if text:
                try:
                    values[description.name] = description.metadata["parse"](text)
                except ValueError as error:
                    raise SettingsError(f"{variable}={text!r}: {error}") from None
        return cls(**values)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return WITHOUT_PREFIX.get(name, PREFIX + name.upper())


def describe() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting, for `--help` and the docs."""
    return [(variable_of(f.name), show(f.default), f.metadata["about"]) for f in fields(Settings)]


def show(value: object) -> str:
    """A value as it would be written in the environment."""
    if isinstance(value, timedelta):
        hours, rest = divmod(int(value.total_seconds()), 3600)
        return str(hours) if not rest else str(int(value.total_seconds()) // 60)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
