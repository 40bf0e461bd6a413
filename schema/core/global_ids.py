"""Decode global ids: the type name and the key within it."""

from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import strawberry

from schema.core.errors import BadArgument

MAX_ID = 2**63 - 1  # of a bigint
Key = TypeVar("Key")


class InvalidKey(Exception):
    """A global id whose key is not one of its type."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def whole_number(key: str) -> int:
    """The key as a database id. Raises InvalidKey."""
    if not (key.isascii() and key.isdigit()) or len(key) > len(str(MAX_ID)) or int(key) > MAX_ID:
        raise InvalidKey(key)
    return int(key)


def local_key(
    id: strawberry.ID,  # noqa: A002 - GraphQL's name
    type_name: str,
    argument: str,
    read: Callable[[str], Key],
) -> Key:
    """The key in a global id, decoded by `read`, which raises InvalidKey.

    Raises BadArgument for an id that is not of this type.
    """
    found, key = split_id(id, argument)
    if found != type_name:
        raise BadArgument(argument, f"must be the id of a {type_name}, not of a {found[:50]}.")
    try:
        return read(key)
    except InvalidKey:
        raise invalid_id(argument) from None


def local_id(id: strawberry.ID, type_name: str, argument: str) -> int:  # noqa: A002 - GraphQL's name
    """The database id in a global id. Raises BadArgument for an id of another type."""
    return local_key(id, type_name, argument, whole_number)


def split_id(id: strawberry.ID, argument: str) -> tuple[str, str]:  # noqa: A002 - GraphQL's name
    """The type name and the key. Raises BadArgument for a text that is not a global id."""
    type_name = key = ""
    with suppress(ValueError):
        type_name, _, key = b64decode(id, validate=True).decode().partition(":")
    if not key:
        raise invalid_id(argument)
    return type_name, key


def invalid_id(argument: str) -> BadArgument:
    return BadArgument(argument, "is not an id that this API gave out.")
