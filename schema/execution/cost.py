"""The maximum cost of an operation, computed before execution.

A unit is about UNIT_NANOSECONDS of processor time, in this service and in Postgres; `bench.cost` compares the
costs with measured time. An object costs 0.3, a plain value 0.2, a field its `@cost`, and an argument its
`@cost` for each item, for each so many characters, or times its number. A field with `first` or `last` has
that many `edges`; `@listSize` gives the length of other lists. The directives are those of IBM's GraphQL Cost
Directives specification, with numbers for weights.
"""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
    Undefined,
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
from schema.execution.argument_cost import POINTS, ArgumentCost, Number, Rate, Size

OBJECT, VALUE = 3, 2  # points of an object in a field's value, and of a plain value
INTROSPECTED_EACH = 5  # points of each object of introspection
BY_ID = {"Query.node", "Query.nodes"}
MOST_SHELVES = 20  # of a home page
READ_NODES = {
    "ApiKey",
    "Model",
    "Rating",
    "Session",
    "TrainingJob",
}  # types whose objects are read from Postgres
READ_NODE = 120  # units to read those of one type
INTROSPECTION = {"__schema", "__type"}
# The mean number of each in a type of the schema, rounded up; ASSUMED for other introspection fields.
INTROSPECTED = {
    "fields": 5,
    "args": 1,
    "inputFields": 1,
    "interfaces": 1,
    "enumValues": 1,
    "possibleTypes": 1,
}


@dataclass(frozen=True, slots=True)
class Part:
    """The cost of a selected field, in points: its weight and arguments once, and `each` for every value, of
    which a list has `size`. `viewer` is added when signed in.

    `each` includes the selected fields of constant cost; `parts` are those whose cost varies.
    """

    weight: int
    viewer: int
    charges: tuple[ArgumentCost, ...]
    each: int
    size: Size | None
    parts: "tuple[Part, ...]"

    @property
    def constant(self) -> int | None:
        """The points of a field whose cost is the same in each request; None for another."""
        varies = self.viewer or self.charges or self.size is not None or self.parts
        return None if varies else self.weight + self.each


def requested(parts: tuple[Part, ...], variables: Mapping[str, Any], *, signed_in: bool = True) -> int:
    """The maximum cost of the selection, in units."""
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
    """Compute the parts of a valid operation without circular fragments."""

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
        numbers = self.numbers(field, node, slicing)
        if directive.assumed_size is not None:
            assumed = directive.assumed_size
        else:
            assumed = MAX_PAGE if any(name in field.args for name in slicing) else ASSUMED
        size = sized.get(node.name.value) or Size(numbers, assumed)
        each = OBJECT if is_composite_type(inner) and (is_list or cost is None) else 0
        if not is_composite_type(inner):
            each = VALUE
        if is_introspection_type(kind) or node.name.value in INTROSPECTION:
            each, size = INTROSPECTED_EACH * int(is_list), Size((), self.introspected(node.name.value))
        inside: dict[str, Size] = {}
        if not is_list and any(name in field.args for name in slicing):
            inside = dict.fromkeys(directive.sized_fields or SIZED, Size(numbers, assumed))
        parts = () if node.selection_set is None else tuple(self.of(inner, node.selection_set, inside))
        each += sum(part.constant or 0 for part in parts)
        parts = tuple(part for part in parts if part.constant is None)
        charges = tuple(self.charges(f"{kind.name}.{node.name.value}", field, node))
        long = is_list and is_composite_type(inner)
        weight, viewer = (0, 0) if cost is None else (cost.weight, cost.viewer or 0)
        return Part(POINTS * weight, POINTS * viewer, charges, each, size if long else None, parts)

    def charges(self, coordinate: str, field: GraphQLField, node: FieldNode) -> Iterator[ArgumentCost]:
        nodes = {argument.name.value: argument.value for argument in node.arguments or ()}
        for name, argument in field.args.items():
            default = None if argument.default_value is Undefined else argument.default_value
            if (rate := Rate.of(argument)) is not None:
                yield ArgumentCost(nodes.get(name), default, self.defaults, rate.points)
            if coordinate in BY_ID:
                yield ArgumentCost(nodes.get(name), default, self.defaults, self.node_points)

    def node_points(self, ids: object, *, signed_in: bool) -> int:
        """The points of objects by id: reading rows, and rebuilding the home pages of shelves."""
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

    def numbers(self, field: GraphQLField, node: FieldNode, slicing: tuple[str, ...]) -> tuple[Number, ...]:
        found = []
        for argument in node.arguments or ():
            if argument.name.value not in slicing:
                continue
            match argument.value:
                case VariableNode(name=name):
                    found.append(Number(self.defaults.get(name.value), name.value))
                case IntValueNode(value=digits):
                    found.append(Number(int(digits)))
                case ListValueNode(values=values):
                    found.append(Number([None] * len(values)))
        if not found:
            found = [
                Number(known.default_value)
                for name in slicing
                if (known := field.args.get(name)) is not None and isinstance(known.default_value, int)
            ]
        return tuple(found)

    def introspected(self, name: str) -> int:
        return len(self.schema.type_map) if name == "types" else INTROSPECTED.get(name, ASSUMED)


def declared(field: GraphQLField) -> tuple[Cost | None, ListSize]:
    """The `@cost` and `@listSize` of a field."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    cost, size = None, ListSize()
    for directive in getattr(definition, "directives", ()):
        if isinstance(directive, Cost):
            cost = directive
        elif isinstance(directive, ListSize):
            size = directive
    return cost, size


def named_by(ids: Iterable[object]) -> Iterator[tuple[str, str]]:
    """The types and keys of global ids; other texts are skipped."""
    for id_ in ids:
        with suppress(ValueError):
            kind, _, key = (
                b64decode(id_ if isinstance(id_, str) else "", validate=True).decode().partition(":")
            )
            yield kind, key


def home_pages(keys: Iterable[str]) -> list[int]:
    """The number of shelves of each home page that the shelves of these keys belong to."""
    pages: dict[str, int] = {}
    for key in keys:
        page, *_ = key.rsplit("/", 2)
        with suppress(ValueError, IndexError):  # an invalid key rebuilds no page
            pages[page] = min(int(page.rsplit("/", 2)[1]), MOST_SHELVES)
    return list(pages.values())
