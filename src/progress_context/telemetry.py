"""The metrics every service offers at /metrics; what is read from the database stands in engine/health.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
APPEND_LIMIT = Gauge("progress_append_limit_events", "Most events that may wait; beyond, senders see 429")
PARKED = Counter("progress_parked_total", "Events put aside because a read model could not take them")
FOLD_SECONDS = Histogram(
    "progress_fold_seconds", "One page folded into all realtime read models",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip
FOLDED = Counter("progress_events_folded_total", "Positions folded into the realtime read models")
BATCH_SECONDS = Histogram(
    "progress_batch_seconds", "One look of the batch at what is new, with all that it computed",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800),
)  # fmt: skip
SNAPSHOT_SECONDS = Histogram(
    "progress_snapshot_seconds", "One attempt to take a snapshot",
    buckets=(0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800, 7_200),
)  # fmt: skip
LEASE_CHANGES = Counter(
    "progress_lease_changes_total",
    "Leases that this process took or gave up, work that failed (taken, given_up, failed)",
    ["change"],
)
REQUEST_SECONDS = Histogram(
    "progress_request_seconds", "One HTTP request, by path and status of the answer", ["path", "code"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20),
)  # fmt: skip
NEWS = Counter("progress_news_total", "Streaks and milestones sent as events of our own", ["type"])
NEWS_FAILURES = Counter("progress_news_failures_total", "Attempts to look for news and send them that failed")
NEWS_POSITION = Gauge("progress_news_position", "Position up to which news were looked for and sent")
RELAY_LAG = Gauge("progress_relay_lag_events", "Events that the relay of this process has yet to publish")
PUBLISHED = Counter("progress_events_published_total", "Events that Pub/Sub accepted")
PUBLISH_SECONDS = Histogram(
    "progress_publish_seconds", "One page of events published, from its reading to the last answer",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 20, 60),
)  # fmt: skip
PUBLISH_ERRORS = Counter(
    "progress_publish_errors_total", "Requests to publish that failed, by Google's code", ["code"]
)
UNPUBLISHED = Counter("progress_events_unpublished_total", "Events that Pub/Sub refused for what they are")
MESSAGES_RECEIVED = Counter("progress_messages_received_total", "Messages with news of the log received")
MESSAGES_ACKNOWLEDGED = Counter("progress_messages_acknowledged_total", "Messages with news acknowledged")
MESSAGES_OUTSTANDING = Gauge(
    "progress_messages_outstanding", "Messages with news that wait until the read models are as far"
)
INTAKE_RECEIVED = Counter(
    "progress_intake_messages_received_total", "Messages from other contexts received", ["subscription"]
)
INTAKE_SETTLED = Counter(
    "progress_intake_messages_settled_total",
    "Messages from other contexts by what they became: stored, dead_letter",
    ["subscription", "outcome"],
)
DEAD_LETTERS = Gauge(
    "progress_dead_letters_waiting", "Messages that could not be stored and wait for a person"
)
PULL_RESTARTS = Counter(
    "progress_pull_restarts_total",
    "Streams from Pub/Sub that ended, by Google's code",
    ["subscription", "code"],
)
QUERY_SECONDS = Histogram(
    "progress_graphql_seconds",
    "One GraphQL request, by the name its sender gave it: the first 50 names, then `other`",
    ["operation"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
GRAPHQL_ERRORS = Counter("progress_graphql_errors_total", "Errors in GraphQL answers, by code", ["code"])
for fault in ("INTERNAL_ERROR", "UNAVAILABLE"):
    GRAPHQL_ERRORS.labels(fault)  # so that the first one is a step from nought, not from nothing
QUERY_ANSWERS = Counter(
    "progress_graphql_answers_total",
    "GraphQL answers, by what executed them: one planned statement, or graphql-core",
    ["executor"],
)
QUERY_TRIP = Histogram(
    "progress_graphql_trip_questions", "Planned statements that shared a round trip to PostgreSQL",
    buckets=(1, 2, 4, 8, 16),
)  # fmt: skip
CACHE_REQUESTS = Counter(
    "progress_cache_requests_total",
    "Answers looked for in the response cache, by layer (memory, redis) and outcome (hit, miss)",
    ["layer", "outcome"],
)
CACHE_VERSIONS = Counter(
    "progress_cache_versions_total",
    "Versions of learners that requests needed: read from the database, or trusted for a moment",
    ["source"],
)
CACHE_BYTES = Gauge("progress_cache_bytes", "Bytes of answers kept in this process")
CACHE_EVICTIONS = Counter("progress_cache_evictions_total", "Answers that had to make room for others")
CACHE_SHARED = Counter(
    "progress_cache_shared_total", "Requests that waited for an answer somebody else was having computed"
)
CACHE_REDIS_ERRORS = Counter(
    "progress_cache_redis_errors_total",
    "Requests to Redis that failed: slow, failed, refused (a write), damaged (a value)",
    ["kind"],
)
CACHE_AHEAD = Counter("progress_cache_ahead_total", "Answers computed ahead, before somebody asked")
LIVE_CLIENTS = Gauge(
    "progress_live_clients",
    "Clients with live updates connected, by transport (websocket, sse)",
    ["transport"],
)
LIVE_OPERATIONS = Gauge("progress_live_operations", "Subscriptions under way")
LIVE_COMPUTED = Counter(
    "progress_live_payloads_computed_total",
    "Payloads of subscriptions computed; each goes to everyone who wants the same",
    ["subscription"],
)
LIVE_SENT = Counter("progress_live_payloads_sent_total", "Payloads of subscriptions written to clients")
LIVE_CLOSED = Counter(
    "progress_live_closed_total", "Sockets closed by the service, by the code of the protocol", ["code"]
)
RATE_LIMITED = Counter(
    "progress_rate_limited_total", "GraphQL requests refused because there were too many, by role", ["role"]
)
RATE_LIMITER_ALONE = Counter(
    "progress_rate_limiter_alone_total", "Times that this process began to count alone, without Redis"
)
POOL_CONNECTIONS = Gauge(
    "progress_pool_connections", "Connections to PostgreSQL: open, idle, and at most (max)", ["state"]
)

MAX_OPERATIONS = 50
SERVER_ERRORS = (500, 503)

_requests: dict[tuple[str, int], Histogram] = {}
_operations: dict[str, Histogram] = {}


def expect_requests(path: str) -> None:
    """Begin to count at a path, so that its first server error is a step from nought, not from nothing."""
    for code in SERVER_ERRORS:
        _requests[path, code] = REQUEST_SECONDS.labels(path, str(code))


def observe_request(path: str, code: int, seconds: float) -> None:
    """A request was answered; `path` must be one of a service's own, whatever was asked for."""
    known = _requests.get((path, code))
    if known is None:
        known = _requests[path, code] = REQUEST_SECONDS.labels(path, str(code))
    known.observe(seconds)


def operation_seconds(name: str | None) -> Histogram:
    """The clock of a GraphQL operation; senders choose names, so only the first few get one of their own."""
    name = (name or "anonymous")[:64]
    if name not in _operations and len(_operations) >= MAX_OPERATIONS:
        name = "other"
    if name not in _operations:
        _operations[name] = QUERY_SECONDS.labels(name)
    return _operations[name]


def watch_pool(state: Mapping[str, Callable[[], float]]) -> None:
    """Show how many connections a pool has; asked for at every scrape."""
    for name, count in state.items():
        POOL_CONNECTIONS.labels(name).set_function(count)
