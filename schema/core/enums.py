"""Publish the application's enums in the schema, with descriptions."""

import enum
from collections.abc import Mapping
from typing import Any

import strawberry


def enum_of(kind: type[enum.Enum], name: str, description: str, values: Mapping[Any, str]) -> None:
    """Add an enum to the schema, with a description of each value."""
    strawberry.enum(kind, name=name, description=description)
    definition: Any = getattr(kind, "__strawberry_definition__")  # noqa: B009 - set by Strawberry
    descriptions = {each.name: text for each, text in values.items()}
    for value in definition.values:
        value.description = descriptions[value.name]
