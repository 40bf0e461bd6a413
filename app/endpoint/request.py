"""The parameters of a GraphQL request, in a body, an address or a websocket's message."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from app.endpoint.content import check_media_type, content_coding, decompressed
from app.endpoint.json_size import may_exceed
from app.endpoint.refusal import Refused
from app.settings import Settings
from schema.errors import CallerError, ErrorCode
from schema.limits import check_length, too_complex

MAX_PARAMETERS = 30  # of an address; we know five
MAX_NAME_LENGTH = 200  # characters of an operation's name and of a document's id
LARGE = 100_000  # bytes; decoding fewer takes a few milliseconds whatever they say


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """`document_id` names a stored document: the SHA-256 of its text, or a trusted document's id.

    A parameter that is null or the empty string is absent, in every transport: the specification says so of
    an address, and no document, name or id is empty.
    """

    query: str | None
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    document_id: str | None

    @classmethod
    def of(cls, parameters: object) -> Self:
        """Raises Refused for parameters that are not as GraphQL over HTTP has them."""
        if isinstance(parameters, list):
            raise Refused("Batches are not answered: send each operation by itself.")
        if not isinstance(parameters, dict):
            raise Refused("A GraphQL request must be a JSON object.")
        extensions = given(parameters, "extensions", dict, "an object")
        document_id = name_in(parameters, "documentId")
        return cls(
            query=given(parameters, "query", str, "a string") or None,
            operation_name=name_in(parameters, "operationName"),
            variables=given(parameters, "variables", dict, "an object"),
            extensions=extensions,
            document_id=persisted_id(extensions)
            if document_id is None
            else document_id.removeprefix("sha256:"),
        )


async def read(request: Request, settings: Settings) -> GraphQLRequest:
    """The request in an HTTP request. Raises Refused."""
    if request.method in ("GET", "HEAD"):
        return GraphQLRequest.of(parameters_of(request, settings))
    if request.method != "POST":
        raise Refused("Use GET or POST.", 405, {"Allow": "GET, HEAD, POST"})
    check_media_type(request.headers)
    coding = content_coding(request.headers)
    body = await body_of(request, settings)
    if coding is not None:
        body = await decompressed(body, coding, settings.max_body_bytes)
    if len(body) > LARGE and await asyncio.to_thread(may_exceed, body, settings.max_json_values):
        raise too_many_values(settings)
    asked = GraphQLRequest.of(decoded(body, "The body", settings))
    check_length(asked.query or "", settings)
    return asked


def parameters_of(request: Request, settings: Settings) -> dict[str, Any]:
    """The parameters in an address. Raises Refused."""
    sent = request.scope["query_string"].decode("latin-1")
    try:
        parameters: dict[str, Any] = dict(parse_qsl(sent, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise Refused(f"The address has more than {MAX_PARAMETERS} parameters.") from None
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = decoded(parameters[name], f"`{name}`", settings)
    return parameters


async def body_of(request: Request, settings: Settings) -> bytes:
    """Raises Refused for a body that is too long, or that does not arrive in time."""
    most = settings.max_body_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise too_long(most, int(announced))
    body = bytearray()
    try:
        async with asyncio.timeout(settings.request_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long(most, len(body))
    except TimeoutError:
        message = f"The body did not arrive within {settings.request_seconds:g} seconds (REQUEST_SECONDS)."
        raise Refused(CallerError(message, ErrorCode.TIMEOUT), 408, {"Connection": "close"}) from None
    return bytes(body)


def too_long(limit: int, asked: int) -> Refused:
    return Refused(too_complex("MAX_BODY_BYTES", "The body has {} bytes or more", limit, asked), 413)


def decoded(text: str | bytes, what: str, settings: Settings) -> Any:
    """Raises Refused for what is no JSON, or is beyond the limits."""
    try:
        value = orjson.loads(text)
    except ValueError as error:
        if "depth limit" in str(error) or "ecursion limit" in str(error):  # orjson's own, far beyond ours
            raise too_deep(settings) from None
        raise Refused(f"{what} is not JSON: {error}.") from None
    bound(value, settings)
    return value


def bound(value: object, settings: Settings) -> None:
    """Raises Refused for JSON that is nested too deeply, or has too many values."""
    level, values = [value], 0
    for _ in range(settings.max_json_depth):
        inside: list[object] = []
        for part in level:
            if isinstance(part, dict):
                inside.extend(part.values())
            elif isinstance(part, list):
                inside.extend(part)
        values += len(inside)
        if values > settings.max_json_values:
            raise too_many_values(settings, values)
        level = [part for part in inside if isinstance(part, dict | list)]
        if not level:
            return
    raise too_deep(settings)


def too_many_values(settings: Settings, asked: int | None = None) -> Refused:
    most = settings.max_json_values
    message = "The request has {} values or more in its lists and objects"
    return Refused(too_complex("MAX_JSON_VALUES", message, most, most + 1 if asked is None else asked))


def too_deep(settings: Settings) -> Refused:
    most = settings.max_json_depth
    return Refused(
        too_complex("MAX_JSON_DEPTH", "The request's JSON is {} levels deep or more", most, most + 1)
    )


def given(parameters: dict[str, Any], name: str, kind: type, description: str) -> Any:
    value = parameters.get(name)
    if value is not None and not isinstance(value, kind):
        raise Refused(f"`{name}` must be {description}.")
    return value


def name_in(parameters: dict[str, Any], name: str) -> str | None:
    """An operation's name or a document's id; None where it is empty. Raises Refused."""
    value: str | None = given(parameters, name, str, "a string")
    return short(value, name) if value else None


def short(value: str, name: str) -> str:
    """Raises Refused for a name that is too long to be one."""
    if len(value) > MAX_NAME_LENGTH:
        raise Refused(f"`{name}` takes at most {MAX_NAME_LENGTH} characters, not {len(value):,}.")
    return value


def persisted_id(extensions: dict[str, Any] | None) -> str | None:
    """The hash by which Apollo's clients name a document."""
    persisted = (extensions or {}).get("persistedQuery")
    if persisted is None:
        return None
    sha256 = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    if not isinstance(sha256, str) or persisted.get("version") != 1:
        raise Refused("`extensions.persistedQuery` must have `version` 1 and a `sha256Hash`.")
    return short(sha256, "extensions.persistedQuery.sha256Hash")


def sha256_of(query: str) -> str:
    return hashlib.sha256(query.encode(errors="surrogatepass")).hexdigest()


def unknown_document() -> CallerError:
    """Its message and code are those by which clients know to send the text as well."""
    return CallerError("PersistedQueryNotFound", ErrorCode.PERSISTED_QUERY_NOT_FOUND)
