"""Emulators of Pub/Sub for the contract suites."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from ports import free_port
from pubsub_emulator.backends import Backend, running
from pubsub_emulator.client import Clients

FLOW = "knows no flow control: max_outstanding_messages and max_outstanding_bytes"
FAILED = "does not bury what failed too often"
LAX = "takes what Google refuses"
NO_PROTOBUF = "has no protocol buffers"
DIFFERENT_AT_GOOGLE = {  # tests, and cases of a test by `what` they try
    "test_two_streams_share_a_subscription": FLOW,
    "test_no_more_messages_are_under_way_than_a_stream_allows": FLOW,
    "test_no_more_bytes_are_under_way_than_a_stream_allows": FLOW,
    "test_a_key_moves_on_when_its_stream_is_gone": FLOW,
    "test_all_of_a_key_comes_again_from_the_one_given_back": "breaks the order after a message was given back",
    "test_attempts_are_counted_and_then_the_message_is_buried": FAILED,
    "test_a_buried_message_lets_its_key_go_on": FAILED,
    "test_a_retry_policy_puts_redelivery_off": "takes no notice of retry policies",
    "test_a_filter_leaves_messages_out": "takes no notice of filters",
    "test_seeking_back_brings_acknowledged_messages_again": "cannot seek to a time",
    "test_what_is_older_than_the_retention_is_gone": "keeps messages for 10 minutes at least, as Google does",
    "test_labels_of_a_topic_can_be_changed": "knows no labels of topics",
    "test_a_list_shows_no_definitions": "shows definitions in lists",
    "test_protocol_buffers_are_taken": NO_PROTOBUF,
    "define no message": NO_PROTOBUF,
    "define half a message": NO_PROTOBUF,
    "commit another type": NO_PROTOBUF,
    "define too much": LAX,
    "publish 101 attributes": LAX,
    "publish a long attribute": LAX,
    "publish a long name": LAX,
    "publish a long key": LAX,
    "publish over 10 MB": LAX,
    "list subscriptions of no topic": "answers with an empty list",
    "subscribe with a short deadline": LAX,
    "subscribe with few attempts": "has a code of its own for it, OUT_OF_RANGE",
    "subscribe with half a filter": LAX,
    "subscribe with a filter without brackets": LAX,
    "subscribe with a long filter": LAX,
    "update out of bounds": LAX,
}

projects = itertools.count(1)


@pytest.fixture(scope="module", params=["ours", "google"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each emulator in turn."""
    with running(request.param, free_port()) as emulator:
        if emulator is None:
            pytest.skip("no Google Cloud SDK with its Pub/Sub emulator, or no java, on this machine")
        yield emulator


@pytest.fixture
async def clients(backend: Backend, request: pytest.FixtureRequest) -> AsyncIterator[Clients]:
    """Google's clients on an emulator, in a project of the test's own."""
    case = request.node.callspec.params.get("what", request.node.originalname)
    if backend.name == "google" and case in DIFFERENT_AT_GOOGLE:
        pytest.skip(f"Google's emulator {DIFFERENT_AT_GOOGLE[case]}")
    async with Clients(backend.address, f"contract-{next(projects)}") as clients:
        yield clients
