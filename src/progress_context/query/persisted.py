"""Documents that clients name instead of sending: files of the deployment, and those a client sent before."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from progress_context.errors import QueryError
from progress_context.query.wire import GraphQLRequest, HttpRefusal

REMEMBERED = 1_000
LONGEST = 64 * 1024


def documents_in(folder: Path | None) -> dict[str, str]:
    """The documents of `folder`/*.graphql: by the name of the file, and as `sha256:…` of their text."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.graphql")) if folder is not None else ():
        text = path.read_text("utf-8")
        found |= {path.stem: text, f"sha256:{_hash(text)}": text}
    return found


class PersistedDocuments:
    """Finds the document of a request."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        self._stored = stored
        self._sent: OrderedDict[str, str] = OrderedDict()

    def text(self, request: GraphQLRequest) -> str:
        """The text to execute; raises QueryError when it is not known, HttpRefusal when there is none."""
        if request.documentId is not None:
            return self._of_folder(request.documentId)
        if request.extensions and "persistedQuery" in request.extensions:
            return self._remembered(request.query, request.extensions["persistedQuery"])
        if request.query is None:
            raise HttpRefusal(400, "BAD_REQUEST", "not a GraphQL request: there is no `query`")
        return request.query

    def _of_folder(self, document_id: str) -> str:
        if document_id not in self._stored:
            raise QueryError("PERSISTED_DOCUMENT_UNKNOWN", f"there is no document {document_id!r}")
        return self._stored[document_id]

    def _remembered(self, query: str | None, given: Any) -> str:
        """Automatic persisted queries: with a text it is remembered, without it is looked up."""
        wanted = given.get("sha256Hash") if isinstance(given, dict) else None
        if not isinstance(wanted, str):
            raise QueryError("BAD_USER_INPUT", "extensions.persistedQuery lacks sha256Hash")
        if query is None:
            if wanted not in self._sent:
                raise QueryError("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound")
            self._sent.move_to_end(wanted)
            return self._sent[wanted]
        if _hash(query) != wanted.lower():
            raise QueryError(
                "BAD_USER_INPUT", "extensions.persistedQuery.sha256Hash is not that of the query"
            )
        if len(query) <= LONGEST:
            self._sent[wanted] = query
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        return query


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
