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
