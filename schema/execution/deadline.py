"""Charge the work on a stream of results, and stop it at its deadline."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from graphql.execution import (
    CompletedResult,
    InitialIncrementalExecutionResult,
    SubsequentIncrementalExecutionResult,
)
from strawberry.types.execution import ExecutionResult

from app.web.budget import Budget
from app.web.meter import MeteredCoroutine
from schema.core.errors import CallerError, ErrorCode
from schema.execution.context import Clock

Results = AsyncGenerator[Any]


async def charged(results: Results, budget: Budget) -> Results:
    """Meter the work on each result, and settle the budget after it."""
    try:
        async with aclosing(results):
            while True:
                try:
                    result = await MeteredCoroutine(anext(results), budget.meter)
                except StopAsyncIteration:
                    return
                yield result
                await budget.settle()
    finally:
        await budget.close()


async def in_time(results: Results, deadline: float | None, seconds: float, clock: Clock) -> Results:
    """Pass the results on until the deadline, then cancel the work on them, down to the database.

    `seconds`: the operation's time limit, which includes its wait for admission.
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
    """The last result of an operation that took too long: an error for it, or for each `pending` part."""
    if pending is None:
        return timed_out(seconds)
    lost = [CompletedResult(id_, [too_long(seconds)]) for id_ in sorted(pending)]
    return SubsequentIncrementalExecutionResult(has_next=False, completed=lost)


def timed_out(seconds: float) -> ExecutionResult:
    return ExecutionResult(data=None, errors=[too_long(seconds)])


def too_long(seconds: float) -> CallerError:
    return CallerError(
        f"The operation took longer than {seconds:g} seconds and was stopped.",
        ErrorCode.TIMEOUT,
        setting="EXECUTION_SECONDS",
    )
