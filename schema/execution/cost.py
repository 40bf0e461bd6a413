"""What an operation may cost at most, known before it is executed: its price.

A unit is about UNIT_NANOSECONDS of processor time, in this service and in Postgres; `bench.cost` holds the
prices to it. An object costs 1, a plain value a fraction of it, a field what it weighs by its `@cost`, and
an argument what it weighs for each of its items, for each so many characters of a text, or times a number. A
field with `first` or `last` gives that many `edges`; of other lists, `@listSize` says how long they are. The
directives are those of IBM's GraphQL Cost Directives specification, with plain numbers for weights.
"""

import math
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_introspection_type,
    is_list_type,
    value_from_ast_untyped,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.core.directives import ASSUMED, SIZED, SLICING, Cost, ListSize
from schema.core.pagination import MAX_PAGE

POINTS = 10  # of one unit
OBJECT, VALUE = 5, 2  # points of an object that a field gives, and of a plain value
INTROSPECTED_EACH = 5  # of each object that introspection gives
BY_ID = {"Query.node", "Query.nodes"}
MOST_SHELVES = 20  # of a home page
READ_NODES = {"ApiKey", "Model", "Rating", "Session", "TrainingJob"}  # types whose objects are rows
READ_NODE = 120  # units for those of one type
INTROSPECTION = {"__schema", "__type"}
MOST_CHARACTERS = 300_000  # whose price is charged before: MAX_COST shall not refuse a file that may be sent
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
class Rate:
    """What an argument costs by its value: `weight` points for each `per`, and `viewer` more for someone
    signed in; `fields` are those of an input object.
    """

    weight: int
    viewer: int
    per: int
    fields: Mapping[str, "Rate"]

    @classmethod
    def of(cls, definition: GraphQLArgument | GraphQLInputField) -> Self | None:
        """None for what costs nothing."""
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
        """Of a value as it was sent, which may be of any kind."""
        inner = 0
        match value:
            case list():
                size = len(value)
                inner = sum(self.points(each, signed_in=signed_in) for each in value) if self.fields else 0
            case str():
                size = min(len(value), MOST_CHARACTERS) if self.per else 1
            case dict():
                return sum(
                    rate.points(value.get(name), signed_in=signed_in) for name, rate in self.fields.items()
                )
            case int() | float() if not isinstance(value, bool) and math.isfinite(value):
                size = min(max(0, int(value)), MOST_GIVEN)
            case _:
                return 0
        each = self.weight + (self.viewer if signed_in else 0)
        return inner + each * -(-size // (self.per or 1))


@dataclass(frozen=True, slots=True)
class Charge:
    """What an argument of one field costs."""

    node: ValueNode | None
    default: object  # where it is not given
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


@dataclass(frozen=True, slots=True)
class Part:
    """A field that costs: its weight and arguments once, and `each` for every value: several, where it has a
    size. `viewer`: what it weighs more for someone signed in. All in points.

    `each` includes the selected fields whose cost is constant, so that `parts` are those whose cost varies.
    """

    weight: int
    viewer: int
    charges: tuple[Charge, ...]
    each: int
    size: Size | None
    parts: "tuple[Part, ...]"

    @property
    def constant(self) -> int | None:
        """The points of a field that costs the same in every request; None where they vary."""
        varies = self.viewer or self.charges or self.size is not None or self.parts
        return None if varies else self.weight + self.each


def requested(parts: tuple[Part, ...], variables: Mapping[str, Any], *, signed_in: bool = True) -> int:
    """The most that the selection can cost, in units."""
    return -(-points(parts, variables, signed_in=signed_in) // POINTS)


def points(parts: tuple[Part, ...], variables: Mapping[str, Any], *, signed_in: bool) -> int:
    return sum(
        part.weight
        + (part.viewer if signed_in else 0)
        + sum(charge.points(variables, signed_in=signed_in) for charge in part.charges)
        + (1 if part.size is None else part.size.number(variables))
        * (part.each + points(part.parts, variables, signed_in=signed_in))
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
                if part is not None and (
                    part.weight or part.viewer or part.charges or part.each or part.parts
                ):
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
        cost, directive = declared(field)
        inner = get_named_type(field.type)
        is_list = is_list_type(get_nullable_type(field.type))
        slicing = SLICING if directive.slicing_arguments is None else tuple(directive.slicing_arguments)
        given = self.given(field, node, slicing)
        if directive.assumed_size is not None:
            assumed = directive.assumed_size
        else:
            assumed = MAX_PAGE if any(name in field.args for name in slicing) else ASSUMED
        size = sized.get(node.name.value) or Size(given, assumed)
        each = OBJECT if is_composite_type(inner) and (is_list or cost is None) else 0
        if not is_composite_type(inner):
            each = VALUE
        if is_introspection_type(kind) or node.name.value in INTROSPECTION:
            each, size = INTROSPECTED_EACH * int(is_list), Size((), self.introspected(node.name.value))
        inside: dict[str, Size] = {}
        if not is_list and any(name in field.args for name in slicing):
            inside = dict.fromkeys(directive.sized_fields or SIZED, Size(given, assumed))
        parts = () if node.selection_set is None else tuple(self.of(inner, node.selection_set, inside))
        each += sum(part.constant or 0 for part in parts)
        parts = tuple(part for part in parts if part.constant is None)
        charges = tuple(self.charges(f"{kind.name}.{node.name.value}", field, node))
        long = is_list and is_composite_type(inner)
        weight, viewer = (0, 0) if cost is None else (cost.weight, cost.viewer or 0)
        return Part(POINTS * weight, POINTS * viewer, charges, each, size if long else None, parts)

    def charges(self, coordinate: str, field: GraphQLField, node: FieldNode) -> Iterator[Charge]:
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        for name, argument in field.args.items():
            default = None if argument.default_value is Undefined else argument.default_value
            if (rate := Rate.of(argument)) is not None:
                yield Charge(nodes.get(name), default, self.defaults, rate.points)
            if coordinate in BY_ID:
                yield Charge(nodes.get(name), default, self.defaults, self.node_points)

    def node_points(self, ids: object, *, signed_in: bool) -> int:
        """Of what stands behind ids: each home page that shelves are from is made anew, and rows are read."""
        named = list(named_by(ids if isinstance(ids, list) else [ids]))
        home = self.schema.query_type.fields["home"] if self.schema.query_type else None
        if home is None:
            return 0
        cost, _ = declared(home)
        rate = Rate.of(home.args["shelves"])
        assert cost is not None
        assert rate is not None
        weight = POINTS * (cost.weight + ((cost.viewer or 0) if signed_in else 0))
        read = POINTS * READ_NODE * len({kind for kind, _ in named} & READ_NODES)
        pages = home_pages(key for kind, key in named if kind == "Shelf")
        return read + sum(weight + rate.points(count, signed_in=signed_in) for count in pages)

    def given(self, field: GraphQLField, node: FieldNode, slicing: tuple[str, ...]) -> tuple[Given, ...]:
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
        if not found:
            found = [
                Given(known.default_value)
                for name in slicing
                if (known := field.args.get(name)) is not None and isinstance(known.default_value, int)
            ]
        return tuple(found)

    def introspected(self, name: str) -> int:
        return len(self.schema.type_map) if name == "types" else INTROSPECTED.get(name, ASSUMED)


def declared(field: GraphQLField) -> tuple[Cost | None, ListSize]:
    """What the schema says of a field: its weight and its size."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    cost, size = None, ListSize()
    for directive in getattr(definition, "directives", ()):
        if isinstance(directive, Cost):
            cost = directive
        elif isinstance(directive, ListSize):
            size = directive
    return cost, size


def named_by(ids: Iterable[object]) -> Iterator[tuple[str, str]]:
    """The types and keys in global ids, as far as they are ids of ours."""
    for id_ in ids:
        with suppress(ValueError):
            kind, _, key = (
                b64decode(id_ if isinstance(id_, str) else "", validate=True).decode().partition(":")
            )
            yield kind, key


def home_pages(keys: Iterable[str]) -> list[int]:
    """Of each home page that shelves of these keys are from: how many shelves it has."""
    pages: dict[str, int] = {}
    for key in keys:
        page, *_ = key.rsplit("/", 2)
        with suppress(ValueError, IndexError):  # it is no key of ours, and nothing is made
            pages[page] = min(int(page.rsplit("/", 2)[1]), MOST_SHELVES)
    return list(pages.values())
