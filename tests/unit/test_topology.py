"""The wanted topology, and the plan from what exists to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import pytest

from progress_context.delivery.topology import (
    Difference,
    Existing,
    Plan,
    Push,
    Resource,
    Subscription,
    Topic,
    plan,
    wanted_topology,
)
from progress_context.delivery.topology_admin import PATHS

SOURCES = ["learning-events", "algorithm-events", "vocabulary-events", "user-events"]


def existing(*resources: Resource) -> Existing:
    return {(type(resource), resource.name): resource for resource in resources}


def subscriptions(resources: Sequence[Resource]) -> dict[str, Subscription]:
    return {resource.name: resource for resource in resources if isinstance(resource, Subscription)}


def actions(found: Plan) -> dict[str, str]:
    return {f"{step.kind} {step.resource.name}": step.action for step in found.steps}


def test_every_source_has_a_subscription_in_order_and_a_place_for_its_dead_letters() -> None:
    wanted = wanted_topology()
    for source in SOURCES:
        subscription = subscriptions(wanted)[f"progress-command-{source}"]
        assert subscription.topic == source
        assert subscription.ordering
        assert subscription.dead_letter_topic == f"{source}-dead-letters"
        assert Topic(subscription.dead_letter_topic) in wanted
        assert subscriptions(wanted)[f"{source}-dead-letters"].topic == f"{source}-dead-letters"


def test_the_projection_hears_of_the_log_in_any_order() -> None:
    wanted = wanted_topology()
    assert Topic("progress-events") in wanted
    projection = subscriptions(wanted)["progress-projection"]
    assert (projection.topic, projection.ordering) == ("progress-events", False)


def test_no_subscription_expires_and_all_are_within_googles_bounds() -> None:
    for subscription in subscriptions(wanted_topology()).values():
        assert subscription.expires_after == 0
        assert 10 <= subscription.ack_deadline <= 600
        assert 600 <= subscription.retention <= 31 * 86_400
        assert 0 <= subscription.least_backoff <= subscription.most_backoff <= 600
        if subscription.dead_letter_topic:
            assert 5 <= subscription.most_attempts <= 100


def test_an_outage_of_half_a_day_buries_nothing() -> None:
    source = subscriptions(wanted_topology())["progress-command-learning-events"]
    pauses = [min(source.most_backoff, source.least_backoff * 2**n) for n in range(source.most_attempts - 1)]
    assert sum(pauses) > 12 * 3600


def test_the_prefix_stands_in_front_of_every_name() -> None:
    for resource in wanted_topology("staging-"):
        assert resource.name.startswith("staging-")
        if isinstance(resource, Subscription):
            assert resource.topic.startswith("staging-")
            assert resource.dead_letter_topic.startswith("staging-") or not resource.dead_letter_topic


def test_only_sources_are_pushed() -> None:
    wanted = subscriptions(wanted_topology(push=Push("https://c.example/pubsub/push", "p@example.com", "us")))
    pushed = {name for name, subscription in wanted.items() if subscription.push_endpoint}
    assert pushed == {f"progress-command-{source}" for source in SOURCES}
    one = wanted["progress-command-user-events"]
    assert (one.push_service_account, one.push_audience) == ("p@example.com", "us")


def test_whatever_a_step_needs_comes_before_it() -> None:
    made: set[str] = set()
    for resource in wanted_topology():
        if isinstance(resource, Subscription):
            assert resource.topic in made
            assert not resource.dead_letter_topic or resource.dead_letter_topic in made
        else:
            made.add(resource.name)


def test_where_nothing_exists_everything_is_created() -> None:
    found = plan(wanted_topology(), {})
    assert set(actions(found).values()) == {"create"}
    assert not found.is_done
    assert len(found.to_do) == 18


def test_where_all_is_as_wanted_nothing_is_done() -> None:
    wanted = wanted_topology("x-")
    found = plan(wanted, existing(*wanted))
    assert set(actions(found).values()) == {"leave"}
    assert found.is_done


def test_what_exists_is_not_created_again() -> None:
    wanted = wanted_topology()
    found = plan(wanted, existing(*wanted[::2]))
    assert [step.action for step in found.steps] == ["leave", "create"] * 9


def test_a_change_names_the_field_with_its_old_and_new_value() -> None:
    wanted = Subscription("s", "t", ack_deadline=60)
    (step,) = plan([wanted], existing(replace(wanted, ack_deadline=10))).steps
    assert step.action == "change"
    assert step.changes == (Difference("ack_deadline", 10, 60, False),)
    assert step.stuck == ()


@pytest.mark.parametrize("field", [f.name for f in fields(Subscription) if f.name != "name"])
def test_no_difference_goes_unnoticed(field: str) -> None:
    wanted = Subscription("s", "t")
    (step,) = plan([wanted], existing(replace(wanted, **{field: "other"}))).steps
    assert [d.field for d in step.differences] == [field]


@pytest.mark.parametrize(
    "change", [{"ordering": False}, {"topic": "_deleted-topic_"}, {"filter": "attributes:x"}]
)
def test_what_google_cannot_change_is_reported_and_never_done(change: dict[str, object]) -> None:
    wanted = Subscription("s", "t")
    found = plan([wanted], existing(replace(wanted, **change)))
    assert found.to_do == []
    assert [d.field for step in found.stuck for d in step.stuck] == list(change)
    assert not found.is_done


def test_what_can_be_changed_is_changed_beside_what_cannot() -> None:
    wanted = Subscription("s", "t")
    found = plan([wanted], existing(replace(wanted, ordering=False, retention=600)))
    (step,) = found.to_do
    assert [d.field for d in step.changes] == ["retention"]
    assert [d.field for d in step.stuck] == ["ordering"]


def test_a_topic_and_a_subscription_of_one_name_are_two_things() -> None:
    found = plan([Topic("a"), Subscription("a", "a")], existing(Topic("a")))
    assert actions(found) == {"topic a": "leave", "subscription a": "create"}


def test_nobody_elses_topics_and_subscriptions_are_touched() -> None:
    wanted = wanted_topology()
    found = plan(wanted, existing(*wanted, Topic("theirs"), Subscription("theirs", "progress-events")))
    assert found.is_done
    assert "theirs" not in " ".join(actions(found))


def test_google_has_a_field_for_everything_that_can_be_changed() -> None:
    changeable = {f.name for f in fields(Subscription) if not f.metadata.get("fixed")} - {"name"}
    assert changeable == set(PATHS)
