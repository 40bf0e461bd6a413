"""Answer a request by its compiled operation, if there is one."""

from collections.abc import Coroutine
from typing import Any

from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult

from schema.core.errors import present_all
from schema.execution.compiled.compiler import Compiler
from schema.execution.compiled.operation import NONE
from schema.execution.compiled.prepared import Prepared
from schema.execution.context import Context
from schema.execution.documents import Document, cost_of
from schema.execution.request import GraphQLRequest


def answer(
    compiler: Compiler, document: Document, request: GraphQLRequest, context: Context
) -> Coroutine[Any, Any, CoreResult] | None:
    """The result of a compiled operation; None if graphql-core executes the request."""
    assert context.costed is not None, "it is paid"
    name, ast = request.operation_name, context.costed.ast
    whole = ast is not document.ast
    prepared = document.prepared.get((name, whole))
    if prepared is None:
        if document.operation(name) is None:
            return None
        prepared = document.prepared[name, whole] = Prepared(ast, name)
    if prepared.reason is not None:
        compiler.count(prepared.reason)
        return None
    variables = NONE
    if prepared.node.variable_definitions:
        found = compiler.variables(prepared, request.variables)
        if isinstance(found, list):
            return refused(found)
        variables = found
    form = compiler.form(document.text, name, prepared, variables, whole=whole)
    if form is None:
        return None
    answers = compiler.answers if context.spliced else None
    return form.execute(variables, context, extensions=request.extensions, answers=answers)


async def refused(errors: list[GraphQLError]) -> CoreResult:
    return CoreResult(None, errors)


def presented(result: CoreResult, context: Context) -> ExecutionResult:
    """The result with its cost, as Strawberry's extensions of the schema make it."""
    whole = ExecutionResult(data=result.data, errors=result.errors, extensions=cost_of(context))
    if result.errors:
        present_all(whole)
    return whole
