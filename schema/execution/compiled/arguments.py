"""The arguments of a field, coerced once for each operation where that cannot be observed."""

from enum import Enum
from typing import Any

from graphql import ArgumentNode, GraphQLError, Visitor, visit
from graphql.execution.values import get_argument_values
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments
from strawberry.types.field import StrawberryField

from schema.execution.compiled.field import Field
from schema.execution.compiled.run import LazyInfo, Path, Run

SHARED = (str, int, float, bool, type(None), Enum)  # values that a resolver cannot change


def raw(run: Run, field: Field) -> dict[str, Any]:
    """The arguments as graphql-core passes them to a resolver."""
    if not field.definition.args and not field.nodes[0].arguments:
        return {}
    return get_argument_values(field.definition, field.nodes[0], run.variables)


class Arguments:
    """The arguments of the resolver of a Strawberry field without extensions."""

    __slots__ = ("constant", "converter", "field", "of_strawberry", "varies")

    def __init__(self, converter: GraphQLCoreConverter, field: Field, of_strawberry: StrawberryField) -> None:
        self.converter, self.field, self.of_strawberry = converter, field, of_strawberry
        self.varies = any(map(has_variable, field.nodes[0].arguments or ()))
        self.constant: dict[str, Any] | None = None  # of an argument list without variables

    def __call__(self, run: Run, above: Path | None) -> dict[str, Any]:
        """Raises GraphQLError as graphql-core does, and NotConverted as Strawberry does."""
        shared = run.arguments.get(self.field) if self.varies else self.constant
        if shared is not None:
            return shared
        values = raw(run, self.field)
        converter = self.converter
        try:
            converted = convert_arguments(
                values,
                self.of_strawberry.arguments,
                converter.scalar_registry,
                converter.config,
                LazyInfo(run, self.field, self.field.path(above)),
            )
        except Exception as error:
            raise NotConverted(error) from error
        if all(isinstance(value, SHARED) for value in converted.values()):
            if self.varies:
                run.arguments[self.field] = converted
            else:
                self.constant = converted
        return converted


def has_variable(node: ArgumentNode) -> bool:
    found = []

    class Find(Visitor):
        def enter_variable(self, *_: object) -> None:
            found.append(True)

    visit(node, Find())
    return bool(found)


class NotConverted(GraphQLError):
    """Wraps an error of Strawberry's conversion, which an async resolver raises only when it is awaited."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


async def raising(cause: Exception) -> Any:
    raise cause
