"""Count the operations and errors of the API, with labels from bounded sets.

The name of an operation is chosen by its client. It becomes a label only if its document is trusted or was
found in the cache, and only for the first names of a process.
"""

from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError
from graphql.execution import SubsequentIncrementalExecutionResult

from app.telemetry import metrics
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


def count_errors(errors: Iterable[GraphQLError]) -> None:
    """Count errors by code, and by the setting whose limit caused them."""
    for error in errors:
        extensions = error.extensions or {}
        metrics.errors.labels(extensions.get("code", ErrorCode.BAD_USER_INPUT.name)).inc()
        if (setting := extensions.get("setting")) is not None:
            metrics.limits_hit.labels(setting).inc()


def count_result(result: Any) -> None:
    """Count the errors of a result, and of the deferred parts in it."""
    if isinstance(result, SubsequentIncrementalExecutionResult):
        for part in (*(result.incremental or ()), *(result.completed or ())):
            if part.errors:
                count_errors(part.errors)
    elif result.errors:
        count_errors(result.errors)
