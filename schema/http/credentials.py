"""Read the credentials of an HTTP connection."""

from starlette.requests import HTTPConnection

from app.accounts.external_members import MAX_ID_LENGTH
from schema.execution.actor import HEADER, Credentials

MAX_TOKEN_LENGTH = 8_000  # characters; our access token has about 250, that of an issuer up to thousands
MAX_BYTES = 4 * MAX_ID_LENGTH


def credentials_of(connection: HTTPConnection) -> Credentials:
    """The token or key, and the member for whom the key acts. They may be invalid."""
    sent = connection.headers.getlist(HEADER)
    # Two headers would be two members: the line feed, which none can contain, makes them invalid.
    member = "\n".join(member_in(each) for each in sent[:2]) if sent else None
    return Credentials(token_in(connection.headers.get("authorization", "")), member)


def member_in(header: str) -> str:
    """A member's id, from the bytes of a header in UTF-8. One that is too long or no UTF-8 is not valid."""
    if len(header) > MAX_BYTES:
        return header
    return header.encode("latin-1").decode(errors="surrogateescape")


def token_in(authorization: str) -> str | None:
    """The token of an Authorization header; a longer one is cut, and is not valid then."""
    scheme, _, token = authorization[:MAX_TOKEN_LENGTH].partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
