"""Generate docs/api.md: the guide, then a reference of the schema from its SDL."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLDirective,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    NullValueNode,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
    print_ast,
)

from app.settings import Settings

GUIDE = Path(__file__).parent / "guide.md"
MADE = "<!-- Made from schema/guide.md and the schema by `marquee export-schema`. -->"

Described = GraphQLField | GraphQLArgument | GraphQLInputField
Kept = Callable[[GraphQLNamedType], bool]


def reference(sdl: str) -> str:
    """The page as Markdown. Each element has an anchor, and each type name is a link."""
    schema = build_schema(sdl)
    sections = dict(sections_of(schema))
    contents = [f"- [{title}](#{slug(title)}){index(schema, title)}" for title in sections]
    guide = GUIDE.read_text().replace("{{contents}}", "\n".join(contents)).replace("{{limits}}", limits())
    parts = [MADE, guide.strip()]
    for title, entries in sections.items():
        parts += [f"## {title}", *entries]
    return "\n\n".join(parts) + "\n"


def sections_of(schema: GraphQLSchema) -> Iterator[tuple[str, list[str]]]:
    """Titles and entries in the order of the page, without empty sections."""
    roots = roots_of(schema)
    for title, root in roots.items():
        yield title, [operation(root, name, field, schema) for name, field in root.fields.items()]
    left = [
        type_
        for _, type_ in sorted(schema.type_map.items())
        if type_ not in roots.values()
        and not (is_introspection_type(type_) or is_specified_scalar_type(type_))
        and result_of(type_, schema) is None
    ]
    for title, kept in KINDS.items():
        entries = [entry(type_, schema) for type_ in left if kept(type_)]
        left = [type_ for type_ in left if not kept(type_)]
        if entries:
            yield title, entries
    directives = [each for each in schema.directives if not is_specified_directive(each)]
    if directives:
        yield "Directives", [directive(each, schema) for each in directives]


def limits() -> str:
    """The settings that limit requests, with their defaults."""
    lines = [
        f"| `{name.upper()}` | {field.default:,} | {text(field.description)} |"
        for name, field in Settings.model_fields.items()
        if name.startswith("max_") or name.endswith(("_per_minute", "execution_seconds"))
    ]
    return "\n".join(["| limit | default | |", "|---|---|---|", *lines])


def roots_of(schema: GraphQLSchema) -> dict[str, GraphQLObjectType]:
    roots = {
        "Queries": schema.query_type,
        "Mutations": schema.mutation_type,
        "Subscriptions": schema.subscription_type,
    }
    return {title: root for title, root in roots.items() if root is not None}


def index(schema: GraphQLSchema, title: str) -> str:
    """The operations of a section, by name."""
    root = roots_of(schema).get(title)
    if root is None:
        return ""
    return ": " + ", ".join(f"[`{name}`](#{anchor(root.name, name)})" for name in root.fields)


def is_expected_error(type_: GraphQLNamedType) -> bool:
    return isinstance(type_, GraphQLObjectType) and any(each.name == "Error" for each in type_.interfaces)


KINDS: dict[str, Kept] = {
    "Expected errors": is_expected_error,
    "Error codes": lambda type_: type_.name == "ErrorCode",
    "Pages": lambda type_: type_.name.endswith(("Connection", "Edge", "PageInfo")),
    "Payloads": lambda type_: type_.name.endswith("Payload"),
    "Types": lambda type_: isinstance(type_, GraphQLObjectType | GraphQLUnionType),
    "Interfaces": lambda type_: isinstance(type_, GraphQLInterfaceType),
    "Inputs": lambda type_: isinstance(type_, GraphQLInputObjectType),
    "Enums": lambda type_: isinstance(type_, GraphQLEnumType),
    "Scalars": lambda type_: isinstance(type_, GraphQLScalarType),
}


def operation(root: GraphQLObjectType, name: str, field: GraphQLField, schema: GraphQLSchema) -> str:
    """The entry of a root field; a mutation's includes its outcomes."""
    result = get_named_type(field.type)
    parts = [heading(anchor(root.name, name), name), description_of(field)]
    if field.args:
        parts.append(table("argument", rows(field.args, schema)))
    if isinstance(result, GraphQLUnionType):
        outcomes = [f"| {link(type_, schema)} | {text(type_.description)} |" for type_ in result.types]
        parts.append("\n".join(["| outcome | |", "|---|---|", *outcomes]))
    else:
        parts.append(f"Returns {link(field.type, schema)}.")
    return "\n\n".join(parts)


def entry(type_: GraphQLNamedType, schema: GraphQLSchema) -> str:
    parts = [heading(anchor("type", type_.name), type_.name), text(type_.description)]
    match type_:
        case GraphQLObjectType() | GraphQLInterfaceType():
            if type_.interfaces:
                parts.append("Implements " + ", ".join(link(each, schema) for each in type_.interfaces) + ".")
            parts.append(table("field", rows(type_.fields, schema)))
        case GraphQLInputObjectType():
            parts.append(table("field", rows(type_.fields, schema)))
        case GraphQLEnumType():
            values = [f"| `{name}` | {description_of(value)} |" for name, value in type_.values.items()]
            parts.append("\n".join(["| value | |", "|---|---|", *values]))
        case GraphQLUnionType():
            parts.append("One of " + ", ".join(link(each, schema) for each in type_.types) + ".")
    return "\n\n".join(parts)


def directive(each: GraphQLDirective, schema: GraphQLSchema) -> str:
    places = ", ".join(f"`{place.name}`" for place in each.locations)
    parts = [
        heading(anchor("directive", each.name), f"@{each.name}"),
        text(each.description),
        f"On {places}.",
    ]
    if each.args:
        parts.append(table("argument", rows(each.args, schema)))
    return "\n\n".join(parts)


def table(of: str, lines: Iterable[str]) -> str:
    return "\n".join([f"| {of} | type | |", "|---|---|---|", *lines])


def rows(elements: Any, schema: GraphQLSchema) -> Iterator[str]:
    """The rows of fields, each with its arguments below it, or of arguments."""
    name: str
    element: Described
    for name, element in elements.items():
        yield f"| `{name}` | {link(element.type, schema)} | {description_of(element)} |"
        for argument, of in getattr(element, "args", {}).items():
            yield f"| `{name}({argument}:)` | {link(of.type, schema)} | {description_of(of)} |"


def description_of(element: Any) -> str:
    """The description of an element, with its default unless null, its cost and its deprecation."""
    parts = [text(element.description)]
    default = getattr(element.ast_node, "default_value", None)
    if default is not None and not isinstance(default, NullValueNode):
        parts.append(f"Default `{print_ast(default)}`.")
    parts += [
        f"Costs {print_ast(directive.arguments[0].value)} by itself."
        for directive in element.ast_node.directives or ()
        if directive.name.value == "cost"
    ]
    if element.deprecation_reason is not None:
        parts.append(f"**Deprecated:** {text(element.deprecation_reason)}")
    return " ".join(part for part in parts if part)


def result_of(type_: GraphQLNamedType, schema: GraphQLSchema) -> str | None:
    """The mutation whose outcomes the union lists; the page shows the union with it."""
    if not (isinstance(type_, GraphQLUnionType) and schema.mutation_type):
        return None
    fields = schema.mutation_type.fields.items()
    return next((name for name, field in fields if get_named_type(field.type) is type_), None)


def link(type_: GraphQLType, schema: GraphQLSchema) -> str:
    named = get_named_type(type_)
    if is_specified_scalar_type(named):
        return f"`{type_}`"
    mutation = result_of(named, schema)
    to = anchor("type", named.name) if mutation is None else anchor("mutation", mutation)
    return f"[`{type_}`](#{to})"


def heading(place: str, title: str) -> str:
    return f'<a id="{place}"></a>\n### `{title}`'


def anchor(kind: str, name: str) -> str:
    return f"{kind}-{name}".lower()


def slug(title: str) -> str:
    """The anchor of a heading in Markdown."""
    return title.lower().replace(" ", "-")


def text(description: str | None) -> str:
    """The text on one line, for a table cell."""
    return " ".join((description or "").split()).replace("|", r"\|")
