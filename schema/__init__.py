"""The GraphQL surface: types and resolvers, with no SQL and no scoring of their own."""

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema_converter import GraphQLCoreConverter

from schema.core import constraints
from schema.core.errors import ErrorCode, PresentErrors
from schema.execution.documents import DocumentExtension
from schema.execution.pace import PacedExecution
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    def describe_directives(self) -> None:
        """Strawberry takes over what a directive is for, but not what its arguments are for."""
        for directive in self._schema.directives:
            definition = directive.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            for field in getattr(definition, "fields", ()):
                argument = directive.args[self.config.name_converter.get_graphql_name(field)]
                argument.description = field.description

    def process_errors(self, errors: list[GraphQLError], execution_context: object = None) -> None:
        """Log nothing: PresentErrors logs the faults of the service, and callers read their own."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[ErrorCode],  # of no field, but of each error
    config=StrawberryConfig(auto_camel_case=True, enable_experimental_incremental_execution=True),
    extensions=[PresentErrors, DocumentExtension],
    execution_context_class=PacedExecution,
)
schema.describe_directives()
constraints.describe(schema._schema)  # noqa: SLF001 - graphql-core's
