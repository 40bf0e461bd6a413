"""From a request to its results, one after another, whatever carries them."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError
from graphql.execution import (
    CompletedResult,
    InitialIncrementalExecutionResult,
    SubsequentIncrementalExecutionResult,
)
from strawberry import Schema
from strawberry.types.execution import ExecutionResult, PreExecutionError
from strawberry.types.graphql import OperationType

from app.web.admission import Overloaded, Turn
from app.web.budget import Budget
from app.web.meter import Steps
from app.web.rate_limits import RateLimited
from schema.core.errors import CallerError, ErrorCode, present
from schema.execution.context import Clock, Context
from schema.execution.documents import Document, Priced, Reader
from schema.execution.request import GraphQLRequest

Results = AsyncGenerator[Any]
ALL = tuple(OperationType)
AT_ONCE = 50  # cost of reading a document: a millisecond


@dataclass(frozen=True, slots=True)
class Executor:
    schema: Schema
    reader: Reader
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # whose document is read

    async def results(
        self,
        query: str,
        request: GraphQLRequest,
        context: Context,
        turn: Turn,
        allowed: Iterable[OperationType] = ALL,
    ) -> Results:
        """One result of a query or mutation, with its deferred parts behind it; of a subscription, many.

        Never raises: what goes wrong is the last result. A PreExecutionError is of a request not executed.
        The turn ends with the operation; a subscription, which mostly waits, gives it up once it stands.
        An export in the last result is its reader's to close.
        """
        delivered = False
        try:
            document = await self.read(query, context)
            if document.faults:
                errors = [present(fault) for fault in document.faults]
                yield PreExecutionError(data=None, errors=errors)
                return
            context.priced = await self.paid(document, request, context)
            results = await self.schema.stream(
                query,
                variable_values=request.variables,
                context_value=context,
                operation_name=request.operation_name,
                operation_extensions=request.extensions,
                allowed_operation_types=allowed,
            )
            if context.budget is not None:
                results = charged(results, context.budget)
            endless = document.is_subscription(request.operation_name)
            if endless:
                turn.end()
            seconds = self.reader.settings.execution_seconds
            deadline = None if endless else turn.deadline
            async with aclosing(in_time(results, deadline, seconds, context.clock)) as timed:
                async for result in timed:
                    delivered = context.spliced and isinstance(result, ExecutionResult) and bool(result.data)
                    yield result
        except Exception as cause:  # noqa: BLE001 - of what sees the request before it is executed
            raised = (
                cause if isinstance(cause, GraphQLError) else GraphQLError(str(cause), original_error=cause)
            )
            yield PreExecutionError(data=None, errors=[present(raised)])
        finally:
            turn.end()
            if not delivered:
                context.discard_export()

    async def read(self, query: str, context: Context) -> Document:
        """Raises GraphQLError for what is no document, is beyond the limits, or too much in this minute."""
        cost = self.reader.reading_cost(query)
        budget = context.budget
        if budget is None:
            return self.reader.read(query)
        try:
            await budget.reading(await context.payer(), cost)
        except RateLimited as limited:
            raise rate_limited(limited) from None
        try:
            if cost <= AT_ONCE:
                return budget.reader.run(self.reader.read, query)
            async with self.turn:
                await asyncio.sleep(0)  # others get answers between two documents that take long to read
                return budget.reader.run(self.reader.read, query)
        finally:
            await budget.settle()

    async def paid(self, document: Document, request: GraphQLRequest, context: Context) -> Priced:
        """The operation with its cost.

        Raises CallerError for values that are too long, and for a cost that is too high, at all or in this
        minute.
        """
        if request.operation_name is None and len(document.costs) > 1:
            raise CallerError("The document has several operations: name one as `operationName`.")
        variables = request.variables or {}
        document.check_variables(request.operation_name, variables)
        most, signed_in = self.reader.settings.max_cost, context.access_token is not None
        priced = Priced.of(document, request.operation_name, variables, most, signed_in=signed_in)
        if context.budget is not None:
            try:
                await context.budget.operation(await context.payer(), priced.requested)
            except RateLimited as limited:
                raise rate_limited(limited) from None
        return priced


def rate_limited(limited: RateLimited) -> CallerError:
    take = limited.take
    return CallerError(
        str(limited),
        ErrorCode.RATE_LIMITED,
        setting=take.setting,
        limit=take.per_minute,
        asked=take.amount,
        retryAfter=limited.wait_seconds,
    )


def overloaded(refused: Overloaded) -> CallerError:
    setting = {"setting": refused.setting} if refused.setting else {}
    return CallerError(str(refused), ErrorCode.OVERLOADED, **setting, retryAfter=refused.wait_seconds)


async def charged(results: Results, budget: Budget) -> Results:
    """The results, made on the account of the budget's meter, which is settled after each of them."""
    try:
        async with aclosing(results):
            while True:
                try:
                    result = await Steps(anext(results), budget.meter)
                except StopAsyncIteration:
                    return
                await budget.settle()
                yield result
    finally:
        await budget.close()


async def in_time(results: Results, deadline: float | None, seconds: float, clock: Clock) -> Results:
    """The results until the deadline; then work on them is cancelled, down to the database.

    `seconds` is the time that the operation had, with its wait for admission.
    """
    clock.deadline = deadline
    begun = False
    pending: set[str] = set()
    async with aclosing(results):
        while True:
            try:
                async with asyncio.timeout_at(clock.deadline) as clock.step:
                    result = await anext(results)
            except StopAsyncIteration:
                return
            except TimeoutError:
                yield stopped(seconds, pending if begun else None)
                return
            if isinstance(result, InitialIncrementalExecutionResult | SubsequentIncrementalExecutionResult):
                begun = True
                pending |= {part.id for part in result.pending or ()}
            if isinstance(result, SubsequentIncrementalExecutionResult):
                pending -= {part.id for part in result.completed or ()}
            yield result


def stopped(seconds: float, pending: set[str] | None) -> Any:
    """What is said of an operation that took too long, or of the parts of it that were still to come."""
    error = CallerError(
        f"The operation took longer than {seconds:g} seconds and was stopped.",
        ErrorCode.TIMEOUT,
        setting="EXECUTION_SECONDS",
    )
    if pending is None:
        return ExecutionResult(data=None, errors=[error])
    lost = [CompletedResult(id_, [error]) for id_ in sorted(pending)]
    return SubsequentIncrementalExecutionResult(has_next=False, completed=lost)
