"""The Python classes whose instances are objects of a GraphQL type without further checks."""

from typing import Any

from graphql import GraphQLObjectType
from strawberry.execution import optimized_is_awaitable as is_awaitable
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

MAX_CLASSES = 20  # of one type
BY_STRAWBERRY = "GraphQLCoreConverter.from_object.<locals>._get_is_type_of.<locals>.is_type_of"


class Classes:
    """Learns the classes of a type's objects.

    An instance of a learned class is no exception and cannot be awaited, and `is_type_of` decides by its
    class unless it is cast. A custom `is_type_of` is asked for each object.
    """

    __slots__ = ("known", "learns", "may_be_cast", "name")

    def __init__(self, type_: GraphQLObjectType) -> None:
        self.name = type_.name
        self.known: set[type] = set()
        self.may_be_cast = type_.is_type_of is not None
        self.learns = type_.is_type_of is None or type_.is_type_of.__qualname__ == BY_STRAWBERRY

    def fit(self, value: Any) -> bool:
        return value.__class__ in self.known and not (
            self.may_be_cast and getattr(value, TYPE_CAST_ATTRIBUTE, None) is not None
        )

    def learn(self, value: Any) -> None:
        """Remember the class of an object that passed all checks."""
        if self.learns and len(self.known) < MAX_CLASSES and not is_awaitable(value):
            self.known.add(type(value))
