"""Global ids: what they name, and how to come from one to its object."""

from base64 import b64decode
from contextlib import suppress

import strawberry

from schema.errors import CallerError

MAX_ID = 2**63 - 1  # of a bigint


def local_id(id: strawberry.ID, type_name: str, argument: str) -> int:  # noqa: A002 - GraphQL's name
    """The database's id in a global one. Raises CallerError for one that is not of this type."""
    found, key = split_id(id, argument)
    if found != type_name:
        raise CallerError(f"{argument} must be the id of a {type_name}, not of a {found[:50]}.")
    return whole_number(key, argument)


def split_id(id: strawberry.ID, argument: str) -> tuple[str, str]:  # noqa: A002 - GraphQL's name
    """The type's name and the key within it. Raises CallerError for what is no global id."""
    type_name = key = ""
    with suppress(ValueError):
        type_name, _, key = b64decode(id, validate=True).decode().partition(":")
    if not key:
        raise CallerError(f"{argument} is not an id that this API gave out.")
    return type_name, key


def whole_number(key: str, argument: str) -> int:
    if not (key.isascii() and key.isdigit()) or len(key) > len(str(MAX_ID)) or int(key) > MAX_ID:
        raise CallerError(f"{argument} is not an id that this API gave out.")
    return int(key)
