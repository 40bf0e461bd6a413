"""One field of a compiled operation: how its value is completed where the generated code has no short way.

Each method follows the method of graphql-core's executor with the same task, so that results, errors and
their order are the same.
"""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from contextlib import suppress
from operator import attrgetter
from time import perf_counter
from types import CoroutineType
from typing import Any

from graphql import (
    GraphQLAbstractType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.error import located_error
from graphql.execution.executor import Executor, default_type_resolver
from graphql.execution.executor import invalid_return_type_error as wrong_type
from graphql.pyutils import Undefined, is_iterable
from graphql.pyutils.is_awaitable import is_async_iterable
from strawberry.execution import optimized_is_awaitable as is_awaitable
from strawberry.types.field import StrawberryField

from schema.execution import pace
from schema.execution.compiled.classes import Classes
from schema.execution.compiled.run import Path, Run, awaited_items, listed, resolve_info

complete_leaf = Executor.complete_leaf_value
Completed = Any  # a value of JSON, or a coroutine that returns one
Select = Callable[[Run, Any, Path], Completed]  # a generated function: executes the selections on an object


class Field:
    """A response key of a selection set, with all its field nodes.

    `select`: the generated function of each object type that the field may return.
    `constant`: whether its value depends on its object only, and not on the request. `kept`: see LazyInfo.
    """

    __slots__ = (
        "constant",
        "definition",
        "details",
        "kept",
        "key",
        "name",
        "nodes",
        "parent",
        "select",
        "strawberry",
        "type",
    )

    def __init__(
        self, key: str, parent: GraphQLObjectType, definition: GraphQLField, details: list[Any]
    ) -> None:
        self.key, self.parent, self.definition, self.details = key, parent, definition, details
        self.nodes = [detail.node for detail in details]
        self.name: str = self.nodes[0].name.value
        self.type: GraphQLOutputType = definition.type
        self.select: dict[str, tuple[Select, Classes]] = {}
        self.strawberry: StrawberryField | None = None
        self.kept: dict[Any, Any] | None = None
        self.constant = False

    def path(self, above: Path | None) -> Path:
        return above, self.key, self.parent.name

    def value(self, run: Run, value: Any, above: Path | None, waiting: list[str]) -> Completed:
        """Complete what the resolver returned; a value to await is added to `waiting`."""
        path = self.path(above)
        if is_awaitable(value):
            waiting.append(self.key)
            return self.awaited(run, self.type, value, path)
        completed = self.complete(run, self.type, value, path)
        if completed.__class__ is CoroutineType:
            return self.held(run, completed, path, waiting)
        return completed

    def held(self, run: Run, completed: Completed, path: Path, waiting: list[str]) -> Completed:
        waiting.append(self.key)
        return self.guarded(run, self.type, completed, path)

    async def awaited(self, run: Run, type_: Any, value: Any, path: Path) -> Any:
        """Complete an awaitable that a resolver returned, or that is an item of a list."""
        try:
            completed = self.complete(run, type_, await value, path)
            return await completed if completed.__class__ is CoroutineType else completed
        except Exception as error:  # noqa: BLE001 - resolvers raise any
            return self.failed(run, type_, error, path)

    async def guarded(self, run: Run, type_: Any, completed: Any, path: Path) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001 - as above
            return self.failed(run, type_, error, path)

    def failed_at(self, run: Run, error: Exception, above: Path | None) -> Completed:
        return self.failed(run, self.type, error, self.path(above))

    def failed(self, run: Run, type_: Any, raised: Exception, path: Path) -> Completed:
        """Null, and keep the error. Raises it, located, where the type is not nullable."""
        error = located_error(raised, self.nodes, listed(path))
        if is_non_null_type(type_):
            raise error
        run.add(error, path)
        return None

    def complete(self, run: Run, type_: Any, value: Any, path: Path) -> Completed:
        if isinstance(value, Exception):
            raise value
        if is_non_null_type(type_):
            completed = self.complete(run, type_.of_type, value, path)
            if completed is None:
                message = f"Cannot return null for non-nullable field {self.parent}.{self.name}."
                raise TypeError(message)
            return completed
        if value is None or value is Undefined:
            return None
        if is_list_type(type_):
            return self.list_of(run, type_.of_type, value, path)
        if is_leaf_type(type_):
            return complete_leaf(type_, value)
        if is_abstract_type(type_):
            return self.abstract(run, type_, value, path)
        return self.object(run, type_, value, path)

    def list_of(self, run: Run, item_type: Any, values: Any, path: Path) -> Completed:
        if is_async_iterable(values):
            return self.async_items(run, item_type, values, path)
        if not is_iterable(values):
            message = f"Expected Iterable, but did not find one for field '{self.parent}.{self.name}'."
            raise GraphQLError(message)
        return Items(self, run, item_type, path).complete(values)

    async def async_items(self, run: Run, item_type: Any, values: AsyncIterable[Any], path: Path) -> Any:
        items = Items(self, run, item_type, path)
        iterator = values.__aiter__()
        try:
            while True:
                try:
                    item = await anext(iterator)
                except StopAsyncIteration:
                    break
                except Exception as error:
                    raise located_error(error, self.nodes, listed(path)) from error
                items.add(item)
        except Exception:
            with suppress(Exception):
                await iterator.aclose()  # type: ignore[attr-defined] # not of each iterator
            run.settle(items.out[place] for place in items.waiting)
            raise
        ended = items.end()
        return await ended if ended.__class__ is CoroutineType else ended

    def abstract(self, run: Run, type_: GraphQLAbstractType, value: Any, path: Path) -> Completed:
        name = (type_.resolve_type or default_type_resolver)(value, resolve_info(run, self, path), type_)
        if is_awaitable(name):
            return self.of_awaited_type(run, type_, name, value, path)
        return self.object(run, self.runtime_type(run, type_, name, value), value, path)

    async def of_awaited_type(self, run: Run, type_: GraphQLAbstractType, name: Any, *of: Any) -> Any:
        value, path = of
        completed = self.object(run, self.runtime_type(run, type_, await name, value), value, path)
        return await completed if completed.__class__ is CoroutineType else completed

    def runtime_type(self, run: Run, type_: GraphQLAbstractType, name: Any, value: Any) -> GraphQLObjectType:
        executor: Any = ErrorsOnly(run)
        info: Any = self  # only its parent and its name are read
        return Executor.ensure_valid_runtime_type(executor, name, type_, self.details, info, value)

    parent_type = property(attrgetter("parent"))  # as the check of a runtime type reads them
    field_name = property(attrgetter("name"))

    def object(self, run: Run, type_: GraphQLObjectType, value: Any, path: Path) -> Completed:
        select, classes = self.select[type_.name]
        if type_.is_type_of:
            fits = type_.is_type_of(value, resolve_info(run, self, path))
            if is_awaitable(fits):
                return self.if_fits(run, type_, fits, value, path)
            if not fits:
                raise wrong_type(type_, value, self.details)
        classes.learn(value)
        return select(run, value, path)

    async def if_fits(self, run: Run, type_: GraphQLObjectType, fits: Any, value: Any, path: Path) -> Any:
        if not await fits:
            raise wrong_type(type_, value, self.details)
        completed = self.select[type_.name][0](run, value, path)
        return await completed if completed.__class__ is CoroutineType else completed


class ErrorsOnly:
    """The attributes of an executor that graphql-core's check of a runtime type reads."""

    def __init__(self, run: Run) -> None:
        self.schema = run.schema


class Items:
    """A list under completion."""

    __slots__ = ("classes", "field", "item_type", "out", "path", "run", "select", "waiting")

    def __init__(self, field: Field, run: Run, item_type: Any, path: Path) -> None:
        self.field, self.run, self.item_type, self.path = field, run, item_type, path
        self.out: list[Any] = []
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
        fits = () if self.classes is None or self.classes.may_be_cast else self.classes.known
        run, path, out, select = self.run, self.path, self.out, self.select
        try:
            for item in iterator:
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
                    return self.in_pieces(iterator)
        except Exception:
            self.abandon(iterator)
            raise
        return self.end()

    async def in_pieces(self, iterator: Iterator[Any]) -> Any:
        """Complete the rest, with a turn of the event loop after each PIECE_SECONDS of work."""
        try:
            await asyncio.sleep(0)
            until = perf_counter() + pace.PIECE_SECONDS
            for item in iterator:
                self.add(item)
                if perf_counter() > until:
                    await asyncio.sleep(0)
                    until = perf_counter() + pace.PIECE_SECONDS
        except Exception:
            self.abandon(iterator)
            raise
        ended = self.end()
        return await ended if ended.__class__ is CoroutineType else ended

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
