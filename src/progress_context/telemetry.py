"""Logs as JSON lines, and the metrics every service offers at /metrics."""

from __future__ import annotations

import logging
import sys

import structlog
from prometheus_client import Counter, Gauge, Histogram

APPENDED = Counter("progress_events_appended_total", "Events answered by the log, by outcome", ["status"])
UNKNOWN_TYPES = Counter("progress_events_unknown_type_total", "Stored events of a type nobody described")
APPEND_SECONDS = Histogram(
    "progress_append_seconds", "From taking a group out of the queue to its commit",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip
APPEND_GROUP_EVENTS = Histogram(
    "progress_append_group_events", "Events that shared a commit",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000),
)  # fmt: skip
APPEND_WAITING = Gauge("progress_append_waiting_events", "Events waiting for a commit")
HEAD_POSITION = Gauge("progress_log_position", "Last position of the log, as this service knows it")
CHECKPOINT_POSITION = Gauge(
    "progress_checkpoint_position",
    "Position the realtime read models reflect, by shard of learners",
    ["shard"],
)
CHECKPOINT_MOVED = Gauge("progress_checkpoint_moved_timestamp_seconds", "When the checkpoint moved last")
LAG_EVENTS = Gauge(
    "progress_lag_events",
    "Events in the log that the realtime read models do not reflect, by shard",
    ["shard"],
)
PARKED = Counter("progress_parked_total", "Events put aside because a read model could not take them")
FOLD_SECONDS = Histogram(
    "progress_fold_seconds", "One page folded into all realtime read models",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip
FOLDED = Counter("progress_events_folded_total", "Positions folded into the realtime read models")
QUERY_SECONDS = Histogram(
    "progress_graphql_seconds", "One GraphQL request", ["operation"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip


def configure_logging(service: str, level: int = logging.INFO) -> None:
    """JSON lines on standard error; on a terminal, readable ones."""
    pretty = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks if not pretty else structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
