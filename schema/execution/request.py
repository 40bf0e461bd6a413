"""Parse a GraphQL request: document, operation name and variables."""

import hashlib
from dataclasses import dataclass
from typing import Any, Self

from app.settings import Settings
from schema.core.errors import CallerError, ErrorCode
from schema.execution.limits import too_complex
from schema.execution.refusal import Refused

MAX_NAME_LENGTH = 200  # characters of an operation's name and of a document's id
KINDS = (
    ("extensions", dict, "an object"),
    ("documentId", str, "a string"),
    ("query", str, "a string"),
    ("operationName", str, "a string"),
    ("variables", dict, "an object"),
)


@dataclass(slots=True)
class GraphQLRequest:
    """`document_id` names a stored document: the SHA-256 of its text, or a trusted document's id.

    A parameter that is null or the empty string is absent, in every transport: GraphQL over HTTP says so
    for GET, and no document, name or id is empty.
    """

    query: str | None
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    document_id: str | None

    @classmethod
    def of(cls, parameters: object) -> Self:
        """Raises Refused for parameters that do not follow GraphQL over HTTP."""
        if isinstance(parameters, list):
            raise Refused("Batches are not supported. Send each operation in its own request.")
        if not isinstance(parameters, dict):
            raise Refused("A GraphQL request must be a JSON object.")
        for name, kind, description in KINDS:
            value = parameters.get(name)
            if value is not None and not isinstance(value, kind):
                raise Refused(f"`{name}` must be {description}.")
        extensions = parameters.get("extensions")
        document_id, operation_name = parameters.get("documentId") or None, parameters.get("operationName")
        if document_id is not None:
            document_id = short(document_id, "documentId").removeprefix("sha256:")
        elif extensions:
            document_id = persisted_id(extensions)
        return cls(
            query=parameters.get("query") or None,
            operation_name=short(operation_name, "operationName") if operation_name else None,
            variables=parameters.get("variables"),
            extensions=extensions,
            document_id=document_id,
        )


def too_many_values(settings: Settings, asked: int | None = None) -> Refused:
    most = settings.max_json_values
    message = "The request has {} values or more in its lists and objects"
    return Refused(too_complex("MAX_JSON_VALUES", message, most, most + 1 if asked is None else asked))


def short(value: str, name: str) -> str:
    """Raises Refused for a name that is too long."""
    if len(value) > MAX_NAME_LENGTH:
        raise Refused(f"`{name}` takes at most {MAX_NAME_LENGTH} characters, not {len(value):,}.")
    return value


def persisted_id(extensions: dict[str, Any]) -> str | None:
    """The hash that Apollo's clients send in place of a document."""
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(sha256, str) or persisted.get("version") != 1:
        raise Refused("`extensions.persistedQuery` must have `version` 1 and a `sha256Hash`.")
    return short(sha256, "extensions.persistedQuery.sha256Hash")


def sha256_of(query: str) -> str:
    return hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()


def unknown_document() -> CallerError:
    """Apollo's clients recognize the message and the code, and then send the text as well."""
    return CallerError("PersistedQueryNotFound", ErrorCode.PERSISTED_QUERY_NOT_FOUND)
