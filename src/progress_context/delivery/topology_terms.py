"""The topology's resources in Google's terms, and Google's in ours."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from google.pubsub_v1 import types

from progress_context.delivery.topology import Resource, Schema, Subscription, Topic

FOLDERS: dict[type[Resource], str] = {Schema: "schemas", Topic: "topics", Subscription: "subscriptions"}
SCHEMA_TYPES = {"avro": types.Schema.Type.AVRO, "protobuf": types.Schema.Type.PROTOCOL_BUFFER}
ENCODINGS = {"json": types.Encoding.JSON, "binary": types.Encoding.BINARY}


class Terms:
    """Spells out full names within a project, and shortens them again."""

    def __init__(self, project: str) -> None:
        self.project = f"projects/{project}"

    def path(self, resource: Resource) -> str:
        """The full name of a resource."""
        return self._full(type(resource), resource.name)

    def _full(self, kind: type[Resource], name: str) -> str:
        return f"{self.project}/{FOLDERS[kind]}/{name}"

    def _short(self, kind: type[Resource], name: str) -> str:
        """The short name of a resource of this project, the full one of any other."""
        return name.removeprefix(self._full(kind, ""))

    def schema(self, wanted: Schema) -> types.Schema:
        """A schema in Google's terms."""
        return types.Schema(
            name=self.path(wanted), type_=SCHEMA_TYPES[wanted.type], definition=wanted.definition
        )

    def topic(self, wanted: Topic) -> types.Topic:
        """A topic in Google's terms; all revisions of its schema are allowed."""
        spelled = types.Topic(name=self.path(wanted))
        if wanted.schema:
            spelled.schema_settings = types.SchemaSettings(
                schema=self._full(Schema, wanted.schema), encoding=ENCODINGS[wanted.encoding]
            )
        return spelled

    def subscription(self, wanted: Subscription) -> types.Subscription:
        """A subscription in Google's terms."""
        spelled = types.Subscription(
            name=self.path(wanted),
            topic=self._full(Topic, wanted.topic),
            enable_message_ordering=wanted.ordering,
            filter=wanted.filter,
            ack_deadline_seconds=wanted.ack_deadline,
            message_retention_duration=timedelta(seconds=wanted.retention),
            expiration_policy=types.ExpirationPolicy(ttl=_duration(wanted.expires_after)),
            push_config=_push_config(wanted),
        )
        if wanted.most_backoff:
            spelled.retry_policy = types.RetryPolicy(
                minimum_backoff=timedelta(seconds=wanted.least_backoff),
                maximum_backoff=timedelta(seconds=wanted.most_backoff),
            )
        if wanted.dead_letter_topic:
            spelled.dead_letter_policy = types.DeadLetterPolicy(
                dead_letter_topic=self._full(Topic, wanted.dead_letter_topic),
                max_delivery_attempts=wanted.most_attempts,
            )
        return spelled

    def schema_from(self, found: types.Schema) -> Schema:
        """A schema of Google's in our terms."""
        return Schema(_last(found.name), _word(SCHEMA_TYPES, found.type_), found.definition.strip())

    def topic_from(self, found: types.Topic) -> Topic:
        """A topic of Google's in our terms; of a schema that was deleted the name is `_deleted-schema_`."""
        settings = found.schema_settings
        return Topic(
            _last(found.name), self._short(Schema, settings.schema), _word(ENCODINGS, settings.encoding)
        )

    def subscription_from(self, found: types.Subscription) -> Subscription:
        """A subscription of Google's in our terms."""
        token = found.push_config.oidc_token
        return Subscription(
            name=_last(found.name),
            topic=self._short(Topic, found.topic),
            ordering=found.enable_message_ordering,
            filter=found.filter,
            ack_deadline=found.ack_deadline_seconds,
            retention=round(_seconds(found.message_retention_duration)),
            expires_after=round(_seconds(found.expiration_policy.ttl)),
            least_backoff=_seconds(found.retry_policy.minimum_backoff),
            most_backoff=_seconds(found.retry_policy.maximum_backoff),
            dead_letter_topic=self._short(Topic, found.dead_letter_policy.dead_letter_topic),
            most_attempts=found.dead_letter_policy.max_delivery_attempts,
            push_endpoint=found.push_config.push_endpoint,
            push_service_account=token.service_account_email,
            push_audience=token.audience,
        )


def _push_config(wanted: Subscription) -> types.PushConfig:
    if not wanted.push_endpoint:
        return types.PushConfig()
    token = types.PushConfig.OidcToken(
        service_account_email=wanted.push_service_account, audience=wanted.push_audience
    )
    return types.PushConfig(push_endpoint=wanted.push_endpoint, oidc_token=token)


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _word(words: dict[str, Any], value: Any) -> str:
    """Our word for a value of Google's; none for one that was not set."""
    return next((word for word, meant in words.items() if meant == value), "")


def _duration(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _seconds(duration: Any) -> float:
    """Seconds of a timedelta, which is what fields of Google's classes really give, or none."""
    return duration.total_seconds() if duration else 0.0
