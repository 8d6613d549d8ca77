"""What an event type is: a payload struct with a stored name, a version and a kind of subject."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, StructMeta

from progress_context.log.event import ProfileChange

SubjectKind = Literal["learner", "item"]

MAX_ID = 200
MAX_IRI = 2048
# PostgreSQL's index rows end at 2,704 bytes, and (source, id) must fit into one.
MAX_NAME_BYTES = 2_560

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
Iri = Annotated[str, Meta(min_length=1, max_length=MAX_IRI)]
Note = Annotated[str, Meta(max_length=2_000)]
Label = Annotated[str, Meta(max_length=200)]

# Upper bounds keep every number inside PostgreSQL's integer and every sum inside its bigint.
Count = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Milliseconds = Annotated[int, Meta(ge=0, le=2_147_483_647)]
Seconds = Annotated[float, Meta(ge=0, le=1_000_000_000)]
Days = Annotated[float, Meta(ge=0, le=1_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]

Domain = Literal["reading", "writing", "listening", "speaking"]
Level = Literal["A1", "A2", "B1", "B2", "C1", "C2"]


class EventType(StructMeta):
    """Takes `type=`, `version=`, `subject=` and `private=` from a class statement and keeps them.

    A private type is stored with the fields it declares and nothing else.
    """

    stored_name: str
    version: int
    subject: SubjectKind
    private: bool

    def __new__(  # noqa: PYI034 - Self is not valid in a metaclass
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        type: str = "",  # noqa: A002 - the word of the published language
        version: int = 1,
        subject: SubjectKind = "learner",
        private: bool = False,
        **options: Any,
    ) -> EventType:
        made = super().__new__(mcls, name, bases, namespace, **options)
        made.stored_name, made.version = type, version
        made.subject, made.private = subject, private
        return made


class Event(Struct, metaclass=EventType, kw_only=True, omit_defaults=True, gc=False):
    """The payload of one version of one event type.

    Fields that nobody declared are allowed and kept. A rule between fields is checked in
    `__post_init__`, which raises `field_error`.
    """

    def profile(self) -> ProfileChange | None:
        """What this event changes in the learner's calendar."""
        return None

    def voids(self) -> tuple[str, str] | None:
        """The (source, id) of the event that this one takes back."""
        return None


def field_error(field: str, reason: str) -> ValueError:
    """A broken rule of one field, worded as msgspec words its own."""
    return ValueError(f"{reason} - at `$.{field}`")


def check_name(source: str, event_id: str) -> str | None:
    """Why (source, event_id) cannot name an event, `None` when it can."""
    if 4 * (len(source) + len(event_id)) <= MAX_NAME_BYTES:
        return None
    if len(source.encode()) + len(event_id.encode()) > MAX_NAME_BYTES:
        return f"source and id together have more than {MAX_NAME_BYTES} bytes"
    return None
