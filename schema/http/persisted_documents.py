"""Documents that are named instead of sent: those seen before, or the only ones that are answered at all."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from graphql import GraphQLError, GraphQLSchema, parse, validate

from schema.core.errors import CallerError, ErrorCode
from schema.execution.refusal import Refused
from schema.execution.request import GraphQLRequest, sha256_of, unknown_document

MAX_REMEMBERED = 1_000
MAX_LENGTH = 20_000  # characters; a longer document is answered, but sent each time


class InvalidDocuments(Exception):
    """A file of trusted documents that cannot be used; the message names the document and what is wrong."""


class Documents(Protocol):
    def text(self, request: GraphQLRequest) -> str:
        """The text to execute. Raises CallerError for one that is unknown, Refused where none is asked."""

    def executed(self, request: GraphQLRequest) -> None:
        """Told of each request whose document has proved valid."""


class RememberedDocuments:
    """Automatic persisted queries: a client sends a document's hash, and its text where we do not know it.

    Held per process and bounded; whoever is asked for a document it does not know says so, and is told.
    """

    def __init__(self) -> None:
        self.texts: OrderedDict[str, str] = OrderedDict()

    def text(self, request: GraphQLRequest) -> str:
        if request.document_id is None:
            if not request.query:
                raise Refused("`query` is missing.")
            return request.query
        if request.query is None:
            if (query := self.texts.get(request.document_id)) is None:
                raise unknown_document()
            self.texts.move_to_end(request.document_id)
            return query
        if request.document_id != sha256_of(request.query):
            raise CallerError("The hash sent is not the SHA-256 of `query`.")
        return request.query

    def executed(self, request: GraphQLRequest) -> None:
        if request.document_id is None or request.query is None or len(request.query) > MAX_LENGTH:
            return
        self.texts[request.document_id] = request.query
        while len(self.texts) > MAX_REMEMBERED:
            self.texts.popitem(last=False)


class TrustedDocuments:
    """The only documents that are answered, by their ids; a text is answered when it is one of theirs."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = {id_.removeprefix("sha256:"): text for id_, text in texts.items()}
        self.known = set(self.texts.values())

    def text(self, request: GraphQLRequest) -> str:
        query = request.query
        if query is None and request.document_id is not None:
            query = self.texts.get(request.document_id)
        elif query is None:
            raise Refused("Neither `query` nor `documentId` is given.")
        if query not in self.known:
            raise CallerError("Only trusted documents are answered here.", ErrorCode.UNTRUSTED_DOCUMENT)
        return query

    def executed(self, request: GraphQLRequest) -> None:
        """Nothing is learned from clients."""


def trusted_documents(path: Path, schema: GraphQLSchema) -> TrustedDocuments:
    """Documents from a file, each valid in this schema.

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
    return TrustedDocuments(content)
