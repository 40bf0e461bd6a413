"""Signed cursors: a position in one list, which is part of the signature."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import orjson
import strawberry
from graphql import Undefined, value_from_ast

from schema.core.errors import BadArgument

Info = strawberry.Info[Any, None]  # its context signs cursors by `cursor_key`
PAGING = ("first", "last", "after", "before")  # arguments that may differ from page to page
TAG_BYTES = 9


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list: of a field with its arguments, and of an owner.

    A key of the list signs each cursor, so that it continues this list only.
    """

    field: str
    key: bytes

    @classmethod
    def of(cls, info: Info, field: str, owner: object = None) -> Self:
        """The cursors of the field under execution.

        owner: the object that has the list, and the member for whom it is made, if any.
        """
        # What a compiled operation keeps for a field whose arguments are the same in each request.
        kept: dict[Any, Self] | None = getattr(info, "kept", None) if owner is None else None
        place = cls, field, info.context.cursor_key
        if kept is not None and place in kept:
            return kept[place]
        request = json.dumps([field, owner, arguments_of(info)], sort_keys=True, default=str)
        cursors = cls(field, hashlib.blake2b(request.encode(), key=place[-1]).digest())
        if kept is not None:
            kept[place] = cursors
        return cursors

    def encode(self, *place: Any) -> str:
        """The cursor of an item; the parts of its place are plain values."""
        return self.encode_all([place])[0]

    def encode_all(self, places: Iterable[tuple[Any, ...]]) -> list[str]:
        """The cursors of many items, by their places."""
        cursors = []
        for place in places:
            signature = hashlib.blake2b(orjson.dumps(place), key=self.key, digest_size=TAG_BYTES).digest()
            parts = [self.field, urlsafe_b64encode(signature).decode(), *place]
            cursors.append(urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("="))
        return cursors

    def decode(self, cursor: str, argument: str = "after") -> tuple[Any, ...]:
        """The place in a cursor. Raises BadArgument for a cursor of another list."""
        try:
            parts = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except ValueError:
            parts = None
        match parts:
            case [self.field, str(), *place]:
                if cursor.rstrip("=") == self.encode(*place):
                    return tuple(place)
                raise BadArgument(
                    argument,
                    "is a cursor of another list. Repeat the arguments of the list that it came from, as the "
                    f"same member, or leave `{argument}` out to begin a new list.",
                )
        raise invalid_cursor(argument)


def arguments_of(info: Info) -> dict[str, Any]:
    """The arguments of the field under execution, without those of its pages."""
    raw = info._raw_info  # noqa: SLF001 - Strawberry has no other way to all of them
    nodes = {node.name.value: node.value for node in raw.field_nodes[0].arguments or ()}
    arguments = {}
    for name, argument in raw.parent_type.fields[raw.field_name].args.items():
        if name in PAGING:
            continue
        value = value_from_ast(nodes.get(name), argument.type, info.variable_values)
        arguments[name] = argument.default_value if value is Undefined else value
    found: dict[str, Any] = without_nulls(arguments)
    return found


def without_nulls(value: Any) -> Any:
    """An argument's value without nulls and objects of nulls, which mean the same as no value."""
    if isinstance(value, dict):
        kept = {name: without_nulls(part) for name, part in value.items()}
        return {name: part for name, part in kept.items() if part not in (None, {}, Undefined)}
    return value


def invalid_cursor(argument: str = "after", wanted: str = "this field") -> BadArgument:
    return BadArgument(argument, f"is not a cursor of {wanted}.")
