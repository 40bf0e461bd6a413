"""A list of a compiled operation: how its items are completed where the generated code has no short way."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from time import perf_counter
from types import CoroutineType
from typing import Any, Protocol

from graphql import GraphQLObjectType, is_non_null_type
from strawberry.execution import optimized_is_awaitable as is_awaitable

from schema.execution import pace
from schema.execution.compiled.run import Path, Run, awaited_items

Completed = Any  # a value of JSON, or a coroutine that returns one


class ListField(Protocol):
    """The field of a list, as far as its items need it."""

    select: Any

    def complete(self, run: Run, type_: Any, value: Any, path: Path) -> Completed:
        """See `Field`, as for the others."""

    async def awaited(self, run: Run, type_: Any, value: Any, path: Path) -> Any: ...

    async def guarded(self, run: Run, type_: Any, completed: Any, path: Path) -> Any: ...

    def failed(self, run: Run, type_: Any, raised: Exception, path: Path) -> Completed: ...


class Items:
    """A list under completion."""

    __slots__ = ("classes", "field", "item_type", "out", "path", "run", "select", "waiting")

    def __init__(
        self, field: ListField, run: Run, item_type: Any, path: Path, out: list[Any] | None = None
    ) -> None:
        """`out`: the items that are completed already."""
        self.field, self.run, self.item_type, self.path = field, run, item_type, path
        self.out = [] if out is None else out
        self.waiting: list[int] = []
        inner = item_type.of_type if is_non_null_type(item_type) else item_type
        found: tuple[Any, Any] = field.select.get(getattr(inner, "name", ""), (None, None))
        self.select, self.classes = found
        if not isinstance(inner, GraphQLObjectType):  # an abstract type, or an inner list
            self.select = self.classes = None

    def complete(self, values: Iterable[Any]) -> Completed:
        """The completed list; a coroutine where an item waits, or where a long list takes its time."""
        iterator = iter(values)
        until = perf_counter() + pace.PIECE_SECONDS if pace.is_long(values) else None
        try:
            ended = self.add_all(iterator, until)
        except Exception:
            self.abandon(iterator)
            raise
        return self.end() if ended else self.in_pieces(iterator)

    def add_all(self, items: Iterator[Any], until: float | None) -> bool:
        """Complete items until this time. Returns whether none is left."""
        fits = () if self.classes is None or self.classes.may_be_cast else self.classes.known
        run, path, out, select = self.run, self.path, self.out, self.select
        for item in items:
            if item.__class__ in fits:  # the short way of `add`
                try:
                    completed = select(run, item, (path, len(out), None))
                except Exception as error:  # noqa: BLE001 - resolvers raise any
                    completed = self.field.failed(run, self.item_type, error, (path, len(out), None))
                if completed.__class__ is CoroutineType:
                    self.wait_for(completed)
                else:
                    out.append(completed)
            else:
                self.add(item)
            if until is not None and perf_counter() > until:
                return False
        return True

    def resume(self, values: list[Any], stopped: Any) -> Completed:
        """Complete the rest of a list whose first items are in `out`.

        `stopped`: the coroutine or the exception of the next item; None if that is not begun.
        """
        rest = iter(values[len(self.out) + (stopped is not None) :])
        try:
            if isinstance(stopped, Exception):
                path = (self.path, len(self.out), None)
                self.out.append(self.field.failed(self.run, self.item_type, stopped, path))
            elif stopped is not None:
                self.wait_for(stopped)
            self.add_all(rest, None)
        except Exception:
            self.abandon(rest)
            raise
        return self.end()

    async def in_pieces(self, rest: Iterator[Any]) -> Any:
        """Complete the rest, with a turn of the event loop after each PIECE_SECONDS of work."""
        try:
            ended = False
            while not ended:
                await asyncio.sleep(0)
                ended = self.add_all(rest, perf_counter() + pace.PIECE_SECONDS)
        except Exception:
            self.abandon(rest)
            raise
        completed = self.end()
        return await completed if completed.__class__ is CoroutineType else completed

    def add(self, item: Any) -> None:
        field, run, type_, out = self.field, self.run, self.item_type, self.out
        path = (self.path, len(out), None)
        try:
            if self.classes is not None and self.classes.fit(item):
                completed = self.select(run, item, path)
            elif is_awaitable(item):
                self.waiting.append(len(out))
                out.append(field.awaited(run, type_, item, path))
                return
            else:
                completed = field.complete(run, type_, item, path)
        except Exception as error:  # noqa: BLE001 - resolvers raise any
            completed = field.failed(run, type_, error, path)
        if completed.__class__ is CoroutineType:
            self.wait_for(completed)
        else:
            out.append(completed)

    def wait_for(self, completed: Completed) -> None:
        place = len(self.out)
        self.waiting.append(place)
        path = (self.path, place, None)
        self.out.append(self.field.guarded(self.run, self.item_type, completed, path))

    def end(self) -> Completed:
        return awaited_items(self.out, self.waiting) if self.waiting else self.out

    def abandon(self, rest: Iterator[Any]) -> None:
        """Let the items end that are awaited, and those left, after an error took the list's place."""
        left = [self.out[place] for place in self.waiting]
        with suppress(Exception):
            left.extend(item for item in rest if is_awaitable(item))
        self.run.settle(left)
