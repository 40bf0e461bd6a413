"""One field of a compiled operation: how its value is completed where the generated code has no short way.

Each method follows the method of graphql-core's executor with the same task, so that results, errors and
their order are the same.
"""

from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from operator import attrgetter
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

from schema.execution.compiled.classes import Classes
from schema.execution.compiled.items import Completed, Items
from schema.execution.compiled.run import Path, Run, listed, resolve_info

complete_leaf = Executor.complete_leaf_value
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

    def rest(
        self, run: Run, values: list[Any], out: list[Any], stopped: Any, path: Path, waiting: list[str]
    ) -> Completed:
        """Complete a list whose first items are in `out`; see `Items.resume`."""
        type_: Any = self.type.of_type if is_non_null_type(self.type) else self.type
        completed = Items(self, run, type_.of_type, path, out).resume(values, stopped)
        if completed.__class__ is CoroutineType:
            return self.held(run, completed, path, waiting)
        return completed

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
