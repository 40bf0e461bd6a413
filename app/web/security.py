"""Security headers, CORS, allowed hosts and the cross-origin (CSRF) check.

The API takes no cookies: clients authenticate with a header that a page of another origin cannot send
without a preflight. In addition, requests of pages of other origins are refused before any work, unless
allowed.
"""

from functools import cache

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send
from strawberry.http.websocket_origin import is_same_origin

from app.settings import Settings

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
BYTES = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
TRANSPORT_SECURITY = "max-age=31536000"
POLICY_HEADER = (b"content-security-policy", POLICY.encode())
TRANSPORT_HEADER = (b"strict-transport-security", TRANSPORT_SECURITY.encode())
PREFLIGHT_SECONDS = 600
HEALTH = ("/healthz", "/readyz")
READABLE = ("ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


def headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The security headers of a response to this request."""
    return _headers(scope["path"].startswith("/graphiql/"), scope["scheme"] == "https")


@cache
def _headers(of_graphiql: bool, encrypted: bool) -> list[tuple[bytes, bytes]]:
    # A script's policy also applies to the workers it starts, so GraphiQL's files have none.
    of_path = [] if of_graphiql else [POLICY_HEADER]
    return [*BYTES, *of_path, *([TRANSPORT_HEADER] if encrypted else [])]


class AllowedHosts(TrustedHostMiddleware):
    """Refuses other hosts, except for health checks, which address a process by its machine."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in HEALTH:
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def listed(text: str) -> list[str]:
    """Split a setting at its commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def is_foreign(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a request is from a page of another origin that is not allowed. Programs send no origin."""
    origin = connection.headers.get("origin")
    if origin is None or connection.headers.get("sec-fetch-site") == "same-origin":
        return False
    allowed = listed(settings.allowed_origins)
    if "*" in allowed or origin in allowed:
        return False
    return not is_same_origin(origin, connection.headers.get("host"))
