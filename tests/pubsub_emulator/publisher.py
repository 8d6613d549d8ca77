"""The calls of google.pubsub.v1.Publisher."""

from __future__ import annotations

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from pubsub_emulator.broker import DELETED_SCHEMA, Broker, Topic
from pubsub_emulator.listing import page
from pubsub_emulator.messages import check_name, check_publish, message_class
from pubsub_emulator.refusal import already_exists, invalid, schema_deleted, unavailable
from pubsub_emulator.revisions import conform

CHANGEABLE = {"labels", "message_retention_duration", "message_storage_policy", "schema_settings"}
ACTIVE = 1
SHORTEST_RETENTION, LONGEST_RETENTION = 600, 31 * 86_400

Empty = message_class("DeleteTopicRequest")  # an empty message of any class is the same bytes


class Publisher:
    """Answers to unary calls; raises Refused."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def create_topic(self, request: Any) -> Any:
        """Raises ALREADY_EXISTS, NOT_FOUND (the schema), INVALID_ARGUMENT."""
        check_name(request.name, "topics")
        if request.name in self._broker.topics:
            raise already_exists(request.name)
        self._check(request)
        request.state = ACTIVE
        self._broker.topics[request.name] = Topic(request)
        return request

    def update_topic(self, request: Any) -> Any:
        """Raises NOT_FOUND, INVALID_ARGUMENT."""
        topic = self._broker.topic(request.topic.name)
        check_mask(request.update_mask, CHANGEABLE)
        changed = message_class("Topic")()
        changed.CopyFrom(topic.config)
        merge(request.update_mask, request.topic, changed)
        self._check(changed)
        topic.config.CopyFrom(changed)
        return topic.config

    def get_topic(self, request: Any) -> Any:
        """Raises NOT_FOUND."""
        return self._broker.topic(request.topic).config

    def list_topics(self, request: Any) -> Any:
        """The topics of a project."""
        names = [name for name in self._broker.topics if name.startswith(f"{request.project}/")]
        answer = message_class("ListTopicsResponse")()
        chosen, answer.next_page_token = page(names, request)
        answer.topics.extend(self._broker.topics[name].config for name in chosen)
        return answer

    def delete_topic(self, request: Any) -> Any:
        """Raises NOT_FOUND."""
        self._broker.topic(request.topic)
        self._broker.drop_topic(request.topic)
        return Empty()

    def list_topic_subscriptions(self, request: Any) -> Any:
        """The names of a topic's subscriptions."""
        answer = message_class("ListTopicSubscriptionsResponse")()
        names = list(self._broker.topic(request.topic).subscriptions)
        answer.subscriptions[:], answer.next_page_token = page(names, request)
        return answer

    def publish(self, request: Any) -> Any:
        """Raises NOT_FOUND (also of a schema), INVALID_ARGUMENT, and UNAVAILABLE when told to."""
        broker, faults = self._broker, self._broker.faults
        topic = broker.topic(request.topic)
        sizes = check_publish(request)
        if faults.refused_keys:
            _refuse_keys(request, faults.refused_keys)
        if topic.config.schema_settings.schema:
            self._conform(topic.config.schema_settings, request.messages)
        if faults.happens(faults.publish_unavailable):
            raise unavailable()
        ids = broker.publish(topic, request.messages, sizes)
        if faults.happens(faults.publish_ambiguous):
            raise unavailable()
        answer = message_class("PublishResponse")()
        answer.message_ids.extend(ids)
        return answer

    def _conform(self, settings: Any, messages: Any) -> None:
        if settings.schema == DELETED_SCHEMA:
            raise schema_deleted()
        conform(self._broker.schema(settings.schema), settings, messages)

    def _check(self, topic: Any) -> None:
        _check_retention(topic)
        settings = topic.schema_settings
        if settings.schema and settings.schema != DELETED_SCHEMA:  # of which a topic may be reminded
            self._broker.schema(settings.schema)
            if not settings.encoding:
                raise invalid("Invalid schema encoding provided")


def _refuse_keys(request: Any, keys: list[str]) -> None:
    for message in request.messages:
        if message.ordering_key in keys:
            raise invalid(f"The ordering key {message.ordering_key!r} cannot be published now.")


def _check_retention(topic: Any) -> None:
    if topic.HasField("message_retention_duration"):
        seconds = topic.message_retention_duration.seconds
        if not SHORTEST_RETENTION <= seconds <= LONGEST_RETENTION:
            raise invalid("message_retention_duration must be from 10 minutes to 31 days.")


def check_mask(mask: FieldMask, changeable: set[str]) -> None:
    """Raise INVALID_ARGUMENT for an update of nothing, or of what cannot be changed."""
    if not mask.paths:
        raise invalid("The update_mask in the request must be set, and must contain a valid field to update.")
    for path in mask.paths:
        if path.partition(".")[0] not in changeable:
            raise invalid(
                f"Invalid update_mask provided in the request: '{path}' is not a known or mutable field."
            )


def merge(mask: FieldMask, source: Any, target: Any) -> None:
    """Copy the named fields, cleared ones included."""
    mask.MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)
