"""From a request to its results, one after another, whatever carries them."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from graphql import GraphQLError
from strawberry.schema import BaseSchema
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from app.endpoint.operation import names_needed
from app.endpoint.request import GraphQLRequest
from schema.context import Context
from schema.errors import CallerError, present

Results = AsyncGenerator[Any]
ALL = tuple(OperationType)


async def results_of(
    schema: BaseSchema,
    query: str,
    request: GraphQLRequest,
    context: Context,
    allowed: Iterable[OperationType] = ALL,
) -> Results:
    """One result of a query or mutation, with its deferred parts behind it; a subscription's as they come.

    Never raises: what goes wrong is the last result. A PreExecutionError is of a request not executed.
    """
    if request.operation_name is None and names_needed(query):
        error = CallerError("The document has several operations: name one as `operationName`.")
        yield PreExecutionError(data=None, errors=[error])
        return
    try:
        results = await schema.stream(
            query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
            allowed_operation_types=allowed,
        )
        async with aclosing(results):
            async for result in results:
                yield result
    except Exception as cause:  # noqa: BLE001 - of the schema's extensions, which see the request first
        raised = cause if isinstance(cause, GraphQLError) else GraphQLError(str(cause), original_error=cause)
        yield PreExecutionError(data=None, errors=[present(raised)])
