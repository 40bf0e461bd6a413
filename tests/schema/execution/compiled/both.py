"""Execute an operation by graphql-core and by its compiled form."""

from collections.abc import Callable
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLSchema, parse, validate
from graphql.execution.execute import experimental_execute_incrementally
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.execution.compiled.compiler import Compiler
from schema.execution.compiled.prepared import Prepared


class NotCompiled(Exception):
    """graphql-core executes the operation."""


async def by_core(
    schema: GraphQLSchema, text: str, variables: dict[str, Any] | None, context: Any, root: Any = None
) -> ExecutionResult:
    strawberry = isinstance(getattr(schema, "_strawberry_schema", None), Schema)
    is_awaitable: Any = optimized_is_awaitable
    of_strawberry: dict[str, Any] = {
        "executor_class": StrawberryGraphQLCoreExecutionContext,
        "operation_extensions": {},
    }
    result: Any = experimental_execute_incrementally(
        schema,
        parse(text),
        root,
        context,
        variables,
        is_awaitable=is_awaitable,
        **(of_strawberry if strawberry else {}),
    )
    if optimized_is_awaitable(result):
        result = await result
    assert isinstance(result, ExecutionResult)
    return result


async def by_compiled(
    compiler: Compiler,
    text: str,
    variables: dict[str, Any] | None,
    context: Any,
    root: Any = None,
    *,
    kept: bool = False,
) -> ExecutionResult:
    """`kept`: with the JSON that the compiler keeps. Raises NotCompiled."""
    prepared = Prepared(parse(text), None)
    if prepared.reason:
        raise NotCompiled(prepared.reason)
    coerced = compiler.variables(prepared, variables)
    if isinstance(coerced, list):
        return ExecutionResult(None, coerced)
    form = compiler.form(text, None, prepared, coerced, whole=False)
    if form is None:
        raise NotCompiled("switches")
    return await form.execute(coerced, context, root, {}, compiler.answers if kept else None)


def printed(result: ExecutionResult) -> bytes:
    """The bytes of a response."""
    errors = [error.formatted for error in result.errors or ()]
    return orjson.dumps({"data": result.data, "errors": errors}, str)


async def same(
    schema: GraphQLSchema, text: str, root: Callable[[], Any], variables: dict[str, Any] | None = None
) -> bytes:
    """The answer of both. `root` makes a root value for each, since it may be used up."""
    assert validate(schema, parse(text)) == []
    compiler = Compiler(schema, at_once=True)
    answers = set()
    for _ in range(2):  # the second time, classes are learned and arguments kept
        answers.add(printed(await by_compiled(compiler, text, variables, {}, root())))
        answers.add(printed(await by_core(schema, text, variables, {}, root())))
    (answer,) = answers
    return answer
