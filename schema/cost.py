"""What an operation may cost at most, told before it is executed; and what it did cost.

Cost counts the objects of an answer: 1 for each, 0 for a plain value, and what a field weighs by its `@cost`.
A field with `first` or `last` gives that many `edges`; of other lists, `@listSize` tells how long they are. A
unit is about 20 microseconds of one core. The directives are those of IBM's GraphQL Cost Directives
specification, with plain numbers for weights.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_introspection_type,
    is_list_type,
    value_from_ast_untyped,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

from schema.pagination import MAX_PAGE

SLICING = ("first", "last")
SIZED = ("edges",)
ASSUMED = 10
MOST_GIVEN = 2**31  # an Int is less
# Of introspection: how many of each a type of ours has, rounded up; the rest are plain steps.
INTROSPECTED = {
    "fields": 5,
    "args": 1,
    "inputFields": 1,
    "interfaces": 1,
    "enumValues": 1,
    "possibleTypes": 1,
}


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="What the field costs by itself, besides the objects in its value.",
)
class Cost:
    weight: int = strawberry.field(description="In units of one object.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How long a list is at most, as far as that is known without making it.",
)
class ListSize:
    assumed_size: int | None = strawberry.field(
        default=None, description="Its length where no argument tells it."
    )
    slicing_arguments: list[str] | None = strawberry.field(
        default=None, description="Arguments that tell it, by a number or by a list of as many."
    )
    sized_fields: list[str] | None = strawberry.field(
        default=None, description="The lists in the value that the arguments are about, if not the value."
    )


@dataclass(frozen=True, slots=True)
class Given:
    """A number in an operation: written there, or by a variable with a default."""

    value: object
    variable: str | None = None

    def number(self, variables: Mapping[str, Any]) -> int | None:
        """None where none is given. What is no number is refused when it is read; it asks for nothing."""
        value = self.value if self.variable is None else variables.get(self.variable, self.value)
        if isinstance(value, list):
            return len(value)
        if isinstance(value, int | float) and math.isfinite(value):
            return min(max(0, int(value)), MOST_GIVEN)
        return None


@dataclass(frozen=True, slots=True)
class Size:
    given: tuple[Given, ...]
    assumed: int

    def number(self, variables: Mapping[str, Any]) -> int:
        numbers = [number for each in self.given if (number := each.number(variables)) is not None]
        return max(numbers, default=self.assumed)


@dataclass(frozen=True, slots=True)
class Part:
    """A field that costs: its weight once, and `each` for every value: several, where it has a size."""

    key: str
    weight: int
    each: int
    size: Size | None
    parts: "tuple[Part, ...]"


def requested(parts: tuple[Part, ...], variables: Mapping[str, Any]) -> int:
    """The most that the selection can cost."""
    return sum(
        part.weight
        + (1 if part.size is None else part.size.number(variables))
        * (part.each + requested(part.parts, variables))
        for part in parts
    )


class Parts:
    """Makes the parts of a valid operation, none of whose fragments are circular."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self.schema = schema
        self.fragments = fragments
        self.defaults = {
            node.variable.name.value: value_from_ast_untyped(node.default_value)
            for node in operation.variable_definitions or ()
            if node.default_value is not None
        }
        root = schema.get_root_type(operation.operation)
        self.parts = () if root is None else tuple(self.of(root, operation.selection_set, {}))

    def of(
        self, kind: GraphQLNamedType, selections: SelectionSetNode, sized: dict[str, Size]
    ) -> Iterator[Part]:
        for node in selections.selections:
            if isinstance(node, FieldNode):
                part = self.field(kind, node, sized)
                if part is not None and (part.weight or part.each or part.parts):
                    yield part
            elif isinstance(node, FragmentSpreadNode):
                fragment = self.fragments[node.name.value]
                yield from self.of(self.narrowed(fragment, kind), fragment.selection_set, sized)
            elif isinstance(node, InlineFragmentNode):
                yield from self.of(self.narrowed(node, kind), node.selection_set, sized)

    def narrowed(
        self, node: FragmentDefinitionNode | InlineFragmentNode, kind: GraphQLNamedType
    ) -> GraphQLNamedType:
        condition = node.type_condition and self.schema.get_type(node.type_condition.name.value)
        return condition or kind

    def field(self, kind: GraphQLNamedType, node: FieldNode, sized: dict[str, Size]) -> Part | None:
        field = self.schema.get_field(kind, node.name.value)  # type: ignore[arg-type]
        if field is None:
            return None
        weight, directive = declared(field)
        inner = get_named_type(field.type)
        is_list = is_list_type(get_nullable_type(field.type))
        slicing = SLICING if directive.slicing_arguments is None else tuple(directive.slicing_arguments)
        given = self.given(node, slicing)
        if directive.assumed_size is not None:
            assumed = directive.assumed_size
        else:
            assumed = MAX_PAGE if any(name in field.args for name in slicing) else ASSUMED
        size = sized.get(node.name.value) or Size(given, assumed)
        each = int(is_composite_type(inner) and (is_list or weight is None))
        if is_introspection_type(kind):
            each, size = int(is_list), Size((), self.introspected(node.name.value))
        inside: dict[str, Size] = {}
        if not is_list and any(name in field.args for name in slicing):
            inside = dict.fromkeys(directive.sized_fields or SIZED, Size(given, assumed))
        parts = () if node.selection_set is None else tuple(self.of(inner, node.selection_set, inside))
        key = (node.alias or node.name).value
        return Part(key, weight or 0, each, size if is_list else None, parts)

    def given(self, node: FieldNode, slicing: tuple[str, ...]) -> tuple[Given, ...]:
        found = []
        for argument in node.arguments or ():
            if argument.name.value not in slicing:
                continue
            match argument.value:
                case VariableNode(name=name):
                    found.append(Given(self.defaults.get(name.value), name.value))
                case IntValueNode(value=digits):
                    found.append(Given(int(digits)))
                case ListValueNode(values=values):
                    found.append(Given([None] * len(values)))
        return tuple(found)

    def introspected(self, name: str) -> int:
        return len(self.schema.type_map) if name == "types" else INTROSPECTED.get(name, ASSUMED)


def declared(field: GraphQLField) -> tuple[int | None, ListSize]:
    """What the schema says of a field: its weight and its size."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    weight, size = None, ListSize()
    for directive in getattr(definition, "directives", ()):
        if isinstance(directive, Cost):
            weight = directive.weight
        elif isinstance(directive, ListSize):
            size = directive
    return weight, size
