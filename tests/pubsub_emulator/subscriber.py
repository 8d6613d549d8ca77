"""The unary calls of google.pubsub.v1.Subscriber; StreamingPull stands in `streams`."""

from __future__ import annotations

import asyncio
from typing import Any

from pubsub_emulator.backlog import Backlog
from pubsub_emulator.broker import Broker
from pubsub_emulator.delivery import Entry
from pubsub_emulator.filters import compile_filter
from pubsub_emulator.listing import page
from pubsub_emulator.messages import MEGABYTE, check_ack_ids, check_name, message_class
from pubsub_emulator.publisher import ACTIVE, Empty, check_mask, merge
from pubsub_emulator.received import show
from pubsub_emulator.refusal import already_exists, invalid, not_found

CHANGEABLE = {
    "push_config", "ack_deadline_seconds", "retain_acked_messages", "message_retention_duration", "labels",
    "expiration_policy", "dead_letter_policy", "retry_policy",
}  # fmt: skip
DAY = 86_400
MOST_PULLED = 1_000
PULL_SECONDS = 20.0


class Subscriber:
    """Answers to unary calls; raises Refused."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def create_subscription(self, request: Any) -> Any:
        """Raises ALREADY_EXISTS, NOT_FOUND (the topic, the dead-letter topic), INVALID_ARGUMENT."""
        check_name(request.name, "subscriptions")
        if request.name in self._broker.subscriptions:
            raise already_exists(request.name)
        self._broker.topic(request.topic)
        compile_filter(request.filter)
        _fill(request)
        self._check(request)
        return self._broker.subscribe(request).config

    def get_subscription(self, request: Any) -> Any:
        """Raises NOT_FOUND."""
        return self._broker.subscription(request.subscription).config

    def update_subscription(self, request: Any) -> Any:
        """Raises NOT_FOUND, INVALID_ARGUMENT for what cannot be changed: topic, filter, ordering."""
        backlog = self._broker.subscription(request.subscription.name)
        check_mask(request.update_mask, CHANGEABLE)
        changed = message_class("Subscription")()
        changed.CopyFrom(backlog.config)
        merge(request.update_mask, request.subscription, changed)
        self._check(changed)
        backlog.config.CopyFrom(changed)
        backlog.wake()
        return changed

    def list_subscriptions(self, request: Any) -> Any:
        """The subscriptions of a project."""
        names = [name for name in self._broker.subscriptions if name.startswith(f"{request.project}/")]
        answer = message_class("ListSubscriptionsResponse")()
        chosen, answer.next_page_token = page(names, request)
        answer.subscriptions.extend(self._broker.subscriptions[name].config for name in chosen)
        return answer

    def delete_subscription(self, request: Any) -> Any:
        """Raises NOT_FOUND."""
        self._broker.subscription(request.subscription)
        self._broker.unsubscribe(request.subscription)
        return Empty()

    def modify_push_config(self, request: Any) -> Any:
        """Change between push and pull. Raises NOT_FOUND."""
        backlog = self._broker.subscription(request.subscription)
        backlog.config.push_config.CopyFrom(request.push_config)
        backlog.wake()
        return Empty()

    def acknowledge(self, request: Any) -> Any:
        """Raises NOT_FOUND, INVALID_ARGUMENT."""
        backlog = self._broker.subscription(request.subscription)
        check_ack_ids(request.ack_ids)
        backlog.acknowledge(request.ack_ids)
        return Empty()

    def modify_ack_deadline(self, request: Any) -> Any:
        """Raises NOT_FOUND, INVALID_ARGUMENT."""
        backlog = self._broker.subscription(request.subscription)
        check_ack_ids(request.ack_ids)
        check_deadline(request.ack_deadline_seconds)
        backlog.modify(request.ack_ids, request.ack_deadline_seconds)
        return Empty()

    def seek(self, request: Any) -> Any:
        """To a time only. Raises NOT_FOUND, INVALID_ARGUMENT."""
        backlog = self._broker.subscription(request.subscription)
        if not request.HasField("time"):
            raise invalid("Seek goes to a time here; there are no snapshots.")
        backlog.seek(request.time.seconds + request.time.nanos / 1e9)
        return message_class("SeekResponse")()

    async def pull(self, request: Any) -> Any:
        """Waits for the first message as Google does. Raises NOT_FOUND, INVALID_ARGUMENT."""
        backlog = self._broker.subscription(request.subscription)
        if request.max_messages < 1:
            raise invalid("The value for max_messages must be greater than 0.")
        count = min(request.max_messages, MOST_PULLED)
        taken = await self._wait(backlog, count, 0.0 if request.return_immediately else PULL_SECONDS)
        answer = message_class("PullResponse")()
        show(taken, answer.received_messages, backlog, self._broker.faults)
        return answer

    async def _wait(self, backlog: Backlog, count: int, seconds: float) -> list[Entry]:
        """The messages that come within so many seconds."""
        news = asyncio.Event()
        backlog.waiters.add(news)
        deadline = backlog.config.ack_deadline_seconds
        try:
            async with asyncio.timeout(seconds or None):
                while not (taken := backlog.take(None, count, 10 * MEGABYTE, deadline)) and seconds:
                    news.clear()
                    await news.wait()
                    self._broker.subscription(backlog.config.name)
                return taken
        except TimeoutError:
            return []
        finally:
            backlog.waiters.discard(news)

    def _check(self, config: Any) -> None:
        check_limits(config)
        policy = config.dead_letter_policy
        if policy.dead_letter_topic and policy.dead_letter_topic not in self._broker.topics:
            raise not_found(policy.dead_letter_topic)


def check_limits(config: Any) -> None:
    """Raise INVALID_ARGUMENT for a subscription outside the API's bounds."""
    check_deadline(config.ack_deadline_seconds, least=10)
    if not 600 <= config.message_retention_duration.seconds <= 31 * DAY:
        raise invalid("message_retention_duration must be from 10 minutes to 31 days.")
    ttl = config.expiration_policy.ttl.seconds
    if ttl and ttl < DAY:
        raise invalid("expiration_policy.ttl must be at least one day.")
    policy = config.dead_letter_policy
    if policy.dead_letter_topic and not 5 <= policy.max_delivery_attempts <= 100:
        raise invalid("max_delivery_attempts must be from 5 to 100.")
    backoff = config.retry_policy
    if not 0 <= backoff.minimum_backoff.seconds <= backoff.maximum_backoff.seconds <= 600:
        raise invalid("minimum_backoff and maximum_backoff must be from 0 to 600 seconds, in this order.")
    if config.enable_exactly_once_delivery:
        raise invalid("This emulator has no exactly-once delivery.")


def check_deadline(seconds: int, least: int = 0) -> None:
    """Raise INVALID_ARGUMENT for an ack deadline outside the API's bounds."""
    if not least <= seconds <= 600:
        raise invalid(f"Invalid ack deadline given ({seconds}): must be from {least} to 600 seconds.")


def _fill(config: Any) -> None:
    """Set Google's defaults."""
    config.state = ACTIVE
    config.push_config.SetInParent()
    config.ack_deadline_seconds = config.ack_deadline_seconds or 10
    if not config.HasField("message_retention_duration"):
        config.message_retention_duration.seconds = 7 * DAY
    if not config.HasField("expiration_policy"):
        config.expiration_policy.ttl.seconds = 31 * DAY
    if config.dead_letter_policy.dead_letter_topic and not config.dead_letter_policy.max_delivery_attempts:
        config.dead_letter_policy.max_delivery_attempts = 5
    if config.HasField("retry_policy"):
        backoff = config.retry_policy
        if not backoff.HasField("minimum_backoff"):
            backoff.minimum_backoff.seconds = 10
        if not backoff.HasField("maximum_backoff"):
            backoff.maximum_backoff.seconds = 600
