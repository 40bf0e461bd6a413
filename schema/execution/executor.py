"""Execute a GraphQL request as an async stream of results, independent of the transport."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError
from strawberry import Schema
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from app.web.admission import Overloaded, Turn
from app.web.meter import METER, MeteredCoroutine
from app.web.rate_limits import RateLimited
from schema.core.errors import CallerError, ErrorCode, present
from schema.execution.begun import Begun
from schema.execution.compiled.answer import answer, presented
from schema.execution.compiled.compiler import Compiler
from schema.execution.context import Context
from schema.execution.deadline import Results, charged, in_time, timed_out
from schema.execution.documents import CostedOperation, Document, DocumentCache, InvalidDocument, Operation
from schema.execution.request import GraphQLRequest
from schema.execution.telemetry import ObservedOperation, count_errors

ALL = tuple(OperationType)
AT_ONCE = 15  # cost of reading a document: a millisecond
SHORT_LIST = 100  # items whose lengths are checked in a fraction of a millisecond


@dataclass(frozen=True, slots=True)
class Executor:
    schema: Schema
    documents: DocumentCache
    compiler: Compiler | None = None
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while a long document is read

    @property
    def seconds(self) -> float:
        return self.documents.settings.execution_seconds

    async def results(
        self,
        document: Document,
        request: GraphQLRequest,
        context: Context,
        turn: Turn,
        allowed: Iterable[OperationType] = ALL,
        *,
        whole: bool = False,
    ) -> Results:
        """One result of a query or mutation, with its deferred parts behind it; of a subscription, many.

        Never raises: an error ends the stream as its last result, a PreExecutionError where the operation was
        not executed. The turn ends with the operation, or once a subscription has started. `whole`: defer
        nothing. The reader of the last result closes an export in it.
        """
        only, others = await self.executed(document, request, context, turn, allowed, whole=whole)
        if others is None:
            yield only
            return
        async with aclosing(others):
            async for result in others:
                yield result

    async def executed(
        self,
        document: Document,
        request: GraphQLRequest,
        context: Context,
        turn: Turn,
        allowed: Iterable[OperationType],
        *,
        whole: bool,
    ) -> tuple[Any, Results | None]:
        """The only result of an operation that is compiled or refused, or else the stream of its results."""
        operation = document.operation(request.operation_name)
        kind = None if operation is None else operation.kind
        observed = ObservedOperation(kind, document.label(request.operation_name), turn.arrived)
        delivered = handed_on = False
        try:
            context.costed = await self.paid(document, operation, request, context, whole=whole)
            compiled = None
            if self.compiler is not None and kind is not None and kind in allowed:
                compiled = answer(self.compiler, document, request, context)
            if compiled is None:
                results = self.by_core(document, request, context, turn, allowed, observed)
                handed_on = True
                return None, results
            only = await self.only_result(compiled, context, turn)
            if kind is OperationType.MUTATION and (replicas := context.sessions.replicas) is not None:
                await context.announce(replicas)
            delivered = context.spliced and bool(only.data)
            observed.count(only)
        except Exception as cause:  # noqa: BLE001 - of what sees the request before it is executed
            only = refusal(cause)
            observed.count(only)
        finally:
            if not handed_on:
                end(turn, observed, context, delivered=delivered)
        return only, None

    async def by_core(
        self,
        document: Document,
        request: GraphQLRequest,
        context: Context,
        turn: Turn,
        allowed: Iterable[OperationType],
        observed: ObservedOperation,
    ) -> Results:
        """The results of an operation that is paid, by graphql-core."""
        delivered = False
        kind = document.kind(request.operation_name)
        try:
            results = await self.begun(document, request, context, allowed)
            if observed.endless:
                turn.end()
            deadline = None if observed.endless else turn.deadline
            async with aclosing(in_time(results, deadline, self.seconds, context.clock)) as timed:
                async for result in timed:
                    if kind is OperationType.MUTATION and (replicas := context.sessions.replicas) is not None:
                        await context.announce(replicas)
                    delivered = context.spliced and isinstance(result, ExecutionResult) and bool(result.data)
                    observed.count(result)
                    yield result
                    observed.resume()
        except Exception as cause:  # noqa: BLE001 - as above
            refused = refusal(cause)
            observed.count(refused)
            yield refused
        finally:
            end(turn, observed, context, delivered=delivered)

    async def only_result(
        self, result: Coroutine[Any, Any, CoreResult], context: Context, turn: Turn
    ) -> ExecutionResult:
        """The result of an operation that has one only: as `charged` and `in_time`, without their steps."""
        budget, clock = context.budget, context.clock
        clock.deadline = turn.deadline
        try:
            begun = Begun(result if budget is None else MeteredCoroutine(result, budget.meter))
            if begun.ended:
                found = begun.value
            else:
                async with asyncio.timeout_at(None if clock.holders else turn.deadline) as clock.step:
                    found = await begun
        except TimeoutError:
            return timed_out(self.seconds)
        finally:
            if budget is not None:
                await budget.close()
        return presented(found, context)

    async def begun(
        self,
        document: Document,
        request: GraphQLRequest,
        context: Context,
        allowed: Iterable[OperationType],
    ) -> Results:
        """Begin the operation. Its actual cost is charged beyond its static cost."""
        results = await self.schema.stream(
            document.text,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
            operation_extensions=request.extensions,
            allowed_operation_types=allowed,
        )
        return results if context.budget is None else charged(results, context.budget)

    async def read(self, query: str, context: Context) -> Document:
        """The document of a text, its reading charged to the client.

        Raises InvalidDocument for a text that is not valid or is beyond the limits, and for one whose reading
        exceeds the client's rate.
        """
        try:
            return await self._read(query, context)
        except GraphQLError as error:
            errors = [present(error)]
        except InvalidDocument as invalid:
            errors = [present(error) for error in invalid.errors]
        count_errors(errors)
        raise InvalidDocument(errors) from None

    async def _read(self, query: str, context: Context) -> Document:
        cost = self.documents.reading_cost(query)
        budget = context.budget
        if budget is None:
            return self.documents.read(query)
        budget.payer = await context.authentication.payer()
        try:
            await budget.reading(cost)
        except RateLimited as limited:
            raise rate_limited(limited) from None
        if not cost:  # a kept text, or a short one: it is not worth another round trip to Redis
            return self.documents.read(query)
        try:
            if cost <= AT_ONCE:
                return budget.reader.run(self.documents.read, query)
            async with self.reading:  # in a thread, so that others are answered meanwhile
                context_of_reader = copy_context()
                context_of_reader.run(METER.set, budget.reader)
                in_thread = asyncio.get_running_loop().run_in_executor
                return await context_of_reader.run(in_thread, None, self.documents.read, query)
        finally:
            await budget.settle()

    async def paid(
        self,
        document: Document,
        operation: Operation | None,
        request: GraphQLRequest,
        context: Context,
        *,
        whole: bool,
    ) -> CostedOperation:
        """Charge the operation's cost to the client.

        Raises CallerError for values that are too long, and for a cost above MAX_COST or the client's rate.
        """
        budget, variables = context.budget, request.variables or {}
        if budget is not None:
            budget.payer = await context.authentication.payer()
        if request.operation_name is None and len(document.operations) > 1:
            raise CallerError("The document has several operations: name one as `operationName`.")
        if operation is not None and variables:
            if is_long(variables):
                await asyncio.to_thread(operation.check_variables, variables)
            else:
                operation.check_variables(variables)
        most, signed_in = self.documents.settings.max_cost, context.credentials.token is not None
        costed = CostedOperation.of(document, operation, variables, most, signed_in=signed_in, whole=whole)
        if budget is not None:
            try:
                is_query = operation is not None and operation.kind is OperationType.QUERY
                await budget.operation(costed.requested, is_query=is_query)
            except RateLimited as limited:
                raise rate_limited(limited) from None
        if context.sessions.replicas is not None and operation and operation.kind is OperationType.QUERY:
            await context.read_replicas()
        return costed


def end(turn: Turn, observed: ObservedOperation, context: Context, *, delivered: bool) -> None:
    """End an operation. An export goes with the result that was delivered, to be closed by its reader."""
    turn.end()
    observed.end()
    if not delivered:
        context.discard_export()


def is_long(variables: Mapping[str, Any]) -> bool:
    """Whether a variable, or a field of one, is a list of more than SHORT_LIST items."""
    for each in variables.values():
        for part in each.values() if isinstance(each, dict) else (each,):
            if isinstance(part, list) and len(part) > SHORT_LIST:
                return True
    return False


def refusal(cause: Exception) -> PreExecutionError:
    """The result of an operation that an exception kept from its execution."""
    error = cause if isinstance(cause, GraphQLError) else GraphQLError(str(cause), original_error=cause)
    return PreExecutionError(data=None, errors=[present(error)])


def rate_limited(limited: RateLimited) -> CallerError:
    charge = limited.charge
    return CallerError(
        str(limited),
        ErrorCode.RATE_LIMITED,
        setting=charge.setting,
        limit=charge.per_minute,
        asked=charge.amount,
        retryAfter=limited.wait_seconds,
    )


def overloaded(refused: Overloaded) -> CallerError:
    setting = {"setting": refused.setting} if refused.setting else {}
    return CallerError(str(refused), ErrorCode.OVERLOADED, **setting, retryAfter=refused.wait_seconds)
