"""GraphQL over HTTP: what a request says, and in which media type its answer goes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Scope

from progress_context.errors import ProgressError

JSON = "application/json"
GRAPHQL = "application/graphql-response+json"


class HttpRefusal(ProgressError):
    """A request that is not GraphQL, or not one that is taken here."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class GraphQLRequest(msgspec.Struct):
    """The body of a GraphQL request."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the names of the protocol
    extensions: dict[str, Any] | None = None
    documentId: str | None = None  # noqa: N815


_read_one = msgspec.json.Decoder(GraphQLRequest).decode
_read_many = msgspec.json.Decoder(list[GraphQLRequest]).decode
_read_object = msgspec.json.Decoder(dict[str, Any] | None).decode


def read_body(body: bytes, batch: int) -> GraphQLRequest | list[GraphQLRequest]:
    """The request in a body, or up to `batch` of them; raises HttpRefusal."""
    try:
        if batch and body.lstrip()[:1] == b"[":
            return _limited(_read_many(body), batch)
        return _read_one(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HttpRefusal(400, "BAD_REQUEST", f"not a GraphQL request: {error}") from None


def read_query_string(text: bytes) -> GraphQLRequest:
    """The request in the address of a GET; raises HttpRefusal."""
    try:
        given = {name: values[-1] for name, values in parse_qs(text.decode(), max_num_fields=20).items()}
        return GraphQLRequest(
            given.get("query"),
            _read_object(given.get("variables") or "null"),
            given.get("operationName"),
            _read_object(given.get("extensions") or "null"),
            given.get("documentId"),
        )
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HttpRefusal(400, "BAD_REQUEST", f"not a GraphQL request: {error}") from None


def address_of(scope: Scope) -> str:
    """The address that a connection comes from; what its headers say of it is not believed."""
    return (scope.get("client") or ("",))[0]


@lru_cache(maxsize=256)
def check_content_type(content_type: str) -> None:
    """Raise HttpRefusal for a body that is no JSON in UTF-8."""
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"') or "utf-8"
    if media_type.strip().lower() != JSON or charset not in ("utf-8", "utf8"):
        raise HttpRefusal(415, "UNSUPPORTED_MEDIA_TYPE", f"send content-type: {JSON}, in UTF-8")


@lru_cache(maxsize=256)
def answer_type(accept: str) -> str | None:
    """The media type to answer in, by an Accept header; None when there is none that is accepted."""
    if not accept:
        return JSON
    wishes = dict(map(_wish, accept.lower().split(",")))
    anything = wishes.get("application/*", wishes.get("*/*", 0.0))
    graphql, plain = wishes.get(GRAPHQL, 0.0), wishes.get(JSON, anything)
    if not graphql and not plain:
        return GRAPHQL if anything and JSON in wishes else None
    return GRAPHQL if graphql >= plain else JSON


def _wish(text: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip() for part in text.split(";"))
    weights = [p.removeprefix("q=") for p in parameters if p.startswith("q=")]
    try:
        return media_type, float(weights[0]) if weights else 1.0
    except ValueError:
        return media_type, 0.0


def _limited(requests: list[GraphQLRequest], most: int) -> list[GraphQLRequest]:
    if not 0 < len(requests) <= most:
        raise HttpRefusal(400, "BAD_REQUEST", f"a batch has 1 to {most:,} requests")
    return requests
