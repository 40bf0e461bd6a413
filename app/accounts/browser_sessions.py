"""`POST /session`: sessions of the web app, whose refresh token is in a cookie that no script can read.

The cookie is sent to this address only, and only by pages of this service. The access token, which pages
send with each request, is in the body of the response. A page on plain HTTP, on another machine than the
service, has no cookie: its session ends with the page.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from strawberry.http.websocket_origin import is_same_origin

from app.accounts import authentication, login_throttle
from app.accounts.authentication import Tokens
from app.settings import Settings
from app.web.admission import Overloaded
from app.web.client import client_of
from app.web.rate_limits import RateLimited

PATH = "/session"
COOKIE = "marquee_refresh"
MAX_BODY_BYTES = 8_000
DAY_SECONDS = 86_400
HEADERS = {"Cache-Control": "no-store, no-transform", "Vary": "Cookie"}
# In units of cost, as of the mutations with these names.
COSTS = {"signUp": 1000, "logIn": 1500, "refresh": 250, "logOut": 200}
# The field of a form that a failure is about.
FIELDS: dict[type[Exception], str] = {
    authentication.InvalidUsername: "username",
    authentication.UsernameTaken: "username",
    authentication.WeakPassword: "password",
    authentication.InvalidCredentials: "password",
    login_throttle.TooManyAttempts: "password",
}


class SessionRefused(Exception):
    """A request that is not executed."""

    def __init__(self, status: HTTPStatus, message: str, wait_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True)
class SessionRequest:
    action: str
    username: str
    password: str


async def browser_session(request: Request) -> Response:
    """Sign up, log in, refresh or log out. Expected failures are `problem`, with the field they are about."""
    try:
        check_origin(request)
        admission = request.app.state.admission
        admission.check()
        rates, network = request.state.rates, client_of(request).network
        await rates.request(network)
        asked = parsed(await body_of(request))
        await rates.operation(network, COSTS[asked.action])
        turn = await admission.admitted()
    except SessionRefused as refused:
        return answered({"message": str(refused)}, refused.status)
    except RateLimited as limited:
        return answered({"message": str(limited)}, HTTPStatus.TOO_MANY_REQUESTS, limited.wait_seconds)
    except Overloaded as refused:
        return answered({"message": str(refused)}, HTTPStatus.SERVICE_UNAVAILABLE, refused.wait_seconds)
    except ClientDisconnect:
        return Response(status_code=HTTPStatus.BAD_REQUEST)
    try:
        return await executed(request, asked)
    except tuple(FIELDS) as error:
        return answered({"problem": {"field": FIELDS[type(error)], "message": str(error)}})
    finally:
        turn.end()


def sessions_route() -> Route:
    return Route(PATH, browser_session, methods=["POST"])


async def executed(request: Request, asked: SessionRequest) -> Response:
    """Raises the exceptions of FIELDS."""
    settings, sessions = request.state.settings, request.state.sessions
    token = request.cookies.get(COOKIE, "")
    if asked.action == "logOut":
        if token:
            await authentication.log_out_by_refresh_token(sessions, token)
        return without_cookie(request)
    if asked.action == "refresh":
        if not token:
            return answered({"session": None})
        try:
            return with_cookie(request, await authentication.refresh_session(sessions, settings, token))
        except authentication.InvalidRefreshToken:
            return without_cookie(request)
    enter = authentication.sign_up if asked.action == "signUp" else authentication.log_in
    tokens = await enter(sessions, settings, asked.username, asked.password, client_of(request))
    return with_cookie(request, tokens)


def check_origin(request: Request) -> None:
    """Only pages of this service may use the cookie, whatever ALLOWED_ORIGINS says. Raises Refused."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site")
    own = origin is not None and is_same_origin(origin, request.headers.get("host"))
    if site not in (None, "same-origin") or not (own or site == "same-origin"):
        raise SessionRefused(
            HTTPStatus.FORBIDDEN,
            "Only pages of this service may send requests here: programs use `logIn` of the API.",
        )
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise SessionRefused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.")


async def body_of(request: Request) -> bytes:
    """Raises Refused for a body that is too long, or that does not arrive in time."""
    body = bytearray()
    settings: Settings = request.state.settings
    try:
        async with asyncio.timeout(settings.request_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    message = f"The body has more than {MAX_BODY_BYTES:,} bytes."
                    raise SessionRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
    except TimeoutError:
        message = f"The body did not arrive within {settings.request_seconds:g} seconds (REQUEST_SECONDS)."
        raise SessionRefused(HTTPStatus.REQUEST_TIMEOUT, message) from None
    return bytes(body)


def parsed(body: bytes) -> SessionRequest:
    """Raises Refused for a body that is not an action with the texts that it needs."""
    try:
        sent: Any = orjson.loads(body)
    except ValueError:
        raise SessionRefused(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
    action = sent.get("action") if isinstance(sent, dict) else None
    if not isinstance(action, str) or action not in COSTS:
        raise SessionRefused(HTTPStatus.BAD_REQUEST, f"`action` must be one of {', '.join(COSTS)}.")
    texts = [sent.get(name, "") for name in ("username", "password")]
    if not all(isinstance(text, str) for text in texts):
        raise SessionRefused(HTTPStatus.BAD_REQUEST, "`username` and `password` must be strings.")
    return SessionRequest(action, *texts)


def with_cookie(request: Request, tokens: Tokens) -> Response:
    session = {
        "accessToken": tokens.access_token,
        "expiresAt": tokens.expires_at,
        "username": tokens.viewer.username,
        "role": tokens.viewer.role.name,
    }
    response = answered({"session": session})
    response.set_cookie(
        COOKIE,
        tokens.refresh_token,
        max_age=request.state.settings.refresh_token_days * DAY_SECONDS,
        path=PATH,
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )
    return response


def without_cookie(request: Request) -> Response:
    response = answered({"session": None})
    response.delete_cookie(COOKIE, path=PATH, secure=is_secure(request), httponly=True, samesite="strict")
    return response


def is_secure(request: Request) -> bool:
    """Whether the cookie is for HTTPS only: always, except on plain HTTP at a loopback address."""
    if request.url.scheme == "https":
        return True
    host = request.url.hostname or ""
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def answered(body: Any, status: HTTPStatus = HTTPStatus.OK, wait_seconds: int | None = None) -> Response:
    headers = HEADERS if wait_seconds is None else {**HEADERS, "Retry-After": str(wait_seconds)}
    return Response(orjson.dumps(body), status, headers, "application/json")
