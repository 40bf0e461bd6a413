"""The Python source of an operation under fixed values of the variables of @skip and @include."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeNameMetaFieldDef,
    get_named_type,
    is_abstract_type,
    is_list_type,
    is_non_null_type,
    print_ast,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.type.scalars import (
    serialize_boolean,
    serialize_float,
    serialize_id,
    serialize_int,
    serialize_string,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from schema.execution.compiled.classes import Classes
from schema.execution.compiled.field import Field
from schema.execution.compiled.resolvers import attribute, resolver
from schema.execution.compiled.shared import Shared
from schema.execution.pace import SHORT

MAX_FUNCTIONS = 300
# Where a value is what its scalar's serializer returns unchanged.
UNCHANGED: dict[Any, str] = {
    serialize_string: "v.__class__ is str",
    serialize_id: "v.__class__ is str",
    serialize_int: "v.__class__ is int and -2147483648 <= v <= 2147483647",
    serialize_float: "v.__class__ is float and -1e999 < v < 1e999",
    serialize_boolean: "v is True or v is False",
}


class TooLarge(Exception):
    """An operation that has more than MAX_FUNCTIONS selection sets by type."""


@dataclass
class Source:
    """Collects the functions of one operation. `names` is what they refer to."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDetails]
    variables: VariableValues
    classes: dict[str, Classes]
    names: dict[str, Any] = field(default_factory=dict)
    functions: list[str] = field(default_factory=list)
    count: int = 0

    def text(self) -> str:
        root = self.schema.get_root_type(self.operation.operation)
        assert root is not None, "validation refuses operations of a kind that the schema lacks"
        collected = collect_fields(self.schema, self.fragments, self.variables, root, self.operation)
        serial = self.operation.operation is OperationType.MUTATION
        self.function("operation", root, collected.grouped_field_set, serial=serial)
        return "\n\n".join(self.functions)

    def function(
        self, name: str, type_: GraphQLObjectType, grouped: Mapping[str, list[Any]], *, serial: bool = False
    ) -> str | None:
        """Add the function of a selection set. Returns the selections, if each is constant."""
        self.count += 1
        if self.count > MAX_FUNCTIONS:
            raise TooLarge
        lines = ["    out = {}", "    waiting = []", "    try:"]
        selections: list[str | None] = []
        for key, details in grouped.items():
            definition = self.schema.get_field(type_, details[0].node.name.value)
            assert definition is not None, "validation refuses fields that the type lacks"
            found = Field(key, type_, definition, details)
            inner = self.selections(found)
            lines += self.lines_of(key, found)
            selections.append(selection_of(found, inner))
            if serial:
                lines += ["        if waiting:", f"            out[{key!r}] = await out[{key!r}]"]
                lines += ["            waiting.clear()"]
        lines += ["        pass", "    except Exception:"]
        lines += ["        run.settle(out[key] for key in waiting)", "        raise"]
        constant = None if None in selections else f"{{{' '.join(map(str, selections))}}}"
        if constant is not None and is_shared(type_):
            lines = [*kept(constant), *lines, *keeping(constant)]
        lines += ["    return awaited_fields(out, waiting) if waiting else out", ""]
        lines.insert(0, f"{'async ' if serial else ''}def {name}(run, s, p):  # on {type_.name}")
        self.functions.append("\n".join(lines))
        return constant

    def lines_of(self, key: str, found: Field) -> list[str]:
        """The lines that put the value of a field into `out`."""
        if found.definition is TypeNameMetaFieldDef:
            return [f"        out[{key!r}] = {found.parent.name!r}"]
        constant = f"F{len(self.names)}_{found.name}"
        self.names[constant] = found
        lines = [f"        # {found.parent.name}.{found.name}: {found.type}", "        try:"]
        name = attribute(found, self.schema)
        if name is not None:
            lines.append(f"            v = s.{name}")
        else:
            function = f"resolve_{constant}"
            self.names[function], what = resolver(found, self.schema)
            lines.append(f"            v = {function}(run, s, p)  # {what}")
        lines += [f"            {line}" for line in self.completion(key, found, constant)]
        lines.append("        except Exception as error:")
        lines.append(f"            out[{key!r}] = {constant}.failed_at(run, error, p)")
        return lines

    def completion(self, key: str, found: Field, constant: str) -> list[str]:
        """The short way of the usual values, and the call that completes the others."""
        usual = f"{constant}.value(run, v, p, waiting)"
        type_, nullable = (found.type.of_type, False) if is_non_null_type(found.type) else (found.type, True)
        if isinstance(type_, GraphQLScalarType) and (same := UNCHANGED.get(type_.coerce_output_value)):
            return [f"out[{key!r}] = v if {'v is None or ' if nullable else ''}{same} else {usual}"]
        if isinstance(type_, GraphQLObjectType):
            function, fits = self.names_of(found, type_)
            return [
                f"if {fits.format('v')}:",
                f"    r = {function}(run, v, (p, {key!r}, {found.parent.name!r}))",
                "    if r.__class__ is Coroutine:",
                f"        r = {constant}.held(run, r, {constant}.path(p), waiting)",
                f"    out[{key!r}] = r",
                *(["elif v is None:", f"    out[{key!r}] = None"] if nullable else []),
                "else:",
                f"    out[{key!r}] = {usual}",
            ]
        if is_list_type(type_):
            item = type_.of_type.of_type if is_non_null_type(type_.of_type) else type_.of_type
            if isinstance(item, GraphQLObjectType):
                return self.items(key, found, constant, item)
            return [f"out[{key!r}] = {usual}"]
        return [f"out[{key!r}] = {'None if v is None else ' if nullable else ''}{usual}"]

    def items(self, key: str, found: Field, constant: str, type_: GraphQLObjectType) -> list[str]:
        """The lines that complete a short list of objects, up to an item that waits or fails."""
        function, fits = self.names_of(found, type_)
        return [
            f"if v.__class__ is list and len(v) <= {SHORT}:",
            f"    q, n, r = (p, {key!r}, {found.parent.name!r}), [], None",
            "    for item in v:",
            "        try:",
            f"            if not ({fits.format('item')}):",
            "                r = None",
            "                break",
            f"            r = {function}(run, item, (q, len(n), None))",
            "        except Exception as error:",
            "            r = error",
            "            break",
            "        if r.__class__ is Coroutine:",
            "            break",
            "        n.append(r)",
            f"    out[{key!r}] = n if len(n) == len(v) else {constant}.rest(run, v, n, r, q, waiting)",
            "else:",
            f"    out[{key!r}] = {constant}.value(run, v, p, waiting)",
        ]

    def selections(self, found: Field) -> str | None:
        """Add the functions of the object types that the field may return.

        Returns the selections if each is constant, '' for a leaf.
        """
        constant: str | None = ""
        named = get_named_type(found.type)
        if is_abstract_type(named):
            types = list(self.schema.get_possible_types(named))
        else:
            types = [named] if isinstance(named, GraphQLObjectType) else []
        for type_ in types:
            name = f"{found.name}_{type_.name}_{self.count}"
            collected = collect_subfields(
                self.schema, self.fragments, self.variables, self.operation, type_, found.details
            )
            constant = self.function(name, type_, collected.grouped_field_set)
            classes = self.classes.setdefault(type_.name, Classes(type_))
            self.names[f"known_{type_.name}"] = classes.known
            found.select[type_.name] = (name, classes)  # type: ignore[assignment] # linked once it is compiled
        return None if is_abstract_type(named) else constant

    def names_of(self, found: Field, type_: GraphQLObjectType) -> tuple[str, str]:
        """The function of a type, and the condition under which a value needs no further checks."""
        function, classes = found.select[type_.name]
        fits = f"{{0}}.__class__ in known_{type_.name}"
        if classes.may_be_cast:
            fits += f" and getattr({{0}}, {TYPE_CAST_ATTRIBUTE!r}, None) is None"
        return str(function), fits


def selection_of(found: Field, inner: str | None) -> str | None:
    """The field in a text that names a constant selection; None if its value depends on the request."""
    if found.definition is TypeNameMetaFieldDef:
        return f"{found.key}:__typename"
    if not found.constant or inner is None:
        return None
    arguments = ",".join(map(print_ast, found.nodes[0].arguments or ()))
    return f"{found.key}:{found.name}({arguments}){inner}"


def is_shared(type_: GraphQLObjectType) -> bool:
    definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return issubclass(getattr(definition, "origin", object), Shared)


def kept(selection: str) -> list[str]:
    """The lines that answer by kept JSON."""
    return [
        "    if run.answers is not None:",
        f"        known = getattr(s, 'in_json', NOTHING).get({selection!r})",
        "        if known is not None:",
        "            return known",
    ]


def keeping(selection: str) -> list[str]:
    """The lines that keep an answer without errors."""
    return [
        "    if run.answers is not None and not waiting and not run.errors:",
        f"        return run.answers.keep(s, {selection!r}, out)",
    ]
