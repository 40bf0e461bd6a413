"""Documents generated from the schema, for tests that cover all of it."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema import schema

DEPTH = 5  # levels of fields below a root


def roots() -> Iterator[tuple[str, str, GraphQLField]]:
    for operation in ("query", "mutation", "subscription"):
        type_ = getattr(schema._schema, f"{operation}_type")
        for name, field in type_.fields.items():
            yield operation, f"{type_.name}.{name}", field


def arguments_of(field: GraphQLField, **chosen: str) -> str:
    """The required arguments, page sizes, and the chosen arguments; the values match few or no objects."""
    given = {
        name: value_of(argument.type, name)
        for name, argument in field.args.items()
        if is_required_argument(argument) or (name == "first" and "last" not in chosen)
    } | chosen
    return f"({', '.join(f'{name}: {value}' for name, value in given.items())})" if given else ""


def value_of(type_: Any, name: str, without: str | None = None) -> str:
    if isinstance(type_, GraphQLNonNull):
        return value_of(type_.of_type, name)
    if isinstance(type_, GraphQLList):
        return f"[{value_of(type_.of_type, name)}]"
    if isinstance(type_, GraphQLInputObjectType):
        one = next(iter(type_.fields)) if is_one_of(type_) and without is None else None
        fields = {
            key: value_of(field.type, key)
            for key, field in type_.fields.items()
            if (is_required_input_field(field) and key != without) or key == one
        }
        return f"{{{', '.join(f'{key}: {value}' for key, value in fields.items())}}}"
    if isinstance(type_, GraphQLEnumType):
        return str(next(iter(type_.values)))
    if type_.name == "ID":
        subject = {
            "sessionId": "Session",
            "jobId": "TrainingJob",
            "apiKeyId": "ApiKey",
            "genreIds": "Genre",
            "genres": "Genre",
        }.get(name, "Movie")
        return f'"{global_id(subject, 1 if name in ("id", "ids") else 999_999)}"'
    return {"Int": "1", "Float": "1", "Boolean": "true", "DateTime": '"2030-01-01T00:00:00Z"'}.get(
        type_.name, '"unknown"'
    )


def is_one_of(type_: GraphQLInputObjectType) -> bool:
    """Whether a value has exactly one of the type's fields."""
    return bool(type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of)


def selection_of(field: GraphQLField, depth: int = DEPTH) -> str:
    """All fields down to this depth; a type is not selected again within itself."""
    return below(get_named_type(field.type), depth, frozenset())


def below(type_: GraphQLNamedType, depth: int, above: frozenset[str]) -> str:
    if is_leaf_type(type_):
        return ""
    chosen = ["__typename"]
    if isinstance(type_, GraphQLUnionType):
        chosen += [f"... on {each.name}{below(each, depth, above)}" for each in type_.types if own(each)]
    elif isinstance(type_, GraphQLObjectType):
        for name, field in type_.fields.items():
            inner = get_named_type(field.type)
            if is_leaf_type(inner) or (depth > 1 and inner.name not in above):
                chosen.append(
                    f"{type_.name}_{name}: {name}{arguments_of(field)}"
                    f"{below(inner, depth - 1, above | {type_.name})}"
                )
    return f" {{ {' '.join(chosen)} }}"


def own(type_: GraphQLObjectType) -> bool:
    return bool(type_.fields)


def global_id(type_name: str, key: object) -> str:
    return b64encode(f"{type_name}:{key}".encode()).decode()
