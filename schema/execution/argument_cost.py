"""The cost of arguments by their values: numbers, texts, lists and input objects."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    ValueNode,
    VariableNode,
    get_named_type,
    value_from_ast_untyped,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.core.directives import Cost

POINTS = 10  # of one unit of cost
MAX_CHARACTERS = 300_000  # of a text that are charged; MAX_COST must allow the longest file
MAX_NUMBER = 2**31  # an Int is less


@dataclass(frozen=True, slots=True)
class Number:
    """A number in an operation: a literal, or a variable with its default."""

    value: object
    variable: str | None = None

    def number(self, variables: Mapping[str, Any]) -> int | None:
        """The number, or the length of a list; None for another value, which coercion refuses."""
        value = self.value if self.variable is None else variables.get(self.variable, self.value)
        if isinstance(value, list):
            return len(value)
        if isinstance(value, int | float) and math.isfinite(value):
            return min(max(0, int(value)), MAX_NUMBER)
        return None


@dataclass(frozen=True, slots=True)
class Size:
    """The length of a list: the largest of the arguments' numbers, or else the assumed length."""

    numbers: tuple[Number, ...]
    assumed: int

    def number(self, variables: Mapping[str, Any]) -> int:
        numbers = [number for each in self.numbers if (number := each.number(variables)) is not None]
        return max(numbers, default=self.assumed)


@dataclass(frozen=True, slots=True)
class Rate:
    """The cost of an argument by its value: `weight` points for each `per`, and `viewer` more when signed in.
    `fields` are those of an input object.
    """

    weight: int
    viewer: int
    per: int
    fields: Mapping[str, "Rate"]

    @classmethod
    def of(cls, definition: GraphQLArgument | GraphQLInputField) -> Self | None:
        """The rate of an argument or an input field; None if it is free."""
        inner = get_named_type(definition.type)
        fields = {}
        if isinstance(inner, GraphQLInputObjectType):
            rates = ((name, cls.of(field)) for name, field in inner.fields.items())
            fields = {name: rate for name, rate in rates if rate is not None}
        declared = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        directives = getattr(declared, "directives", ())
        cost = next((each for each in directives if isinstance(each, Cost)), None)
        if cost is not None:
            return cls(POINTS * cost.weight, POINTS * (cost.viewer or 0), cost.per or 0, fields)
        return cls(0, 0, 0, fields) if fields else None

    def points(self, value: object, *, signed_in: bool) -> int:
        """The points of a value, which is not coerced yet."""
        inner = 0
        match value:
            case list():
                size = len(value)
                inner = sum(self.points(each, signed_in=signed_in) for each in value) if self.fields else 0
            case str():
                size = min(len(value), MAX_CHARACTERS) if self.per else 1
            case dict():
                return sum(
                    rate.points(value.get(name), signed_in=signed_in) for name, rate in self.fields.items()
                )
            case int() | float() if not isinstance(value, bool) and math.isfinite(value):
                size = min(max(0, int(value)), MAX_NUMBER)
            case _:
                return 0
        each = self.weight + (self.viewer if signed_in else 0)
        return inner + each * -(-size // (self.per or 1))


@dataclass(frozen=True, slots=True)
class ArgumentCost:
    """The cost of one argument of one selected field."""

    node: ValueNode | None
    default: object  # of an argument that is left out
    defaults: Mapping[str, Any]  # of variables
    points_of: Callable[..., int]

    def points(self, variables: Mapping[str, Any], *, signed_in: bool) -> int:
        if self.node is None:
            value = self.default
        elif isinstance(self.node, VariableNode):
            name = self.node.name.value
            value = variables.get(name, self.defaults.get(name, self.default))
        else:
            value = value_from_ast_untyped(self.node, {**self.defaults, **variables})
        return self.points_of(value, signed_in=signed_in)
