"""All operations that `bench.cost` measures, one or more for each field with a resolver.

A field without a resolver reads an attribute of its parent object. The operation `plain fields`, a page of
movies with all such fields, represents them.
"""

from collections.abc import Iterator

from graphql import GraphQLObjectType, GraphQLSchema, is_introspection_type
from strawberry.schema.schema_converter import GraphQLCoreConverter

from bench.cost.experiments import EXPERIMENTS
from bench.cost.mutations import MUTATIONS
from bench.cost.operation import Operation
from bench.cost.operator_mutations import OPERATOR_MUTATIONS
from bench.cost.queries import QUERIES
from bench.cost.subscriptions import SUBSCRIPTIONS

OPERATIONS: dict[str, Operation] = QUERIES | MUTATIONS | OPERATOR_MUTATIONS | SUBSCRIPTIONS | EXPERIMENTS


def resolved_fields(schema: GraphQLSchema) -> Iterator[str]:
    """Coordinates of the fields that have a resolver, except ids and the fields of the `Error` interface."""
    error = schema.type_map["Error"]
    shared = {"id", *getattr(error, "fields", ())}
    for name, kind in schema.type_map.items():
        if not isinstance(kind, GraphQLObjectType) or is_introspection_type(kind):
            continue
        for field_name, found in kind.fields.items():
            definition = found.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            if getattr(definition, "base_resolver", None) is not None and field_name not in shared:
                yield f"{name}.{field_name}"
