"""Length limits of strings and lists: declared at arguments and input fields, checked before execution.

`@constraint` declares a limit, with the names of the library graphql-constraint-directive. Literals are
checked when a document is read, values of variables before an operation is executed: one `len` for each,
before any other work on it. A value that is not of its type's kind is refused here too, since graphql-core
quotes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)
from strawberry import UNSET
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

from schema.core.errors import BadArgument

MAX_ID_LENGTH = 500  # a shelf's has about 200
MAX_CURSOR_LENGTH = 4_000  # one of `movies` by title holds the title
MAX_WORD_LENGTH = 100  # of numbers, days, enum values and names in objects
DECOMPOSED = 4  # code points of one character at most: a longer text breaks its rule in each normal form


@strawberry.schema_directive(
    locations=[Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="constraint",
    description="The longest value. A request with a longer one is refused before any other work on it.",
)
class Constraint:
    max_length: int | None = strawberry.field(
        default=UNSET, description="Most characters of the string, or of each string in the list."
    )
    max_items: int | None = strawberry.field(default=UNSET, description="Most items of the list.")

    @property
    def sentence(self) -> str:
        """The limits as a sentence for a description."""
        limits = []
        if self.max_items:
            limits.append(f"{self.max_items:,} item{'s' if self.max_items > 1 else ''}")
        if self.max_length:
            limits.append(f"{self.max_length:,} characters{' in one' if limits else ''}")
        return f"More than {' or '.join(limits)} are refused."


GLOBAL_ID = Constraint(max_length=MAX_ID_LENGTH)
CURSOR = Constraint(max_length=MAX_CURSOR_LENGTH)
UNDECLARED = Constraint(
    max_length=MAX_WORD_LENGTH, max_items=MAX_WORD_LENGTH
)  # of directives of GraphQL's own


class TooLong(BadArgument):
    """A value beyond a limit; its extensions have the rule, the limit and the length that was sent."""

    def __init__(self, argument: str, rule: str, limit: int, asked: int) -> None:
        unit, remedy = ("items", "Send fewer.") if rule == "maxItems" else ("characters", "Shorten it.")
        super().__init__(argument, f"takes at most {limit:,} {unit}, not {asked:,}. {remedy}")
        assert self.extensions is not None, "a BadArgument has them"
        self.extensions |= {"rule": rule, "limit": limit, "asked": asked}


def constraint_of(definition: GraphQLArgument | GraphQLInputField) -> Constraint | None:
    """The constraint that the schema declares at an argument or an input field."""
    declared = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    directives = getattr(declared, "directives", ())
    return next((each for each in directives if isinstance(each, Constraint)), None)


def describe(schema: GraphQLSchema) -> None:
    """Add the limits to the descriptions: introspection shows descriptions, but no directives."""
    for definition in definitions(schema):
        if (constraint := constraint_of(definition)) is not None:
            definition.description = f"{definition.description} {constraint.sentence}"


def definitions(schema: GraphQLSchema) -> Iterator[GraphQLArgument | GraphQLInputField]:
    for type_ in schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            yield from type_.fields.values()
        elif is_object_type(type_) or is_interface_type(type_):
            for field in type_.fields.values():
                yield from field.args.values()


@dataclass(frozen=True, slots=True)
class Use:
    """A place where an operation uses a variable."""

    variable: str
    place: str  # as `search.query`
    type: GraphQLInputType
    constraint: Constraint


def check(uses: tuple[Use, ...], variables: Mapping[str, Any]) -> None:
    """Raises BadArgument for a value that is too long where it is used."""
    for use in uses:
        if use.variable in variables:
            check_value(variables[use.variable], use.type, use.constraint, use.place)


def check_value(value: object, type_: GraphQLInputType, constraint: Constraint, place: str) -> None:
    """Check a value of a variable. Raises BadArgument."""
    if value is None:
        return
    if isinstance(type_, GraphQLNonNull):
        check_value(value, type_.of_type, constraint, place)
    elif isinstance(type_, GraphQLList):
        if not isinstance(value, list):  # GraphQL coerces a single value to a list of one
            check_value(value, type_.of_type, constraint, place)
            return
        check_size("maxItems", len(value), constraint.max_items, place)
        for index, item in enumerate(value):
            check_value(item, type_.of_type, constraint, f"{place}[{index}]")
    elif isinstance(type_, GraphQLInputObjectType):
        check_object(value, type_, place)
    elif type_.name == "JSON":
        check_json(value, constraint, place)
    elif isinstance(value, str):
        check_size("maxLength", len(value), most_characters(type_, constraint), place)
    elif isinstance(value, dict | list):
        raise strange_kind(value, type_, place)


def check_object(value: object, type_: GraphQLInputObjectType, place: str) -> None:
    if not isinstance(value, dict):
        raise strange_kind(value, type_, place)
    for name, inner in value.items():
        field = type_.fields.get(name)
        if field is None:
            shown = name if len(name) <= MAX_WORD_LENGTH else f"{name[:MAX_WORD_LENGTH]}..."
            raise BadArgument(place, f"has no field `{shown}`: {type_.name} has {', '.join(type_.fields)}.")
        check_value(inner, field.type, constraint_of(field) or UNDECLARED, f"{place}.{name}")


def check_json(value: object, constraint: Constraint, place: str) -> None:
    """Check all strings, names and lists within JSON; its depth and size have limits of their own."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, str):
            check_size("maxLength", len(part), constraint.max_length, place)
        elif isinstance(part, dict | list):
            check_size("maxItems", len(part), constraint.max_items, place)
            left += [*part, *part.values()] if isinstance(part, dict) else part


def check_size(rule: str, size: int, most: int | None, place: str) -> None:
    limit = most or MAX_WORD_LENGTH
    if size > limit:
        raise TooLong(place, rule, limit, size)


def most_characters(type_: GraphQLNamedType, constraint: Constraint) -> int | None:
    return constraint.max_length if type_.name in {"String", "ID", "JSON"} else MAX_WORD_LENGTH


def strange_kind(value: object, type_: GraphQLNamedType, place: str) -> BadArgument:
    kind = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}.get(
        type(value), "a number"
    )
    return BadArgument(place, f"must be of the type {type_.name}, not {kind}.")


class Uses:
    """Collect where a valid operation uses variables. Raises BadArgument for a literal that is too long."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
    ) -> None:
        self.schema = schema
        self.fragments = fragments
        self.followed: set[str] = set()
        self.found: dict[tuple[str, str], Use] = {}
        self.defaults = {
            node.variable.name.value: node.default_value for node in operation.variable_definitions or ()
        }
        self.directives(operation.directives)
        root = schema.get_root_type(operation.operation)
        assert root is not None, "the operation is valid"
        self.selections(root, operation.selection_set)

    def selections(self, kind: GraphQLNamedType, selections: SelectionSetNode) -> None:
        for node in selections.selections:
            self.directives(node.directives)
            if isinstance(node, FieldNode):
                self.field(kind, node)
            elif isinstance(node, InlineFragmentNode):
                self.selections(self.narrowed(node, kind), node.selection_set)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in self.followed:
                self.followed.add(node.name.value)
                fragment = self.fragments[node.name.value]
                self.selections(self.narrowed(fragment, kind), fragment.selection_set)

    def narrowed(
        self, node: FragmentDefinitionNode | InlineFragmentNode, kind: GraphQLNamedType
    ) -> GraphQLNamedType:
        condition = node.type_condition and self.schema.get_type(node.type_condition.name.value)
        return condition or kind

    def field(self, kind: GraphQLNamedType, node: FieldNode) -> None:
        field = self.schema.get_field(kind, node.name.value)  # type: ignore[arg-type]
        if field is None:
            return
        for argument in node.arguments or ():
            self.argument(
                argument.value, field.args[argument.name.value], f"{node.name.value}.{argument.name.value}"
            )
        if node.selection_set is not None:
            self.selections(get_named_type(field.type), node.selection_set)

    def directives(self, nodes: tuple[DirectiveNode, ...] | None) -> None:
        for node in nodes or ():
            directive = self.schema.get_directive(node.name.value)
            assert directive is not None, "the operation is valid"
            for argument in node.arguments or ():
                name = argument.name.value
                self.argument(argument.value, directive.args[name], f"@{node.name.value}.{name}")

    def argument(self, node: ValueNode, definition: GraphQLArgument | GraphQLInputField, place: str) -> None:
        self.value(node, definition.type, constraint_of(definition) or UNDECLARED, place)

    def value(
        self, node: ValueNode | None, type_: GraphQLInputType, constraint: Constraint, place: str
    ) -> None:
        if isinstance(type_, GraphQLNonNull):
            self.value(node, type_.of_type, constraint, place)
        elif isinstance(node, VariableNode):
            name = node.name.value
            self.found.setdefault((name, place), Use(name, place, type_, constraint))
            self.value(self.defaults.get(name), type_, constraint, place)
        elif isinstance(type_, GraphQLList):
            items = node.values if isinstance(node, ListValueNode) else None
            check_size("maxItems", len(items or ()), constraint.max_items, place)
            for index, item in enumerate(items or ()):
                self.value(item, type_.of_type, constraint, f"{place}[{index}]")
            if items is None and node is not None:
                self.value(node, type_.of_type, constraint, place)
        elif isinstance(type_, GraphQLInputObjectType):
            for field in node.fields if isinstance(node, ObjectValueNode) else ():
                name = field.name.value
                self.argument(field.value, type_.fields[name], f"{place}.{name}")
        else:
            self.leaf(node, type_, constraint, place)

    def leaf(
        self,
        node: ValueNode | None,
        type_: GraphQLScalarType | GraphQLEnumType,
        constraint: Constraint,
        place: str,
    ) -> None:
        if isinstance(node, StringValueNode | IntValueNode):
            check_size("maxLength", len(node.value), most_characters(type_, constraint), place)
        elif isinstance(node, ListValueNode | ObjectValueNode):  # of JSON
            parts = node.values if isinstance(node, ListValueNode) else [part.value for part in node.fields]
            for part in parts:
                self.value(part, type_, constraint, place)
