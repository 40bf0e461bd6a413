"""Documents that clients name instead of sending: automatic persisted queries, and trusted documents."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from graphql import GraphQLError, GraphQLSchema, parse, validate

from schema.core.errors import CallerError, ErrorCode
from schema.execution.documents import DocumentCache
from schema.execution.refusal import Refused
from schema.execution.request import GraphQLRequest, sha256_of, unknown_document


class InvalidDocuments(Exception):
    """A file of trusted documents that cannot be used; the message names the document and the reason."""


class Documents(Protocol):
    def text(self, request: GraphQLRequest) -> str:
        """The text to execute. Raises CallerError for an unknown document, Refused where none is named."""


@dataclass(frozen=True, slots=True)
class PersistedDocuments:
    """Automatic persisted queries: a client sends a document's hash, and its text if the cache lacks it.

    The cache holds the valid documents that this process read last. `own`: those of the web app by hash,
    which are always known.
    """

    cache: DocumentCache
    own: Mapping[str, str] = field(default_factory=dict)

    def text(self, request: GraphQLRequest) -> str:
        query = request.query
        if request.document_id is None:
            if not query:
                raise Refused("`query` is missing.")
            return query
        if query is None:
            query = self.own.get(request.document_id) or self.cache.text_of(request.document_id)
            if query is None:
                raise unknown_document()
        elif request.document_id != sha256_of(query):
            raise CallerError("The hash sent is not the SHA-256 of `query`.")
        return query


class TrustedDocuments:
    """The only documents that are accepted, by their ids; a text is accepted when it is one of theirs."""

    def __init__(self, texts: Mapping[str, str], own: Mapping[str, str] | None = None) -> None:
        """`own`: those of the web app by hash."""
        self.texts = {id_.removeprefix("sha256:"): text for id_, text in texts.items()} | dict(own or {})
        self.known = set(self.texts.values())

    def text(self, request: GraphQLRequest) -> str:
        query = request.query
        if query is None and request.document_id is not None:
            query = self.texts.get(request.document_id)
        elif query is None:
            raise Refused("Neither `query` nor `documentId` is given.")
        if query not in self.known:
            raise CallerError("Only trusted documents are accepted.", ErrorCode.UNTRUSTED_DOCUMENT)
        return query


def trusted_documents(
    path: Path, schema: GraphQLSchema, own: Mapping[str, str] | None = None
) -> TrustedDocuments:
    """Documents from a file, each valid in this schema, and those of the web app, `own`.

    The file is JSON: an object from ids to texts, as relay-compiler and GraphQL Code Generator write it, or
    Apollo's persisted query manifest. Raises InvalidDocuments.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidDocuments(f"{path} cannot be read: {error}") from None
    if isinstance(content, dict) and content.get("format") == "apollo-persisted-query-manifest":
        operations = content.get("operations")
        if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
            raise InvalidDocuments(f"{path} is not a manifest: `operations` must be a list of objects.")
        content = {each.get("id"): each.get("body") for each in operations}
    if not isinstance(content, dict) or not all(
        isinstance(part, str) for item in content.items() for part in item
    ):
        raise InvalidDocuments(f"{path} must be an object from ids to texts, or Apollo's manifest.")
    for id_, text in content.items():
        try:
            faults = validate(schema, parse(text))
        except GraphQLError as error:
            faults = [error]
        if faults:
            raise InvalidDocuments(f"{path}, document {id_}: {faults[0].message}")
    return TrustedDocuments(content, own)
