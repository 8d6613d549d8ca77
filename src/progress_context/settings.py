"""Every setting, read from the environment once; each is described in docs/operations.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from progress_context.errors import SettingsError

PREFIX = "PROGRESS_"
WITHOUT_PREFIX = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}


def _setting(default: Any, parse: Callable[[str], Any], about: str, *, secret: bool = False) -> Any:
    """What may hold a secret does not show itself in a text of all settings."""
    return field(default=default, repr=not secret, metadata={"parse": parse, "about": about})


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


def _matching(pattern: str, complaint: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(complaint)
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
    try:
        is_folder = folder.is_dir()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if not is_folder:
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
        "",
        _url("postgresql", "postgres"),
        "PostgreSQL 15 or later; empty: `up` starts its own",
        secret=True,
    )
    redis_url: str = _setting(
        "",
        _url("redis", "rediss", "unix"),
        "Valkey or Redis for the response cache and rate limits; empty: none, or `up` starts its own",
        secret=True,
    )
    host: str = _setting("127.0.0.1", str, "the address the services listen on")
    auth: str = _setting(
        "auto",
        _one_of("auto", "off"),
        "auto: those who ask show a token where tokens are configured, and without them the services listen"
        " on the loopback address only; off: nobody is asked, wherever the services listen",
    )
    auth_jwks_url: str = _setting(
        "",
        _url("https", "http"),
        "the public keys that sign tokens, a JSON Web Key Set (RS256, ES256, EdDSA)",
    )
    auth_issuer: str = _setting("", str, "who issues tokens: their claim `iss`")
    auth_audience: str = _setting("", str, "for whom tokens must be: their claim `aud`")
    auth_secret: str = _setting(
        "",
        str,
        "secret of at least 32 bytes that signs tokens instead (HS256), for development only",
        secret=True,
    )
    auth_role_claim: str = _setting("role", str, "claim with the role: learner, coach, service or operator")
    auth_learners_claim: str = _setting("learners", str, "claim with the learners whom a coach may see")
    auth_groups_claim: str = _setting(
        "groups", str, "claim with the groups whom a coach may see; ids of their learners begin with `group/`"
    )
    auth_scope_claim: str = _setting("scope", str, "claim with the scopes; events:write is to send events")
    token: str = _setting("", str, "token with which `import` and `simulate --post` send events", secret=True)
    rate_limit: int = _setting(
        100, _whole(0, 10_000_000), "requests a minute of a learner or coach; 0: no limit"
    )
    rate_limit_service: int = _setting(
        6_000, _whole(0, 10_000_000), "requests a minute of a token with the role service; 0: no limit"
    )
    rate_limit_operator: int = _setting(
        1_000, _whole(0, 10_000_000), "requests a minute of an operator; 0: no limit"
    )
    rate_limit_anonymous: int = _setting(
        0,
        _whole(0, 10_000_000),
        "requests a minute of an address where nobody is asked who they are; 0: no limit",
    )
    https_seconds: int = _setting(
        0,
        _whole(0, 10**9),
        "seconds for which browsers shall ask over TLS only (Strict-Transport-Security), where TLS ends in"
        " front; 0: they are not told",
    )
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
    pull: bool = _setting(False, _flag, "the command service pulls events from the Pub/Sub subscriptions")
    push_audience: str = _setting(
        "", str, "audience of the tokens that Pub/Sub pushes with; empty: pushed messages are refused"
    )
    push_service_account: str = _setting(
        "", str, "e-mail of the service account that pushes; empty: pushed messages are refused"
    )
    push_jwks_url: str = _setting(
        "https://www.googleapis.com/oauth2/v3/certs",
        _url("https", "http"),
        "the keys that sign the tokens of pushes",
    )
    push_issuer: str = _setting("https://accounts.google.com", str, "who issues the tokens of pushes")
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
    news_max_age: timedelta = _setting(
        timedelta(hours=48),
        _hours,
        "hours; a streak or milestone of a learning day longer ago than that, when the log received what"
        " brought it, is not sent; 0: send none",
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
    pubsub_project: str = _setting(
        "",
        _matching("[a-z][a-z0-9.:-]{4,61}[a-z0-9]", "must be the id of a Google Cloud project"),
        "Google Cloud project whose Pub/Sub carries events between services; empty: PostgreSQL does",
    )
    pubsub_prefix: str = _setting(
        "",
        _matching("(?!goog)[A-Za-z][A-Za-z0-9._~+-]{0,99}", "must begin with a letter, not with goog"),
        "put in front of the names of all Pub/Sub topics and subscriptions",
    )
    pubsub_dead_letter_days: int = _setting(
        31, _whole(1, 31), "days that Pub/Sub keeps what it put aside after too many failed deliveries"
    )
    pubsub_push_endpoint: str = _setting(
        "",
        _url("https", "http"),
        "address of the command service, with /pubsub/push, to which Pub/Sub pushes the sources' messages;"
        " empty: they are pulled",
    )
    pubsub_schemas: Path | None = _setting(
        None,
        _folder,
        "folder with schemas of topics, such as learning-events.avsc or .proto: `pubsub apply` has Pub/Sub"
        " refuse what does not match them; empty: none",
    )
    graphql_depth: int = _setting(8, _whole(1, 100), "levels of fields in a GraphQL document, at most")
    graphql_cost: int = _setting(1_000, _whole(1, 1_000_000), "points a GraphQL request may cost, at most")
    graphql_aliases: int = _setting(50, _whole(0, 10_000), "aliases in a GraphQL document, at most")
    graphql_tokens: int = _setting(2_000, _whole(10, 100_000), "tokens in a GraphQL document, at most")
    graphql_body_bytes: int = _setting(256 * 1024, _whole(1024, 1 << 26), "largest body of a GraphQL request")
    graphql_seconds: int = _setting(
        10, _whole(1, 600), "seconds a GraphQL request may take; then it is stopped in the database too"
    )
    graphql_batch: int = _setting(0, _whole(0, 100), "most GraphQL requests in one body; 0: no batches")
    graphql_documents: Path | None = _setting(
        None, _folder, "folder with GraphQL documents, *.graphql, that clients may name by `documentId`"
    )
    cache: str = _setting(
        "redis",
        _one_of("off", "memory", "redis"),
        "keep GraphQL answers nowhere (off), in the process (memory), or in Redis too if REDIS_URL names one",
    )
    cache_memory_mb: int = _setting(
        64, _whole(0, 65_536), "megabytes of answers kept in each query process; 0: none, in Redis only"
    )
    cache_trust_ms: int = _setting(
        1_000,
        _whole(0, 10_000),
        "milliseconds for which the version of a learner is trusted once read, unless news come; 0: it is"
        " read for every request",
    )
    cache_redis_ms: int = _setting(
        50, _whole(1, 1_000), "milliseconds that Redis may take, before an answer is computed instead"
    )
    cache_ahead: int = _setting(
        1_000, _whole(0, 100_000), "learners asked about lately whose answers are computed ahead; 0: none"
    )
    cors_origins: str = _setting(
        "", str, "origins, separated by commas, whose pages may ask GraphQL, or * for all; empty: none"
    )
    live_poll_ms: int = _setting(
        2_000,
        _whole(50, 60_000),
        "milliseconds between looks at learners with subscriptions when no news comes",
    )
    live_operations: int = _setting(
        100, _whole(1, 10_000), "most operations at a time of one client with live updates"
    )
    live_slow_seconds: int = _setting(
        30, _whole(1, 600), "seconds in which a client with live updates must read; else it is closed"
    )
    live_init_seconds: int = _setting(
        10, _whole(1, 60), "seconds in which a WebSocket must send its connection_init"
    )
    graphiql: bool | None = _setting(
        None,
        _flag,
        "serve GraphiQL at /graphql to browsers; empty: only on the loopback address without authentication",
    )
    introspection: bool | None = _setting(
        None, _flag, "answer questions about the schema itself; empty: as GraphiQL by default"
    )
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "the least important log lines that are written"
    )
    otlp_endpoint: str = _setting(
        "",
        _url("http", "https"),
        "OpenTelemetry collector for traces (OTLP over HTTP), such as http://localhost:4318; empty: what"
        " OTEL_EXPORTER_OTLP_ENDPOINT says, else no traces",
    )

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
                    raise SettingsError(f"{variable}={_shown(variable, text)}: {error}") from None
        return cls(**values)


def _shown(variable: str, text: str) -> str:
    """A value for a message, which may be kept in a log: of what may hold a password, nothing."""
    secret = variable.endswith(("_URL", "_ENDPOINT", "_SECRET", "_PASSWORD", "_TOKEN", "_KEY"))
    return "…" if secret else repr(text)


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
