"""Logs: JSON lines, with the trace they belong to, without secrets, from the level that is set."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from progress_context.errors import SettingsError
from progress_context.logs import without_secrets
from progress_context.settings import Settings

SECRET = "s3cr3t-p%40ss"
URL = f"postgresql://progress:{SECRET}@db.example:5432/progress"


def logged(script: str, level: str = "info") -> list[dict[str, Any]]:
    """The lines that a process writes."""
    before = f"import logging, structlog\nfrom progress_context import logs, tracing\nlogs.configure('a-service', {level!r})\n"
    done = subprocess.run([sys.executable, "-c", before + script], capture_output=True, text=True, check=True)
    assert SECRET not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_says_service_level_time_and_what_it_is_about() -> None:
    (line,) = logged("structlog.get_logger().warning('learner_parked', position=7, learner_key=3)")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "learner_parked", "level": "warning", "service": "a-service", "position": 7, "learner_key": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_says_what_is_written(level: str, written: int) -> None:
    script = "log = structlog.get_logger()\nfor name in ('debug', 'info', 'warning', 'error'): getattr(log, name)('x')"
    assert len(logged(script, level)) == written


def test_what_libraries_log_is_json_too() -> None:
    (line,) = logged(f"logging.getLogger('asyncpg').warning('cannot reach %s', {URL!r})")
    assert line["event"] == "cannot reach postgresql://progress:***@db.example:5432/progress"
    assert (line["logger"], line["level"], line["service"]) == ("asyncpg", "warning", "a-service")


def test_a_traceback_holds_no_local_variable_and_no_secret() -> None:
    script = f"""
def connect(url, learner_id):
    raise OSError(f"cannot connect to {{url}}")
try:
    connect({URL!r}, "ada-lovelace")
except OSError:
    structlog.get_logger().exception("append_failed", url={URL!r}, nested={{"dsn": {URL!r}}})
"""
    (line,) = logged(script)
    assert line["exception"][0]["exc_type"] == "OSError"
    assert [frame["name"] for frame in line["exception"][0]["frames"]] == ["<module>", "connect"]
    assert "ada-lovelace" not in json.dumps(line)
    assert line["nested"]["dsn"] == "postgresql://progress:***@db.example:5432/progress"


def test_a_line_within_a_span_names_its_trace() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    script = f"""
tracing.configure("a-service", "http://127.0.0.1:9")
with tracing.span("request", parent={{"traceparent": "00-{trace}-b7ad6b7169203331-00"}}):
    structlog.get_logger().info("inside")
structlog.get_logger().info("outside")
"""
    inside, outside = logged(script)
    assert inside["trace_id"] == trace
    assert "trace_id" not in outside


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"connecting to {URL}, again",
            "connecting to postgresql://progress:***@db.example:5432/progress, again",
        ),
        ("redis://:geheim@cache:6379/0", "redis://:***@cache:6379/0"),
        ("host=db password=geheim user=x", "host=db password=*** user=x"),
        ('{"password": "geheim", "user": "x"}', '{"password": "***", "user": "x"}'),
        ("http://db/?access_token=geheim&x=1", "http://db/?access_token=***&x=1"),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer ***"),
        ('{"lease": "shard 0", "token": 3}', '{"lease": "shard 0", "token": 3}'),
        ("listening on http://127.0.0.1:8401", "listening on http://127.0.0.1:8401"),
        (
            "http://127.0.0.1:8401/events from ada@example.org",
            "http://127.0.0.1:8401/events from ada@example.org",
        ),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize("variable", ["DATABASE_URL", "REDIS_URL", "PROGRESS_OTLP_ENDPOINT"])
def test_a_setting_that_may_hold_a_password_is_refused_without_it(variable: str) -> None:
    with pytest.raises(SettingsError, match=variable) as refused:
        Settings.from_environment({variable: f"progress:{SECRET}@db"})
    assert SECRET not in str(refused.value)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(
        SettingsError, match="PROGRESS_LOG_LEVEL='loud': must be debug, info, warning or error"
    ):
        Settings.from_environment({"PROGRESS_LOG_LEVEL": "loud"})
