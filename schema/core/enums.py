"""Enums of the application in the schema's words."""

import enum
from collections.abc import Mapping
from typing import Any

import strawberry


def enum_of(kind: type[enum.Enum], name: str, description: str, values: Mapping[Any, str]) -> None:
    """Make an enum one of the schema's, with a description for each of its values."""
    strawberry.enum(kind, name=name, description=description)
    definition: Any = getattr(kind, "__strawberry_definition__")  # noqa: B009 - set by Strawberry
    told = {each.name: text for each, text in values.items()}
    for value in definition.values:
        value.description = told[value.name]
