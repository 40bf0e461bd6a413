"""Global ids: what they name, and how to come from one to its object."""

from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import strawberry

from schema.core.errors import BadArgument

MAX_ID = 2**63 - 1  # of a bigint
Key = TypeVar("Key")


class InvalidKey(Exception):
    """What a global id names within its type is no key of it."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def whole_number(key: str) -> int:
    """The database's id that a key is. Raises InvalidKey."""
    if not (key.isascii() and key.isdigit()) or len(key) > len(str(MAX_ID)) or int(key) > MAX_ID:
        raise InvalidKey(key)
    return int(key)


def local_key(
    id: strawberry.ID,  # noqa: A002 - GraphQL's name
    type_name: str,
    argument: str,
    read: Callable[[str], Key],
) -> Key:
    """The key in a global id, as `read` takes it, which raises InvalidKey for what is none.

    Raises BadArgument for an id that is not of this type.
    """
    found, key = split_id(id, argument)
    if found != type_name:
        raise BadArgument(argument, f"must be the id of a {type_name}, not of a {found[:50]}.")
    try:
        return read(key)
    except InvalidKey:
        raise strange_id(argument) from None


def local_id(id: strawberry.ID, type_name: str, argument: str) -> int:  # noqa: A002 - GraphQL's name
    """The database's id in a global one. Raises BadArgument for one that is not of this type."""
    return local_key(id, type_name, argument, whole_number)


def split_id(id: strawberry.ID, argument: str) -> tuple[str, str]:  # noqa: A002 - GraphQL's name
    """The type's name and the key within it. Raises BadArgument for what is no global id."""
    type_name = key = ""
    with suppress(ValueError):
        type_name, _, key = b64decode(id, validate=True).decode().partition(":")
    if not key:
        raise strange_id(argument)
    return type_name, key


def strange_id(argument: str) -> BadArgument:
    return BadArgument(argument, "is not an id that this API gave out.")
