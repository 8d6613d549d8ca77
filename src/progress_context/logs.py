"""Logs: JSON lines on standard error, with the trace they belong to and without secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from progress_context import tracing

LEVELS = ("debug", "info", "warning", "error")

_SECRETS = (
    (re.compile(r"(?<=://)([^\s:/@\"'\\]*):[^\s\"'\\]*@"), r"\1:***@"),  # a password in an address
    (re.compile(r"(?i)\b(password|passwd|secret|\w*token|api_?key)=[^\s\"'\\&;,)]+"), r"\1=***"),
    (re.compile(r"(?i)(\"(?:password|passwd|secret|\w*token|api_?key)\\?\": ?\\?\")[^\"\\]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
)


def configure(service: str, level: str = "info") -> None:
    """JSON lines on standard error; on a terminal, readable ones. What libraries log takes the same way.

    Passwords, tokens and local variables never get into a line.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    pretty = sys.stderr.isatty()
    render = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    before = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if pretty else _exceptions,
    ]
    structlog.configure(
        processors=[*before, render, _hide],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _take_over_libraries(max(threshold, logging.WARNING), before, render)


def without_secrets(text: str) -> str:
    """`text` with *** in place of passwords in addresses, and of what follows `password=` and the like."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


_exceptions = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def _add_trace(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if (trace_id := tracing.trace_id()) is not None:
        line["trace_id"] = trace_id
    return line


def _hide(_logger: object, _method: str, rendered: Any) -> str:
    return without_secrets(rendered)


def _take_over_libraries(threshold: int, before: list[Any], render: Any) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*before[:-1], structlog.stdlib.add_logger_name],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            before[-1],
            render,
            _hide,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=threshold, force=True)
