"""A call that Pub/Sub refuses, with Google's status codes and much the same words."""

from __future__ import annotations

from grpc import StatusCode


class Refused(Exception):
    """The answer to a call is an error."""

    def __init__(self, code: StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    """The request is wrong in itself."""
    return Refused(StatusCode.INVALID_ARGUMENT, message)


def not_found(resource: str) -> Refused:
    """There is no such schema, topic or subscription."""
    return Refused(StatusCode.NOT_FOUND, f"Resource not found (resource={resource.rsplit('/', 1)[-1]}).")


def already_exists(resource: str) -> Refused:
    """The name is taken."""
    return Refused(
        StatusCode.ALREADY_EXISTS,
        f"Resource already exists in the project (resource={resource.rsplit('/', 1)[-1]}).",
    )


def schema_deleted() -> Refused:
    """The topic had a schema once; without it no message can be checked."""
    return Refused(StatusCode.NOT_FOUND, "Schema associated with topic deleted.")


def exhausted(message: str) -> Refused:
    """There are as many as there may be."""
    return Refused(StatusCode.RESOURCE_EXHAUSTED, message)


def denied() -> Refused:
    """The caller has no right to this."""
    return Refused(StatusCode.PERMISSION_DENIED, "User not authorized to perform this action.")


def unavailable() -> Refused:
    """Try again."""
    return Refused(
        StatusCode.UNAVAILABLE,
        "The service was unable to fulfill your request. Please try again. [code=8a75]",
    )
