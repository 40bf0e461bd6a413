"""Resolve a field of a compiled operation: as an attribute, by a function, or as graphql-core does."""

from collections.abc import Callable
from functools import lru_cache
from inspect import iscoroutinefunction
from typing import Any

from graphql import GraphQLSchema, get_named_type
from graphql.execution.executor import default_field_resolver
from graphql.type.scalars import serialize_id
from strawberry import Info, Schema
from strawberry.relay import Node, to_base64
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from schema.execution.compiled.arguments import Arguments, NotConverted, raising, raw
from schema.execution.compiled.field import Field
from schema.execution.compiled.run import LazyInfo, Path, Run, resolve_info

(ID_OF_NODE,) = (
    field.base_resolver.wrapped_func.__func__
    for field in Node.__strawberry_definition__.fields  # type: ignore[attr-defined] # Strawberry adds it
    if field.python_name == "_id"
)
Resolve = Callable[[Run, Any, Path | None], Any]


def attribute(field: Field, schema: GraphQLSchema) -> str | None:
    """The attribute that is the field's value; None if there is a resolver."""
    of_strawberry = strawberry_field(field)
    converter = converter_of(schema)
    if of_strawberry is None or converter is None or not is_plain(of_strawberry):
        return None
    name = of_strawberry.python_name
    readable = of_strawberry.base_resolver is None and converter.config.default_resolver is getattr
    field.constant = readable and name.isidentifier() and not name.startswith("__")
    return name if field.constant else None


def resolver(field: Field, schema: GraphQLSchema) -> tuple[Resolve, str]:
    """The function that resolves the field, and a line about it for readers of the source."""
    of_strawberry = strawberry_field(field)
    converter = converter_of(schema)
    if of_strawberry is not None and converter is not None and is_plain(of_strawberry):
        function = unwrapped(of_strawberry)
        if function is not None:
            return direct(field, of_strawberry, converter, function)
    resolve = field.definition.resolve or default_field_resolver

    def through_core(run: Run, source: Any, above: Path | None) -> Any:
        info = resolve_info(run, field, field.path(above))
        return resolve(source, info, **raw(run, field))

    extensions = [type(each).__name__ for each in of_strawberry.extensions] if of_strawberry else []
    return through_core, f"as graphql-core does, with the extensions {extensions}"


def strawberry_field(field: Field) -> StrawberryField | None:
    found = field.definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    return found if type(found) is StrawberryField else None


def converter_of(schema: GraphQLSchema) -> GraphQLCoreConverter | None:
    owner = schema.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(owner, Schema) or owner.config.info_class is not Info or owner.exception_handlers:
        return None
    return owner.schema_converter


def is_plain(field: StrawberryField) -> bool:
    """Whether nothing stands before the attribute or function; permissions are extensions."""
    return not field.extensions and not field.is_subscription


def unwrapped(field: StrawberryField) -> Callable[..., Any] | None:
    function: Any = field.base_resolver.wrapped_func if field.base_resolver else None
    # An async resolver that is no coroutine function is, for example, a generator.
    usual = callable(function) and iscoroutinefunction(function) == field.is_async
    return function if usual else None


def direct(
    field: Field,
    of_strawberry: StrawberryField,
    converter: GraphQLCoreConverter,
    function: Callable[..., Any],
) -> tuple[Resolve, str]:
    """A call of the function with the arguments that Strawberry would pass."""
    base = of_strawberry.base_resolver
    assert base is not None
    by_name = [each.name for each in (base.parent_parameter, base.root_parameter) if each]
    info_name = base.info_parameter.name if base.info_parameter else None
    has_self = bool(base.self_parameter)
    arguments = Arguments(converter, field, of_strawberry) if field.definition.args else None
    field.strawberry = of_strawberry
    where = f"calls {getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
    is_id = getattr(function, "__func__", None) is ID_OF_NODE and named_scalar(field) is serialize_id
    varies = arguments is not None and arguments.varies
    field.kept = None if varies else {}
    field.constant = (info_name is None or is_id) and not of_strawberry.is_async and not varies
    only_self = has_self and not by_name and arguments is None
    if only_self and info_name is None:
        return lambda _run, source, _above: function(source), where

    def call(run: Run, source: Any, above: Path | None) -> Any:
        named: dict[str, Any] = {}
        if arguments is not None:
            try:
                named.update(arguments(run, above))
            except NotConverted as error:
                if of_strawberry.is_async:
                    return raising(error.cause)
                raise error.cause from None
        for name in by_name:
            named[name] = source
        if info_name is not None:
            named[info_name] = LazyInfo(run, field, field.path(above))
        return function(source, **named) if has_self else function(**named)

    return (global_id(field, call) if is_id else call), where


def named_scalar(field: Field) -> Any:
    return getattr(get_named_type(field.type), "coerce_output_value", None)


def global_id(field: Field, usual: Resolve) -> Resolve:
    """The id of a node, without Strawberry's detours for classes that leave the resolving of ids to it."""
    type_name = field.parent.name
    attributes: dict[type, str | None] = {}

    def resolve(run: Run, source: Any, above: Path | None) -> Any:
        cls = source.__class__
        if cls not in attributes:
            attributes[cls] = id_attribute(cls)
        name = attributes[cls]
        key = None if name is None else getattr(source, name)
        return encoded(type_name, key) if key.__class__ in (int, str) else usual(run, source, above)

    return resolve


def id_attribute(cls: type) -> str | None:
    if not issubclass(cls, Node):
        return None
    own = (cls.resolve_id, cls.resolve_typename)
    inherited = (Node.resolve_id, Node.resolve_typename)
    same = all(mine.__func__ is theirs.__func__ for mine, theirs in zip(own, inherited, strict=True))  # type: ignore[attr-defined] # class methods
    return cls.resolve_id_attr() if same else None


@lru_cache(100_000)
def encoded(type_name: str, key: int | str) -> str:
    return to_base64(type_name, key)
