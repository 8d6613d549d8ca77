"""Google Pub/Sub's administration: reads what exists of a topology, and takes the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self, TypeVar

from google.api_core.exceptions import (
    AlreadyExists,
    DeadlineExceeded,
    Forbidden,
    GoogleAPICallError,
    NotFound,
    RetryError,
    ServiceUnavailable,
    Unauthenticated,
)
from google.api_core.retry import Retry, if_exception_type
from google.auth.exceptions import GoogleAuthError
from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from progress_context.delivery.topology import Resource, Step, Subscription, Topic
from progress_context.errors import PubSubRefused, SettingsError

T = TypeVar("T")

SECONDS = 10.0  # for one call, repeated attempts included
RETRY = Retry(if_exception_type(ServiceUnavailable), initial=0.2, maximum=2.0, timeout=SECONDS)
# Which field of Google's holds ours.
PATHS = {
    "ack_deadline": "ack_deadline_seconds",
    "retention": "message_retention_duration",
    "expires_after": "expiration_policy",
    "least_backoff": "retry_policy",
    "most_backoff": "retry_policy",
    "dead_letter_topic": "dead_letter_policy",
    "most_attempts": "dead_letter_policy",
    "push_endpoint": "push_config",
    "push_service_account": "push_config",
    "push_audience": "push_config",
}


class TopologyAdmin:
    """The topics and subscriptions of a project; PUBSUB_EMULATOR_HOST is heeded.

    Every method raises PubSubRefused when Google does not do what is asked, and SettingsError without
    credentials.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        with _explained(f"project {project}"):
            self._publisher = PublisherClient()
            self._subscriber = SubscriberClient()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.transport.close()
        self._subscriber.close()

    def existing(self, wanted: Sequence[Resource]) -> dict[tuple[type[Resource], str], Resource]:
        """Those of the wanted resources that exist, as they are. Asks for nothing else."""
        found = (self._read(resource) for resource in wanted)
        return {(type(resource), resource.name): resource for resource in found if resource}

    def _read(self, resource: Resource) -> Resource | None:
        try:
            if isinstance(resource, Topic):
                self._call(self._publisher.get_topic, {"topic": self._path(resource)}, resource, NotFound)
                return resource
            request = {"subscription": self._path(resource)}
            return self._read_back(self._call(self._subscriber.get_subscription, request, resource, NotFound))
        except NotFound:
            return None

    def take(self, step: Step) -> None:
        """Create or change a resource. One that somebody else has created meanwhile is left as it is."""
        resource = step.resource
        if step.action == "change" and isinstance(resource, Subscription):
            paths = sorted({PATHS[difference.field] for difference in step.changes})
            request = {"subscription": self._spelled_out(resource), "update_mask": FieldMask(paths=paths)}
            self._call(self._subscriber.update_subscription, request, resource)
        elif step.action == "create":
            self._create(resource)

    def _create(self, resource: Resource) -> None:
        try:
            if isinstance(resource, Topic):
                request = {"name": self._path(resource)}
                self._call(self._publisher.create_topic, request, resource, AlreadyExists)
            else:
                request = self._spelled_out(resource)
                self._call(self._subscriber.create_subscription, request, resource, AlreadyExists)
        except AlreadyExists:
            return

    def _call(
        self, method: Callable[..., T], request: Any, resource: Resource, *expected: type[GoogleAPICallError]
    ) -> T:
        with _explained(self._path(resource), *expected):
            return method(request=request, retry=RETRY, timeout=SECONDS)

    def _path(self, resource: Resource) -> str:
        kind = "topics" if isinstance(resource, Topic) else "subscriptions"
        return f"projects/{self._project}/{kind}/{resource.name}"

    def _topic(self, name: str) -> str:
        return f"projects/{self._project}/topics/{name}"

    def _short(self, topic: str) -> str:
        """The short name of a topic of this project, the full one of any other."""
        return topic.removeprefix(self._topic(""))

    def _spelled_out(self, wanted: Subscription) -> types.Subscription:
        """A subscription in Google's terms."""
        spelled = types.Subscription(
            name=self._path(wanted),
            topic=self._topic(wanted.topic),
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
                dead_letter_topic=self._topic(wanted.dead_letter_topic),
                max_delivery_attempts=wanted.most_attempts,
            )
        return spelled

    def _read_back(self, found: types.Subscription) -> Subscription:
        """A subscription of Google's in our terms."""
        token = found.push_config.oidc_token
        return Subscription(
            name=found.name.rpartition("/")[2],
            topic=self._short(found.topic),
            ordering=found.enable_message_ordering,
            filter=found.filter,
            ack_deadline=found.ack_deadline_seconds,
            retention=round(_seconds(found.message_retention_duration)),
            expires_after=round(_seconds(found.expiration_policy.ttl)),
            least_backoff=_seconds(found.retry_policy.minimum_backoff),
            most_backoff=_seconds(found.retry_policy.maximum_backoff),
            dead_letter_topic=self._short(found.dead_letter_policy.dead_letter_topic),
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


def _duration(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _seconds(duration: Any) -> float:
    """Seconds of a timedelta, which is what fields of Google's classes really give, or none."""
    return duration.total_seconds() if duration else 0.0


@contextmanager
def _explained(about: str, *expected: type[GoogleAPICallError]) -> Generator[None]:
    """Turn Google's errors into ours, one line each; an expected one passes."""
    try:
        yield
    except expected:
        raise
    except (Unauthenticated, GoogleAuthError) as error:
        raise SettingsError(
            f"Google Cloud knows no credentials of yours ({_first_line(error)}): run `gcloud auth"
            " application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to the file of a key"
        ) from error
    except Forbidden as error:
        raise PubSubRefused(
            f"{about}: not permitted ({_first_line(error)}); `pubsub apply` needs roles/pubsub.editor,"
            " `pubsub diff` roles/pubsub.viewer"
        ) from error
    except (ServiceUnavailable, DeadlineExceeded, RetryError) as error:
        raise PubSubRefused(f"{about}: Pub/Sub does not answer ({_first_line(error)}); try again") from error
    except GoogleAPICallError as error:
        raise PubSubRefused(f"{about}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    message = error.message if isinstance(error, GoogleAPICallError) else str(error)
    return next(iter((message or type(error).__name__).splitlines()), "")
