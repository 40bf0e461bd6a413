"""Take the first step of a coroutine at once, to see whether it waits at all.

What does not wait needs no time limit and no task that watches its client.
"""

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Begun(Generic[Result]):
    """A coroutine after its first step. `ended`: whether `value` is its result.

    It must be awaited at once, in the same task, if it has not ended.
    """

    __slots__ = ("coroutine", "ended", "value", "waits_for")

    value: Result

    def __init__(self, coroutine: Coroutine[Any, Any, Result]) -> None:
        """Raises what the first step raises."""
        self.coroutine = coroutine
        self.ended = False
        try:
            self.waits_for = coroutine.send(None)
        except StopIteration as returned:
            self.ended, self.value = True, returned.value

    def __await__(self) -> Generator[Any, Any, Result]:
        step: Callable[[], Any]
        waits_for = self.waits_for
        while True:
            try:
                step = partial(self.coroutine.send, (yield waits_for))
            except GeneratorExit:
                self.coroutine.close()
                raise
            except BaseException as raised:  # noqa: BLE001 - a cancellation, too, is for the coroutine
                step = partial(self.coroutine.throw, raised)
            try:
                waits_for = step()
            except StopIteration as returned:
                result: Result = returned.value
                return result
