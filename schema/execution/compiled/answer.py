"""Answer a request by its compiled operation, if there is one."""

from collections.abc import Coroutine, Iterable
from typing import Any

from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError
from graphql.execution.values import VariableValues
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from schema.core.errors import present_all
from schema.execution.compiled.compiler import Compiler
from schema.execution.compiled.operation import Compiled
from schema.execution.compiled.prepared import Prepared
from schema.execution.compiled.shared import KeptAnswers
from schema.execution.context import Context
from schema.execution.documents import Document, cost_of
from schema.execution.request import GraphQLRequest


def answer(
    compiler: Compiler,
    document: Document,
    request: GraphQLRequest,
    context: Context,
    allowed: Iterable[OperationType],
) -> Coroutine[Any, Any, ExecutionResult] | None:
    """The result of a compiled operation; None if graphql-core executes the request."""
    name = request.operation_name
    operation = document.operation(name)
    if context.costed is None or operation is None or operation.kind not in allowed:
        return None
    whole = context.costed.ast is not document.ast
    prepared = document.prepared.get((name, whole))
    if prepared is None:
        prepared = document.prepared[name, whole] = Prepared(context.costed.ast, name)
    if prepared.reason is not None:
        compiler.count(prepared.reason)
        return None
    variables = compiler.variables(prepared, request.variables)
    if isinstance(variables, list):
        return refused(variables, context)
    form = compiler.form(document.text, name, prepared, variables, whole=whole)
    if form is None:
        return None
    return result_of(form, variables, context, request.extensions, compiler.answers)


async def result_of(
    form: Compiled,
    variables: VariableValues,
    context: Context,
    extensions: dict[str, Any] | None,
    answers: KeptAnswers,
) -> ExecutionResult:
    kept = answers if context.spliced else None
    return presented(await form.execute(variables, context, extensions=extensions, answers=kept), context)


async def refused(errors: list[GraphQLError], context: Context) -> ExecutionResult:
    return presented(CoreResult(None, errors), context)


def presented(result: CoreResult, context: Context) -> ExecutionResult:
    """The result with its cost, as Strawberry's extensions of the schema make it."""
    whole = ExecutionResult(data=result.data, errors=result.errors, extensions=cost_of(context))
    present_all(whole)
    return whole
