"""Read the client and the access token of an HTTP connection."""

from starlette.requests import HTTPConnection

from app.web.client import LONGEST_AGENT, Client

MAX_TOKEN_LENGTH = 4_000  # characters; an access token has about 250


def client_of(connection: HTTPConnection) -> Client:
    address = connection.client.host if connection.client else None
    agent = connection.headers.get("user-agent", "")[:LONGEST_AGENT]
    return Client(address, "".join(filter(str.isprintable, agent)) or None)


def bearer_token(connection: HTTPConnection) -> str | None:
    return token_in(connection.headers.get("authorization", ""))


def token_in(authorization: str) -> str | None:
    """The token of an Authorization header; a longer one is cut, and is not valid then."""
    scheme, _, token = authorization[:MAX_TOKEN_LENGTH].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
