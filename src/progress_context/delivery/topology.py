"""The Pub/Sub topology as values: what there should be, and what has to be done about what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from progress_context.delivery.pubsub import EVENTS, PROJECTION
from progress_context.intake.pull import SOURCES

DAY = 86_400
DEAD_LETTERS = "-dead-letters"

Action = Literal["create", "change", "leave"]


@dataclass(frozen=True, slots=True)
class Schema:
    """What the data of a topic's messages must look like; a definition is compared as stripped text."""

    name: str
    type: str = field(metadata={"fixed": True})
    definition: str


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic; without a schema that we ask of it, it may have any or none."""

    name: str
    schema: str = field(default="", metadata={"if_wanted": True})
    encoding: str = field(default="", metadata={"if_wanted": True})


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, by short names; times are in seconds, empty and 0 mean none."""

    name: str
    topic: str = field(metadata={"fixed": True})
    ordering: bool = field(default=True, metadata={"fixed": True})
    filter: str = field(default="", metadata={"fixed": True})
    ack_deadline: int = 60
    retention: int = 7 * DAY
    expires_after: int = 0
    least_backoff: float = 0.0
    most_backoff: float = 0.0
    dead_letter_topic: str = ""
    most_attempts: int = 0
    push_endpoint: str = ""
    push_service_account: str = ""
    push_audience: str = ""


Resource = Schema | Topic | Subscription


@dataclass(frozen=True, slots=True)
class Push:
    """Where Pub/Sub delivers the sources' messages, and the identity it shows there."""

    endpoint: str
    service_account: str
    audience: str


def topic_names() -> list[str]:
    """All topics, without a prefix."""
    return [EVENTS, *(name for source in SOURCES for name in (source, source + DEAD_LETTERS))]


def wanted_topology(
    prefix: str = "",
    push: Push | None = None,
    dead_letter_days: int = 31,
    schemas: Sequence[Schema] = (),
) -> list[Resource]:
    """All schemas, topics and subscriptions, each behind those that it needs.

    Without `push` sources are pulled. `schemas` are named as their topics, without a prefix.
    """
    checked = {schema.name for schema in schemas}
    subscriptions = [_projection()]
    for source in SOURCES:
        subscriptions += [_dead_letters(source, dead_letter_days), _source(source, push)]
    return [
        *(replace(schema, name=prefix + schema.name) for schema in schemas),
        *(_topic(prefix + name, checked=name in checked) for name in topic_names()),
        *(_prefixed(subscription, prefix) for subscription in subscriptions),
    ]


def _topic(name: str, *, checked: bool) -> Topic:
    return Topic(name, schema=name, encoding="json") if checked else Topic(name)


def _projection() -> Subscription:
    """News for the projection services.

    News of a position need no order, which would hold back all that follows a message given back. Given back,
    another service may have them at once; a day later the log itself has told everybody.
    """
    return Subscription(
        PROJECTION, EVENTS, ordering=False, retention=DAY, least_backoff=0.1, most_backoff=10.0
    )


def _source(source: str, push: Push | None) -> Subscription:
    """Events for the command services.

    What cannot be stored they put away themselves, so only an outage makes messages fail. Redelivery then
    slows down to every ten minutes; with the most attempts that Google counts, 16 hours pass before a message
    goes to the dead-letter topic.
    """
    subscription = Subscription(
        f"progress-command-{source}",
        source,
        least_backoff=1.0,
        most_backoff=600.0,
        dead_letter_topic=source + DEAD_LETTERS,
        most_attempts=100,
    )
    if push is None:
        return subscription
    return replace(
        subscription,
        push_endpoint=push.endpoint,
        push_service_account=push.service_account,
        push_audience=push.audience,
    )


def _dead_letters(source: str, days: int) -> Subscription:
    """Keeps dead letters until somebody looks: a topic alone keeps nothing."""
    name = source + DEAD_LETTERS
    return Subscription(name, name, ordering=False, retention=days * DAY)


def _prefixed(subscription: Subscription, prefix: str) -> Subscription:
    dead_letter_topic = subscription.dead_letter_topic
    return replace(
        subscription,
        name=prefix + subscription.name,
        topic=prefix + subscription.topic,
        dead_letter_topic=prefix + dead_letter_topic if dead_letter_topic else "",
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of a resource that is not as wanted; a `fixed` one cannot be changed in place."""

    field: str
    old: Any
    new: Any
    fixed: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one resource."""

    action: Action
    resource: Resource
    differences: tuple[Difference, ...] = ()

    @property
    def kind(self) -> str:
        """`schema`, `topic` or `subscription`."""
        return type(self.resource).__name__.lower()

    @property
    def stuck(self) -> tuple[Difference, ...]:
        """What differs and cannot be changed."""
        return tuple(d for d in self.differences if d.fixed)

    @property
    def changes(self) -> tuple[Difference, ...]:
        """What differs and can be changed."""
        return tuple(d for d in self.differences if not d.fixed)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in an order in which it can be done."""

    steps: tuple[Step, ...]

    @property
    def to_do(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != "leave"]

    @property
    def stuck(self) -> list[Step]:
        """The steps with differences that stay."""
        return [step for step in self.steps if step.stuck]

    @property
    def is_done(self) -> bool:
        """Whether everything is as wanted."""
        return not self.to_do and not self.stuck


Existing = Mapping[tuple[type[Resource], str], Resource]


def plan(wanted: Sequence[Resource], existing: Existing) -> Plan:
    """The steps from what exists, by kind and name, to what is wanted; what is not wanted is left alone.

    A topic gets no schema that is stuck: it would refuse messages by rules that nobody here wants.
    """
    steps: list[Step] = []
    stuck: set[str] = set()
    for resource in wanted:
        if isinstance(resource, Topic) and resource.schema in stuck:
            resource = Topic(resource.name)
        step = _step(resource, existing.get((type(resource), resource.name)))
        if isinstance(resource, Schema) and step.stuck:
            stuck.add(resource.name)
        steps.append(step)
    return Plan(tuple(steps))


def _step(wanted: Resource, found: Resource | None) -> Step:
    if found is None:
        return Step("create", wanted)
    differences = tuple(_differences(wanted, found))
    changes = any(not difference.fixed for difference in differences)
    return Step("change" if changes else "leave", wanted, differences)


def _differences(wanted: Resource, found: Resource) -> Iterator[Difference]:
    for each in fields(wanted):
        old, new = getattr(found, each.name), getattr(wanted, each.name)
        if old == new or (each.metadata.get("if_wanted") and not new):
            continue
        yield Difference(each.name, old, new, each.metadata.get("fixed", False))
        if isinstance(wanted, Schema) and each.name == "type":
            return  # no definition of another type can be committed
