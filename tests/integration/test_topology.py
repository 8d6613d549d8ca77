"""`pubsub diff` and `pubsub apply`, the real commands, against a Pub/Sub."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1.types import Subscription

from ports import free_port
from progress_context.delivery import topology_admin
from pubsub_commands import Run
from pubsub_emulator import EmulatorProcess
from pubsub_emulator.client import Clients
from pubsub_emulator.official import OfficialProcess, official_jar

PUSH = {
    "PROGRESS_PUBSUB_PUSH_ENDPOINT": "https://command.example/pubsub/push",
    "PROGRESS_PUSH_SERVICE_ACCOUNT": "pusher@example.iam.gserviceaccount.com",
    "PROGRESS_PUSH_AUDIENCE": "progress",
}
LEARNING = "progress-command-learning-events"

# Cyclopts wonders about reading the arguments of a process whose tests it can see.
pytestmark = pytest.mark.filterwarnings("ignore:Cyclopts application invoked:UserWarning")


def run_at_terminal(*arguments: str, answer: str) -> tuple[int, str]:
    """Exit code and output of the command as a process of its own, with `answer` typed."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            [sys.executable, "-m", "progress_context", "pubsub", *arguments],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return done.returncode, done.stdout + done.stderr


async def names(clients: Clients) -> set[str]:
    """The short names of all subscriptions."""
    pager = await clients.subscriber.list_subscriptions(project=f"projects/{clients.project}")
    return {found.name.rpartition("/")[2] async for found in pager}


async def subscription(clients: Clients, name: str) -> Subscription:
    return await clients.subscriber.get_subscription(subscription=clients.subscription(name))


async def test_an_empty_project_is_filled_and_then_left_alone(clients: Clients, run: Run) -> None:
    code, said = run("diff")
    assert code == 1
    assert f"create subscription {LEARNING}" in said
    assert await names(clients) == set()
    code, said = run("apply", "--yes")
    assert (code, "18 applied" in said) == (0, True)
    code, said = run("diff")
    assert (code, "18 to leave" in said) == (0, True)
    code, said = run("apply")
    assert (code, "applied" in said) == (0, False)


async def test_what_is_created_is_what_the_services_need(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    made = await subscription(clients, LEARNING)
    assert made.enable_message_ordering
    assert made.topic == clients.topic("learning-events")
    assert made.dead_letter_policy.dead_letter_topic == clients.topic("learning-events-dead-letters")
    assert made.dead_letter_policy.max_delivery_attempts == 100
    assert made.ack_deadline_seconds == 60
    assert not Subscription.pb(made).expiration_policy.HasField("ttl")
    await clients.publish(clients.topic("learning-events"), "a", key="learner-1")
    assert len(await clients.pull(clients.subscription(LEARNING))) == 1


async def test_a_half_existing_topology_is_completed(clients: Clients, run: Run) -> None:
    await clients.publisher.create_topic(name=clients.topic("learning-events"))
    await clients.publisher.create_topic(name=clients.topic("progress-events"))
    code, said = run("apply", "--yes")
    assert code == 0
    assert "16 applied" in said
    assert run("diff")[0] == 0


async def test_what_was_changed_by_hand_is_shown_and_put_right(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    changed = Subscription(
        name=clients.subscription(LEARNING),
        ack_deadline_seconds=10,
        message_retention_duration=Duration(seconds=3600),
    )
    paths = ["ack_deadline_seconds", "message_retention_duration", "dead_letter_policy", "retry_policy"]
    await clients.subscriber.update_subscription(
        {"subscription": changed, "update_mask": FieldMask(paths=paths)}
    )
    code, said = run("diff")
    assert code == 1
    assert "ack deadline: 10 s → 60 s" in said
    assert "retention: 3600 s → 7 days" in said
    assert "dead letter topic: none → learning-events-dead-letters" in said
    assert "1 to change, 17 to leave" in said
    assert run("apply", "--yes")[0] == 0
    assert run("diff")[0] == 0
    assert (await subscription(clients, LEARNING)).dead_letter_policy.max_delivery_attempts == 100


def test_googles_own_emulator_takes_the_topology(run: Run) -> None:
    jar = official_jar()
    if jar is None:
        pytest.skip("no Google Cloud SDK with its Pub/Sub emulator, or no java, on this machine")
    with OfficialProcess(jar, free_port()) as google:
        environment = {
            "PUBSUB_EMULATOR_HOST": google.address,
            "PROGRESS_PUBSUB_PROJECT": "second-opinion",
            "PROGRESS_PUBSUB_DEAD_LETTER_DAYS": "7",  # the most that it takes
        }
        assert run("apply", "--yes", **environment)[0] == 0
        assert run("diff", **environment)[0] == 0


async def test_what_cannot_be_changed_is_said_with_what_to_do(clients: Clients, run: Run) -> None:
    topic = clients.topic("learning-events")
    await clients.publisher.create_topic(name=topic)
    await clients.subscriber.create_subscription({"name": clients.subscription(LEARNING), "topic": topic})
    code, said = run("apply", "--yes")
    assert code == 1
    assert "ordering: off → on: CANNOT BE CHANGED" in said
    delete = f"gcloud pubsub subscriptions delete {LEARNING} --project {clients.project}"
    assert delete in said
    assert (await subscription(clients, LEARNING)).ack_deadline_seconds == 60
    assert run("diff")[0] == 1
    await clients.subscriber.delete_subscription(subscription=clients.subscription(LEARNING))
    assert run("apply", "--yes")[0] == 0
    assert (await subscription(clients, LEARNING)).enable_message_ordering


async def test_a_subscription_whose_topic_was_deleted_is_reported(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    await clients.publisher.delete_topic(topic=clients.topic("user-events"))
    code, said = run("apply", "--yes")
    assert code == 1
    assert "topic: _deleted-topic_ → user-events: CANNOT BE CHANGED" in said


async def test_foreign_subscriptions_stay_as_they_are(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    theirs = {"name": clients.subscription("theirs"), "topic": clients.topic("progress-events")}
    before = await clients.subscriber.create_subscription(theirs)
    code, said = run("apply", "--yes")
    assert (code, "theirs" in said) == (0, False)
    assert await subscription(clients, "theirs") == before


async def test_pull_becomes_push_and_pull_again(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    code, said = run("diff", **PUSH)
    assert code == 1
    assert f"push endpoint: none → {PUSH['PROGRESS_PUBSUB_PUSH_ENDPOINT']}" in said
    assert "4 to change" in said
    assert run("apply", "--yes", **PUSH)[0] == 0
    assert run("diff", **PUSH)[0] == 0
    config = (await subscription(clients, LEARNING)).push_config
    assert config.push_endpoint == PUSH["PROGRESS_PUBSUB_PUSH_ENDPOINT"]
    assert config.oidc_token.service_account_email == PUSH["PROGRESS_PUSH_SERVICE_ACCOUNT"]
    assert config.oidc_token.audience == "progress"
    assert run("apply", "--yes")[0] == 0
    assert (await subscription(clients, LEARNING)).push_config.push_endpoint == ""


async def test_a_prefix_keeps_two_installations_apart(clients: Clients, run: Run) -> None:
    run("apply", "--yes")
    code, said = run("apply", "--yes", PROGRESS_PUBSUB_PREFIX="staging-")
    assert (code, "18 applied" in said) == (0, True)
    assert run("diff")[0] == 0
    assert {f"staging-{LEARNING}", LEARNING} <= await names(clients)


async def test_without_a_terminal_only_yes_applies(clients: Clients, run: Run) -> None:
    code, said = run("apply")
    assert code == 2
    assert "create topic progress-events" in said
    assert "`pubsub apply --yes`" in said
    assert await names(clients) == set()


@pytest.mark.parametrize(("answer", "code", "made"), [("y\n", 0, 9), ("n\n", 1, 0), ("\n", 1, 0)])
async def test_at_a_terminal_the_plan_is_applied_when_agreed(
    clients: Clients, answer: str, code: int, made: int
) -> None:
    got, said = run_at_terminal("apply", answer=answer)
    assert got == code, said
    assert len(await names(clients)) == made


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"PROGRESS_PUBSUB_PROJECT": ""}, "PROGRESS_PUBSUB_PROJECT is not set"),
        ({**PUSH, "PROGRESS_PUSH_AUDIENCE": ""}, "PROGRESS_PUSH_AUDIENCE"),
        (
            {"PUBSUB_EMULATOR_HOST": "", "GOOGLE_APPLICATION_CREDENTIALS": "/none"},
            "there are no credentials",
        ),
    ],
)
async def test_what_is_missing_is_named_in_one_line(
    clients: Clients, run: Run, environment: dict[str, str], reason: str
) -> None:
    code, said = run("diff", **environment)
    assert code == 2
    assert reason in said
    assert re.fullmatch(r"error: [^\n]+\n", said)


async def test_a_pubsub_that_does_not_answer_is_one_line(
    clients: Clients, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology_admin, "RETRY", topology_admin.RETRY.with_timeout(0.5))
    code, said = run("diff", PUBSUB_EMULATOR_HOST=f"127.0.0.1:{free_port()}")
    assert code == 2
    assert "Pub/Sub does not answer" in said
    assert re.fullmatch(r"error: [^\n]+\n", said)


async def test_a_missing_role_is_one_line(clients: Clients, run: Run, pubsub: EmulatorProcess) -> None:
    pubsub.control.set(denied=True)
    code, said = run("apply", "--yes")
    assert code == 2
    assert "not permitted" in said
    assert "roles/pubsub.editor" in said
    assert re.fullmatch(r"error: [^\n]+\n", said)


async def test_a_passing_outage_is_waited_out(clients: Clients, run: Run, pubsub: EmulatorProcess) -> None:
    pubsub.control.set(call_unavailable=0.2)
    assert run("apply", "--yes")[0] == 0
    pubsub.control.reset()
    assert run("diff")[0] == 0
