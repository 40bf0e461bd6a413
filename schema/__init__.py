"""The GraphQL surface: types and resolvers, with no SQL and no scoring of their own."""

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from schema.document import Prepared
from schema.errors import PresentErrors
from schema.mutation import Mutation
from schema.query import Query
from schema.subscription import Subscription


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: object = None) -> None:
        """PresentErrors logs what is ours to mend; what callers do wrong is told to them."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=StrawberryConfig(auto_camel_case=True, enable_experimental_incremental_execution=True),
    extensions=[PresentErrors, Prepared],
)
