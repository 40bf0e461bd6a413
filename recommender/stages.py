"""Time the stages of scoring for an observer, which the service sets; the offline commands set none."""

from collections.abc import Callable
from time import perf_counter
from types import TracebackType

FOLD_IN, SCAN, RERANK, PREDICT, EXPLAIN = "fold_in", "scan", "rerank", "predict", "explain"
STAGES = (FOLD_IN, SCAN, RERANK, PREDICT, EXPLAIN)

Observer = Callable[[str, float], None]  # a stage and its seconds

observers: list[Observer] = []


class stage:  # noqa: N801 - used as a context manager
    """Time the body of a `with` statement as a stage."""

    __slots__ = ("began", "name")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.began = perf_counter()

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        seconds = perf_counter() - self.began
        for observe in observers:
            observe(self.name, seconds)
