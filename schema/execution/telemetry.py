"""Count the operations and errors of the API, with labels from bounded sets.

The name of an operation is chosen by its client. It becomes a label only if its document is trusted or was
found in the cache, and only for the first names of a process.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError
from graphql.execution import SubsequentIncrementalExecutionResult
from strawberry.types.graphql import OperationType

from app.telemetry import metrics, tracing
from app.telemetry.tracing import OperationSpan
from schema.core.errors import ErrorCode

OTHER, ANONYMOUS = "other", "anonymous"
MAX_NAMES = 200  # each takes a histogram, about 2 kB of a scrape
MAX_NAME_LENGTH = 64

for code in ErrorCode:  # present from the start: a rate needs a sample from before its rise
    metrics.errors.labels(code.name)


class OperationNames:
    """The names of operations that are labels of metrics, at most MAX_NAMES."""

    def __init__(self) -> None:
        self.names: set[str] = {OTHER}

    def label(self, name: str | None) -> str:
        """The label of an operation, admitted if there is room."""
        label = ANONYMOUS if name is None else name[:MAX_NAME_LENGTH]
        if label not in self.names:
            if len(self.names) >= MAX_NAMES:
                return OTHER
            self.names.add(label)
        return label


class ObservedOperation:
    """One operation in metrics and traces, from its begin to its last result.

    `arrived`: time of the event loop's clock.
    """

    __slots__ = ("arrived", "endless", "kind", "label", "span")

    def __init__(self, kind: OperationType | None, label: str, arrived: float) -> None:
        self.kind, self.label, self.arrived = kind, label, arrived
        self.endless = kind is OperationType.SUBSCRIPTION
        self.span: OperationSpan | None = None
        if tracing.active:
            self.span = OperationSpan.of("unknown" if kind is None else kind.value, label)
        if self.endless:
            metrics.subscriptions.inc()

    def count(self, result: Any) -> None:
        """Count the errors of a result."""
        codes = count_result(result)
        if self.span is not None:
            self.span.codes |= codes

    def resume(self) -> None:
        """Continue after a result, in a task that may be another one."""
        if self.span is not None:
            self.span.enter()

    def end(self) -> None:
        if self.span is not None:
            self.span.end()
        if self.endless:
            metrics.subscriptions.dec()
        elif self.kind is not None:
            seconds = asyncio.get_running_loop().time() - self.arrived
            metrics.operation_timer(self.label, self.kind.value).observe(seconds)


def count_errors(errors: Iterable[GraphQLError]) -> set[str]:
    """Count errors by code, and by the setting whose limit caused them. Returns the codes."""
    codes = set()
    for error in errors:
        extensions = error.extensions or {}
        code = extensions.get("code", ErrorCode.BAD_USER_INPUT.name)
        codes.add(code)
        metrics.errors.labels(code).inc()
        if (setting := extensions.get("setting")) is not None:
            metrics.limits_hit.labels(setting).inc()
    return codes


def count_result(result: Any) -> set[str]:
    """Count the errors of a result, and of the deferred parts in it. Returns their codes."""
    if isinstance(result, SubsequentIncrementalExecutionResult):
        parts = (*(result.incremental or ()), *(result.completed or ()))
        return count_errors(error for part in parts for error in part.errors or ())
    return count_errors(result.errors) if result.errors else set()
