"""Read the credentials and the GraphQL request of a connection, within the limits; notice that it ends."""

import asyncio
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import Receive, Scope

from app.accounts.external_members import MAX_ID_LENGTH
from app.settings import Settings
from schema.core.errors import CallerError, ErrorCode
from schema.execution.actor import HEADER, Credentials
from schema.execution.begun import Begun
from schema.execution.limits import check_length, too_complex
from schema.execution.refusal import Refused
from schema.execution.request import GraphQLRequest, too_many_values
from schema.http.content_coding import content_coding, decompressed
from schema.http.content_negotiation import check_media_type
from schema.http.json_size import may_exceed

MAX_PARAMETERS = 30  # of a query string; GraphQL over HTTP has five
LARGE = 30_000  # bytes; decoding fewer takes a millisecond at most
PATIENT_SECONDS = 0.05  # before the endpoint watches whether the client has left
MAX_TOKEN_LENGTH = 8_000  # characters; our access token has about 250, that of an issuer up to thousands
MAX_MEMBER_BYTES = 4 * MAX_ID_LENGTH
MEMBER = HEADER.lower().encode()
NONE = Credentials()


def credentials_of(connection: HTTPConnection) -> Credentials:
    """The token or key, and the member for whom the key acts. They may be invalid."""
    authorization: bytes | None = None
    members: list[bytes] = []
    for name, value in connection.scope["headers"]:
        if name == b"authorization":
            authorization = value if authorization is None else authorization
        elif name == MEMBER:
            members.append(value)
    if authorization is None and not members:
        return NONE
    # Two headers would be two members: the line feed, which none can contain, makes them invalid.
    member = "\n".join(member_in(each.decode("latin-1")) for each in members[:2]) if members else None
    return Credentials(token_in((authorization or b"").decode("latin-1")), member)


def member_in(header: str) -> str:
    """A member's id, from the bytes of a header in UTF-8. One that is too long or no UTF-8 is not valid."""
    if len(header) > MAX_MEMBER_BYTES:
        return header
    return header.encode("latin-1").decode(errors="surrogateescape")


def token_in(authorization: str) -> str | None:
    """The token of an Authorization header; a longer one is cut, and is not valid then."""
    scheme, _, token = authorization[:MAX_TOKEN_LENGTH].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class IndexedRequest(Request):
    """A request with an index of its header fields, where Starlette compares each name."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__(scope, receive)
        self.fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # the first of each name

    def joined(self, name: bytes) -> str:
        """The values of a field as one list."""
        if len(self.fields) == len(self.scope["headers"]):
            return self.fields.get(name, b"").decode("latin-1")
        return ", ".join(self.headers.getlist(name.decode()))


async def read(request: IndexedRequest, settings: Settings) -> GraphQLRequest:
    """The GraphQL request of an HTTP request. Raises Refused."""
    if request.method in ("GET", "HEAD"):
        return GraphQLRequest.of(parameters_of(request, settings))
    if request.method != "POST":
        raise Refused("Use GET or POST.", 405, {"Allow": "GET, HEAD, POST"})
    fields = request.fields
    if fields.get(b"content-type") != b"application/json":
        check_media_type(request.headers)
    coding = content_coding(request.headers) if b"content-encoding" in fields else None
    body = await body_of(request, settings)
    if coding is not None:
        body = await decompressed(body, coding, settings.max_body_bytes)
    if len(body) > LARGE:
        parsed = GraphQLRequest.of(await asyncio.to_thread(decoded_large, body, settings))
    else:
        parsed = GraphQLRequest.of(decoded(body, "The body", settings))
    if parsed.query is not None and len(parsed.query) > settings.max_document_characters:
        check_length(parsed.query, settings)
    return parsed


def parameters_of(request: Request, settings: Settings) -> dict[str, Any]:
    """The parameters of a query string. Raises Refused."""
    sent = request.scope["query_string"].decode("latin-1")
    try:
        parameters: dict[str, Any] = dict(parse_qsl(sent, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise Refused(f"The query string has more than {MAX_PARAMETERS} parameters.") from None
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = decoded(parameters[name], f"`{name}`", settings)
    return parameters


async def body_of(request: IndexedRequest, settings: Settings) -> bytes:
    """Raises Refused for a body that is too long, or that does not arrive in time."""
    most = settings.max_body_bytes
    announced = request.fields.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > most:
        raise too_long(most, int(announced))
    reading = Begun(whole_body(request.receive, most))
    if reading.ended:  # as it usually has arrived, it needs no timer
        return reading.value
    try:
        async with asyncio.timeout(settings.request_seconds):
            return await reading
    except TimeoutError:
        message = f"The body did not arrive within {settings.request_seconds:g} seconds (REQUEST_SECONDS)."
        error = CallerError(message, ErrorCode.TIMEOUT, setting="REQUEST_SECONDS")
        raise Refused(error, 408, {"Connection": "close"}) from None


async def whole_body(receive: Receive, most: int) -> bytes:
    """Raises Refused for a body that is too long, and ClientDisconnect."""
    body = bytearray()  # a list of parts takes many times the memory if a client sends small ones
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        if len(body) + len(part) > most:
            raise too_long(most, len(body) + len(part))
        is_last = not message.get("more_body", False)
        if is_last and not body:  # it usually arrives in one part
            return part
        body += part
        if is_last:
            return bytes(body)


def too_long(limit: int, asked: int) -> Refused:
    return Refused(too_complex("MAX_BODY_BYTES", "The body has {} bytes or more", limit, asked), 413)


def decoded_large(body: bytes, settings: Settings) -> Any:
    """Decode JSON, but not if it has too many values. Raises Refused."""
    if may_exceed(body, settings.max_json_values):
        raise too_many_values(settings)
    return decoded(body, "The body", settings)


def decoded(text: str | bytes, name: str, settings: Settings) -> Any:
    """Decode JSON. Raises Refused for another text, and for JSON beyond the limits."""
    try:
        value = orjson.loads(text)
    except ValueError as error:
        if "depth limit" in str(error) or "ecursion limit" in str(error):  # orjson's own, far beyond ours
            raise too_deep(settings) from None
        raise Refused(f"{name} is not JSON: {error}.") from None
    # A value takes a character at least, and a level a bracket.
    whole = text.encode() if isinstance(text, str) else text
    levels = whole.count(b"{") + whole.count(b"[")
    if len(whole) > settings.max_json_values or levels > settings.max_json_depth:
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


def too_deep(settings: Settings) -> Refused:
    most = settings.max_json_depth
    return Refused(
        too_complex("MAX_JSON_DEPTH", "The request's JSON is {} levels deep or more", most, most + 1)
    )


class WhilePresent:
    """A block that is canceled, and raises ClientDisconnect, when the client leaves.

    Most blocks end before PATIENT_SECONDS and take no task.
    """

    def __init__(self, http: Request) -> None:
        self.http = http
        self.left = False
        self.watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task, self.cancelling = task, task.cancelling()
        self.timer = asyncio.get_running_loop().call_later(PATIENT_SECONDS, self.watch)

    def watch(self) -> None:
        self.watching = asyncio.create_task(self.follow())

    async def follow(self) -> None:
        while (await self.http.receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self.task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, _: TracebackType | None
    ) -> None:
        self.timer.cancel()
        if self.watching is not None:
            self.watching.cancel()
        # As asyncio.timeout does: another cancellation goes on.
        if self.left and self.task.uncancel() <= self.cancelling and kind is asyncio.CancelledError:
            raise ClientDisconnect from raised
