"""What the switches of our emulator make go wrong, and what stays right all the same."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from google.api_core import exceptions

from pubsub_emulator import EmulatorProcess, RemoteControl
from pubsub_emulator.backends import Backend
from pubsub_emulator.client import Clients, texts
from waiting import until

pytestmark = [
    pytest.mark.parametrize("backend", ["ours"], indirect=True),
    pytest.mark.filterwarnings("ignore:The return_immediately flag:DeprecationWarning"),
]

NUMBERS = [f"{n:03}" for n in range(200)]


@pytest.fixture
def control(backend: Backend) -> RemoteControl:
    assert backend.control
    backend.control.reset()
    return backend.control


async def drain(clients: Clients, subscription: str, count: int) -> list[str]:
    """Receive and acknowledge until `count` different messages have come; opens broken streams again."""
    received: list[str] = []
    async with asyncio.timeout(20):
        while len(set(received)) < count:
            async with clients.stream(subscription) as stream:
                try:
                    while len(set(received)) < count:
                        got = await stream.receive(1)
                        received += texts(got)
                        await clients.ack(subscription, *got)
                except exceptions.ServiceUnavailable:
                    continue
    return received


async def test_every_message_comes_as_often_as_it_is_told_to(
    clients: Clients, control: RemoteControl
) -> None:
    topic, subscription = await clients.topic_with()
    control.set(copies=3)
    await clients.publish(topic, "a", "b")
    async with clients.stream(subscription) as stream:
        received = await stream.receive(6)
        assert Counter(texts(received)) == {"a": 3, "b": 3}
        assert len({message.ack_id for message in received}) == 6
        await clients.ack(subscription, *received[3:5])
    await until(lambda: _is(control.leased(subscription), 0))


async def _is(value: object, expected: object) -> bool:
    return value == expected


async def test_a_dropped_delivery_comes_after_its_deadline(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    control.set(drop=1.0)
    await clients.publish(topic, "a", "b", key="k")
    assert await clients.pull(subscription, wait=False) == []
    assert control.leased(subscription) == 2
    control.set(drop=0.0)
    assert await clients.pull(subscription, wait=False) == []
    control.advance(11)
    assert texts(await clients.pull(subscription)) == ["a", "b"]


async def test_drops_do_not_disturb_the_order_of_a_key(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    control.set(drop=0.2, seed=3)
    for number in NUMBERS[:50]:
        await clients.publish(topic, number, key="k")
    received: list[str] = []
    async with clients.stream(subscription, max_outstanding_messages=10) as stream:
        while len(received) < 50:
            try:
                got = await stream.receive(1, seconds=0.1)
            except TimeoutError:
                control.advance(11)
                continue
            received += texts(got)
            await clients.ack(subscription, *got)
    assert received == NUMBERS[:50]


async def test_lost_messages_never_come(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(lose=1.0)
    await clients.publish(topic, "lost")
    control.set(lose=0.0)
    await clients.publish(topic, "a")
    control.advance(1000)
    assert texts(await clients.pull(subscription)) == ["a"]


async def test_lost_acknowledgements_bring_messages_again(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(lose_acks=1.0)
    await clients.publish(topic, "a")
    await clients.ack(subscription, *await clients.pull(subscription))
    control.advance(11)
    assert texts(await clients.pull(subscription)) == ["a"]


async def test_shuffling_leaves_each_key_in_order(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    control.set(shuffle=True)
    for number in NUMBERS:
        await clients.publish(topic, number, key=f"k{int(number) % 7}")
    received = texts(await clients.pull(subscription, 200))
    assert sorted(received) == NUMBERS
    for key in range(7):
        of_key = [number for number in received if int(number) % 7 == key]
        assert of_key == sorted(of_key)
    groups = [int(number) % 7 for number in received]
    assert groups != sorted(groups, key=groups.index)


async def test_broken_streams_lose_nothing(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(stream_unavailable=0.5)
    for number in NUMBERS:
        await clients.publish(topic, number)
    draining = asyncio.create_task(drain(clients, subscription, len(NUMBERS)))
    while not draining.done():
        control.advance(11)
        await asyncio.wait([draining], timeout=0.05)
    assert set(draining.result()) == set(NUMBERS)


async def test_a_stream_ends_after_its_time(clients: Clients, control: RemoteControl) -> None:
    _, subscription = await clients.topic_with()
    async with clients.stream(subscription) as stream:
        control.set(stream_seconds=0.0)
        with pytest.raises(exceptions.ServiceUnavailable):
            await stream.receive(1)


async def test_a_refused_publish_stores_nothing(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(publish_unavailable=1.0)
    with pytest.raises(exceptions.ServiceUnavailable):
        await clients.publish(topic, "a")
    assert control.waiting(subscription) == 0


async def test_an_ambiguous_publish_is_stored_and_refused(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(publish_ambiguous=1.0)
    with pytest.raises(exceptions.ServiceUnavailable):
        await clients.publish(topic, "a")
    assert control.waiting(subscription) == 1


async def test_a_refused_key_refuses_the_whole_request(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(refused_keys=["bad"])
    with pytest.raises(exceptions.InvalidArgument):
        await clients.publish(topic, "a", key="bad")
    await clients.publish(topic, "b", key="good")
    assert texts(await clients.pull(subscription)) == ["b"]


async def test_nothing_is_permitted_when_it_is_told_so(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    control.set(denied=True)
    with pytest.raises(exceptions.PermissionDenied):
        await clients.publish(topic, "a")
    async with clients.stream(subscription) as stream:
        with pytest.raises(exceptions.PermissionDenied):
            await stream.receive(1)


async def test_what_is_frozen_answers_when_it_thaws(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with()
    async with clients.stream(subscription) as stream:
        control.set(freeze=True)
        publishing = asyncio.create_task(clients.publish(topic, "a"))
        assert (await asyncio.wait([publishing], timeout=0.2))[0] == set()
        control.set(freeze=False)
        await publishing
        assert texts(await stream.receive(1)) == ["a"]


async def test_latency_delays_answers(clients: Clients, control: RemoteControl) -> None:
    topic, _ = await clients.topic_with()
    control.set(latency=0.3)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await clients.publish(topic, "a")
    assert loop.time() - begun >= 0.3


async def test_keys_can_be_delivered_one_by_one(clients: Clients, control: RemoteControl) -> None:
    topic, subscription = await clients.topic_with(enable_message_ordering=True)
    control.set(key_window=1)
    await clients.publish(topic, "a", "b", key="k")
    async with clients.stream(subscription) as stream:
        first = await stream.receive(1)
        assert texts(first) == ["a"]
        await clients.ack(subscription, *first)
        assert texts(await stream.receive(1)) == ["b"]


async def test_a_switch_that_does_not_exist_is_refused(backend: Backend, control: RemoteControl) -> None:
    with pytest.raises(ValueError, match="there is no switch 'nonsense'"):
        control.set(nonsense=1)


async def test_a_process_starts_with_the_switches_it_is_given(backend: Backend) -> None:
    with EmulatorProcess("--faults", '{"publish_unavailable": 1.0}') as emulator:
        async with Clients(emulator.address, "started") as clients:
            topic, _ = await clients.topic_with()
            with pytest.raises(exceptions.ServiceUnavailable):
                await clients.publish(topic, "a")
