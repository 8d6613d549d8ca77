"""What Google's administration writes, reads back and changes, field by field, against a Pub/Sub."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from progress_context.delivery.topology import Subscription, Topic, plan
from progress_context.delivery.topology_admin import PATHS, TopologyAdmin
from pubsub_emulator import EmulatorProcess

projects = itertools.count(1)


@pytest.fixture
def admin(pubsub: EmulatorProcess) -> Iterator[TopologyAdmin]:
    with TopologyAdmin(f"topology-admin-{next(projects)}") as admin:
        yield admin


BARE = Subscription("fields", "fields")
FULL = Subscription(
    "fields", "fields", ack_deadline=20, retention=1200, expires_after=86_400, least_backoff=0.5,
    most_backoff=2.5, dead_letter_topic="fields", most_attempts=7, push_endpoint="https://c.example/push",
    push_service_account="p@example.com", push_audience="us",
)  # fmt: skip


@pytest.mark.parametrize("field", sorted(PATHS))
def test_every_field_is_changed_and_read_back(admin: TopologyAdmin, field: str) -> None:
    wanted = replace(FULL, **{field: getattr(BARE, field)})
    if field == "push_endpoint":
        wanted = replace(wanted, push_service_account="", push_audience="")
    if field == "dead_letter_topic":
        wanted = replace(wanted, most_attempts=0)
    if field == "most_attempts":
        wanted = replace(FULL, most_attempts=9)
    if field == "most_backoff":
        wanted = replace(FULL, least_backoff=0.0, most_backoff=0.0)
    for step in plan([Topic("fields"), FULL], {}).steps:
        admin.take(step)
    (step,) = plan([wanted], admin.existing([wanted])).steps
    admin.take(step)
    assert field in [d.field for d in step.changes]
    assert admin.existing([wanted]) == {(Subscription, "fields"): wanted}


def test_what_somebody_else_has_just_created_is_no_error(admin: TopologyAdmin) -> None:
    for step in plan([Topic("fields"), FULL], {}).steps * 2:
        admin.take(step)
    assert admin.existing([FULL]) == {(Subscription, "fields"): FULL}
