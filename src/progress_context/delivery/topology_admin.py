"""Google Pub/Sub's administration: reads what exists of a topology, and takes the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
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
from google.pubsub_v1 import SchemaServiceClient, types

from progress_context.delivery.topology import Resource, Schema, Step, Topic
from progress_context.delivery.topology_terms import Terms
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
    """The schemas, topics and subscriptions of a project; PUBSUB_EMULATOR_HOST is heeded.

    Every method raises PubSubRefused when Google does not do what is asked, and SettingsError without
    credentials.
    """

    def __init__(self, project: str) -> None:
        self._terms = Terms(project)
        with _explained(f"project {project}"):
            self._schemas = SchemaServiceClient()
            self._publisher = PublisherClient()
            self._subscriber = SubscriberClient()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._schemas.transport.close()
        self._publisher.transport.close()
        self._subscriber.close()

    def existing(self, wanted: Sequence[Resource]) -> dict[tuple[type[Resource], str], Resource]:
        """Those of the wanted resources that exist, as they are. Asks for nothing else."""
        found = (self._read(resource) for resource in wanted)
        return {(type(resource), resource.name): resource for resource in found if resource}

    def _read(self, resource: Resource) -> Resource | None:
        path = self._terms.path(resource)
        try:
            if isinstance(resource, Schema):
                request = {"name": path, "view": types.SchemaView.FULL}
                return self._terms.schema_from(
                    self._call(self._schemas.get_schema, request, resource, NotFound)
                )
            if isinstance(resource, Topic):
                request = {"topic": path}
                return self._terms.topic_from(
                    self._call(self._publisher.get_topic, request, resource, NotFound)
                )
            request = {"subscription": path}
            return self._terms.subscription_from(
                self._call(self._subscriber.get_subscription, request, resource, NotFound)
            )
        except NotFound:
            return None

    def take(self, step: Step) -> None:
        """Create or change a resource. One that somebody else has created meanwhile is left as it is."""
        if step.action == "change":
            self._change(step)
        elif step.action == "create":
            self._create(step.resource)

    def _change(self, step: Step) -> None:
        resource = step.resource
        if isinstance(resource, Schema):
            request = {"name": self._terms.path(resource), "schema": self._terms.schema(resource)}
            self._call(self._schemas.commit_schema, request, resource)
        elif isinstance(resource, Topic):
            # As a whole: revisions of another schema, to which the topic may be bound, mean nothing here.
            mask = FieldMask(paths=["schema_settings"])
            request = {"topic": self._terms.topic(resource), "update_mask": mask}
            self._call(self._publisher.update_topic, request, resource)
        else:
            mask = FieldMask(paths=sorted({PATHS[difference.field] for difference in step.changes}))
            request = {"subscription": self._terms.subscription(resource), "update_mask": mask}
            self._call(self._subscriber.update_subscription, request, resource)

    def _create(self, resource: Resource) -> None:
        try:
            if isinstance(resource, Schema):
                schema = self._terms.schema(resource)
                request = {"parent": self._terms.project, "schema_id": resource.name, "schema": schema}
                self._call(self._schemas.create_schema, request, resource, AlreadyExists)
            elif isinstance(resource, Topic):
                request = self._terms.topic(resource)
                self._call(self._publisher.create_topic, request, resource, AlreadyExists)
            else:
                request = self._terms.subscription(resource)
                self._call(self._subscriber.create_subscription, request, resource, AlreadyExists)
        except AlreadyExists:
            return

    def _call(
        self, method: Callable[..., T], request: Any, resource: Resource, *expected: type[GoogleAPICallError]
    ) -> T:
        with _explained(self._terms.path(resource), *expected):
            return method(request=request, retry=RETRY, timeout=SECONDS)


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
