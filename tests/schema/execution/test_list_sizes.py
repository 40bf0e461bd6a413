"""Every list of objects declares its maximal size, from which the cost is computed."""

from collections.abc import Iterator

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_introspection_type,
    is_list_type,
)

from schema import schema
from schema.core.directives import SIZED, SLICING
from schema.execution.cost import declared

MISSING = (
    "{} is a list of unknown length, so its cost cannot be computed. Add an argument `first`, or declare the "
    "length: directives=[ListSize(assumed_size=...)] of schema/core/directives.py. If another argument sets "
    "the length: ListSize(slicing_arguments=[...]), and sized_fields=[...] on a field whose value contains "
    "the list."
)


def fields() -> Iterator[tuple[str, GraphQLField]]:
    for name, kind in schema._schema.type_map.items():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not is_introspection_type(kind):
            for field_name, field in kind.fields.items():
                yield f"{name}.{field_name}", field


def is_sliced(field: GraphQLField) -> bool:
    names = declared(field)[1].slicing_arguments
    return any(name in field.args for name in (SLICING if names is None else names))


def test_every_list_of_objects_has_a_size() -> None:
    sized = {
        f"{get_named_type(field.type).name}.{name}"
        for _, field in fields()
        if is_sliced(field)
        for name in declared(field)[1].sized_fields or SIZED
    }
    for place, field in fields():
        if is_list_type(get_nullable_type(field.type)) and is_composite_type(get_named_type(field.type)):
            known = is_sliced(field) or declared(field)[1].assumed_size is not None or place in sized
            assert known, MISSING.format(place)


def test_arguments_that_set_a_size_exist() -> None:
    for place, field in fields():
        size = declared(field)[1]
        for name in size.slicing_arguments or ():
            assert name in field.args, f"{place} has no argument `{name}`"
        for name in size.sized_fields or ():
            inner = get_named_type(field.type)
            assert isinstance(inner, GraphQLObjectType | GraphQLInterfaceType), place
            assert name in inner.fields, f"{inner.name} has no field `{name}`"
