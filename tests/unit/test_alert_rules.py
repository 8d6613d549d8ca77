"""Each alert rule: the figures at which it fires, and those just before."""

from __future__ import annotations

import pytest

from acceptance.monitored import active, rules
from scrapes import Scrapes

LATER = 60.0  # seconds between two scrapes
BUCKETS = (
    '{name}_bucket{{le="0.5"}} {fast}\n{name}_bucket{{le="1"}} {all}\n{name}_bucket{{le="+Inf"}} {all}\n'
)
POOL = 'progress_pool_connections{{state="open"}} 8\nprogress_pool_connections{{state="idle"}} {}\nprogress_pool_connections{{state="max"}} 8'
STUCK = 'progress_checkpoint_age_seconds{{read_model="a",update="realtime"}} {}\nprogress_lag_events{{read_model="a",update="realtime"}} {}'
SNAPSHOT = "progress_snapshot_age_seconds {}\nprogress_log_position {}\nprogress_snapshot_position 7"


def buckets(name: str, fast: int, all_: int) -> str:
    return BUCKETS.format(name=name, fast=fast, all=all_)


def requests(failed: int, all_: int) -> str:
    name = "progress_request_seconds_count"
    return (
        f'{name}{{path="/events",code="500"}} {failed}\n{name}{{path="/events",code="201"}} {all_ - failed}'
    )


def questions(failed: int, all_: int) -> str:
    errors = f'progress_graphql_errors_total{{code="UNAVAILABLE"}} {failed}\n'
    others = 'progress_graphql_errors_total{code="BAD_USER_INPUT"} 900\n'
    return errors + others + f'progress_graphql_seconds_count{{operation="a"}} {all_}'


def labelled(name: str, labels: str, figure: float) -> str:
    return f"{name}{{{labels}}} {figure}"


REALTIME = 'read_model="a",update="realtime"'
IN_BATCHES = 'read_model="a",update="batch"'

# alert: (before, the figures that fire, the figures that do not)
CASES: dict[str, tuple[str, str, str]] = {
    "ProgressDatabaseDown": (
        "",
        "progress_database_up 0",
        "progress_database_up 1\nprogress_checkpoint_position 1",
    ),
    "ProgressErrors": (requests(0, 100), requests(3, 300), requests(2, 300)),
    "ProgressGraphQLErrors": (questions(0, 100), questions(3, 300), questions(2, 300)),
    "ProgressPoolExhausted": ("", POOL.format(0), POOL.format(1)),
    "ProgressAppendQueueFilling": (
        "",
        "progress_append_waiting_events 81\nprogress_append_limit_events 100",
        "progress_append_waiting_events 80\nprogress_append_limit_events 100",
    ),
    "ProgressAppendSlow": (
        buckets("progress_append_seconds", 0, 0),
        buckets("progress_append_seconds", 94, 100),
        buckets("progress_append_seconds", 96, 100),
    ),
    "ProgressConflicts": (
        labelled("progress_events_appended_total", 'status="conflict"', 2),
        labelled("progress_events_appended_total", 'status="conflict"', 3),
        labelled("progress_events_appended_total", 'status="conflict"', 2),
    ),
    "ProgressUnknownTypes": (
        "progress_events_unknown_type_total 2",
        "progress_events_unknown_type_total 3",
        "progress_events_unknown_type_total 2",
    ),
    "ProgressDeadLetters": ("", "progress_dead_letters_waiting 1", "progress_dead_letters_waiting 0"),
    "ProgressLagSeconds": (
        "",
        labelled("progress_lag_seconds", REALTIME, 5.1),
        labelled("progress_lag_seconds", REALTIME, 5)
        + "\n"
        + labelled("progress_lag_seconds", IN_BATCHES, 300),
    ),
    "ProgressLagEvents": (
        "",
        labelled("progress_lag_events", REALTIME, 1001),
        labelled("progress_lag_events", REALTIME, 1000)
        + "\n"
        + labelled("progress_lag_events", IN_BATCHES, 9000),
    ),
    "ProgressBatchLag": (
        "",
        labelled("progress_lag_seconds", IN_BATCHES, 901),
        labelled("progress_lag_seconds", IN_BATCHES, 900),
    ),
    "ProgressCheckpointStuck": ("", STUCK.format(11, 1), STUCK.format(3_600, 0)),
    "ProgressNoWorker": (
        "",
        labelled("progress_lease_held", 'lease="shard 3"', 0),
        labelled("progress_lease_held", 'lease="shard 3"', 1) + "\nprogress_workers 1",
    ),
    "ProgressReadModelsMissing": (
        "",
        "progress_database_up 1",
        "progress_database_up 1\n" + labelled("progress_checkpoint_position", REALTIME, 0),
    ),
    "ProgressLeasesUnsteady": (
        labelled("progress_lease_changes_total", 'change="given_up"', 1),
        labelled("progress_lease_changes_total", 'change="given_up"', 12),
        labelled("progress_lease_changes_total", 'change="given_up"', 11),
    ),
    "ProgressWorkFailed": (
        labelled("progress_lease_changes_total", 'change="failed"', 1),
        labelled("progress_lease_changes_total", 'change="failed"', 2),
        labelled("progress_lease_changes_total", 'change="failed"', 1),
    ),
    "ProgressNewsStuck": (
        "progress_news_failures_total 1",
        "progress_news_failures_total 12",
        "progress_news_failures_total 11",
    ),
    "ProgressEventsParked": ("", "progress_parked_events 1", "progress_parked_events 0"),
    "ProgressRebuildStuck": (
        labelled("progress_rebuild_done_events", 'build="4",kind="rebuild"', 70),
        labelled("progress_rebuild_done_events", 'build="4",kind="rebuild"', 70),
        labelled("progress_rebuild_done_events", 'build="4",kind="rebuild"', 71),
    ),
    "ProgressSnapshotTooOld": ("", SNAPSHOT.format(172_801, 8), SNAPSHOT.format(172_801, 7)),
    "ProgressSnapshotDamaged": ("", "progress_snapshots_damaged 1", "progress_snapshots_damaged 0"),
    "ProgressRelayLag": ("", "progress_relay_lag_events 1001", "progress_relay_lag_events 1000"),
    "ProgressUnpublished": (
        "progress_events_unpublished_total 2",
        "progress_events_unpublished_total 3",
        "progress_events_unpublished_total 2",
    ),
    "ProgressQuerySlow": (
        buckets("progress_graphql_seconds", 0, 0),
        buckets("progress_graphql_seconds", 94, 100),
        buckets("progress_graphql_seconds", 96, 100),
    ),
    "ProgressCacheWithoutRedis": (
        labelled("progress_cache_redis_errors_total", 'kind="slow"', 1),
        labelled("progress_cache_redis_errors_total", 'kind="slow"', 12),
        labelled("progress_cache_redis_errors_total", 'kind="slow"', 11),
    ),
}
JOBS = ("progress-command", "progress-projection", "progress-query")


def seen(*expositions: str | None) -> Scrapes:
    """Scrapes of a system, one of whose services says this and the others nothing."""
    scrapes = Scrapes()
    for number, exposition in enumerate(expositions):
        for job in JOBS:
            scrapes.add(number * LATER, job, job, exposition if job == JOBS[-1] else "")
    return scrapes


@pytest.mark.parametrize("alert", CASES)
def test_a_rule_fires_at_its_limit_and_not_before(alert: str) -> None:
    before, loud, quiet = CASES[alert]
    assert active(seen(before, loud)) == {alert}
    assert active(seen(before, quiet)) == set()


def test_a_service_that_does_not_answer_or_is_unknown() -> None:
    assert active(seen("", None)) == {"ProgressServiceDown"}
    scrapes = Scrapes()
    scrapes.add(0, JOBS[0], "here", "")
    assert active(scrapes) == {"ProgressServiceMissing"}


def test_every_rule_has_its_case() -> None:
    assert {rule["alert"] for rule in rules()} == {*CASES, "ProgressServiceDown", "ProgressServiceMissing"}
