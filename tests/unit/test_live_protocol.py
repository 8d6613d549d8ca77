"""graphql-transport-ws as messages in and effects out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from progress_context.query.subscriptions import protocol
from progress_context.query.subscriptions.protocol import Authorize, Close, Effect, Protocol, Say, Start, Stop

INIT = {"type": "connection_init"}
QUERY = {"query": "{ __typename }"}


def ask(operation: str = "1") -> dict[str, Any]:
    return {"type": "subscribe", "id": operation, "payload": QUERY}


def fed(*messages: object, most: int = 3) -> list[Effect]:
    """The effects of messages; who asks to connect is let in."""
    state = Protocol(most)
    effects: list[Effect] = []
    for message in messages:
        follows = state.receive(message if isinstance(message, str) else json.dumps(message))
        if any(isinstance(effect, Authorize) for effect in follows):
            follows = [*follows, state.accepted()]
        effects += follows
    return effects


def test_a_client_is_let_in_by_its_credentials() -> None:
    effects = fed(INIT | {"payload": {"token": "t"}})
    assert effects == [Authorize({"token": "t"}), Say('{"type":"connection_ack"}')]
    assert fed(INIT)[0] == Authorize({})


def test_nothing_may_be_asked_before_the_acknowledgement() -> None:
    state = Protocol(3)
    state.receive(json.dumps(INIT))
    [close] = state.receive(json.dumps(ask()))
    assert isinstance(close, Close)
    assert close.code == 4401


@pytest.mark.parametrize("payload", [None, {"a": [1]}])
def test_a_ping_is_answered_with_what_it_held(payload: dict[str, Any] | None) -> None:
    """Before the connection is acknowledged too."""
    [answer] = fed({"type": "ping", "payload": payload})
    assert isinstance(answer, Say)
    assert json.loads(answer.text) == {"type": "pong"} | ({"payload": payload} if payload else {})
    assert fed({"type": "pong", "payload": payload}) == []


def test_an_operation_begins_and_is_stopped_once() -> None:
    stop = {"type": "complete", "id": "1"}
    effects = fed(INIT, ask(), stop, stop, ask())
    assert [type(effect) for effect in effects[2:]] == [Start, Stop, Start]


def test_an_operation_that_ended_by_itself_is_not_stopped() -> None:
    state = Protocol(3)
    state.receive(json.dumps(INIT))
    state.accepted()
    state.receive(json.dumps(ask()))
    assert state.finished("1")
    assert not state.finished("1")
    assert state.receive('{"type":"complete","id":"1"}') == []


def test_only_so_many_operations_run_at_a_time() -> None:
    *_, refused = fed(INIT, ask("1"), ask("2"), ask("3"), most=2)
    assert isinstance(refused, Say)
    message = json.loads(refused.text)
    assert (message["type"], message["id"]) == ("error", "3")
    assert message["payload"][0]["extensions"] == {"code": "TOO_MANY_OPERATIONS"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([ask()], 4401),
        ([INIT, INIT], 4429),
        ([INIT, ask(), ask()], 4409),
        (["{"], 4400),
        (["null"], 4400),
        ([{"type": "subscribe", "id": "1"}], 4400),
        ([INIT, ask("x" * 300)], 4400),
        ([INIT, ask() | {"payload": {"query": None}}], 4400),
        ([INIT, ask() | {"payload": QUERY | {"variables": []}}], 4400),
    ],
)
def test_what_breaks_the_protocol_closes_the_socket(messages: list[object], code: int) -> None:
    close = fed(*messages)[-1]
    assert isinstance(close, Close)
    assert close.code == code


def test_every_reason_fits_into_a_close_frame() -> None:
    found = [value for value in vars(protocol).values() if isinstance(value, Close)]
    found += [effect for effect in fed(INIT, ask("€" * 256), ask("€" * 256)) if isinstance(effect, Close)]
    found += [protocol.bad_request("é" * 500)]
    assert len(found) > 8
    assert all(0 < len(close.reason.encode()) <= 123 for close in found)


@given(st.text() | st.binary() | st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)).map(json.dumps))  # fmt: skip
def test_rubbish_closes_and_never_breaks(rubbish: str | bytes) -> None:
    state = Protocol(3)
    [effect] = state.receive(rubbish)
    assert isinstance(effect, Close)
    assert effect.code == 4400


@given(st.lists(st.sampled_from(["subscribe", "complete", "finished"]).flatmap(lambda kind: st.tuples(st.just(kind), st.sampled_from("abc")))))  # fmt: skip
def test_what_runs_is_what_was_started_and_not_ended(steps: list[tuple[str, str]]) -> None:
    state = Protocol(10)
    state.receive(json.dumps(INIT))
    state.accepted()
    running: set[str] = set()
    for kind, operation in steps:
        if kind == "finished":
            assert state.finished(operation) == (operation in running)
            running.discard(operation)
        elif kind == "complete":
            effects = state.receive(json.dumps({"type": "complete", "id": operation}))
            assert effects == ([Stop(operation)] if operation in running else [])
            running.discard(operation)
        elif operation not in running:
            [start] = state.receive(json.dumps(ask(operation)))
            assert isinstance(start, Start)
            assert start.id == operation
            running.add(operation)
        assert state.operations == running
