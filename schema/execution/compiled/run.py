"""The state of one execution of a compiled operation: its variables, its errors and what resolvers see."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import cached_property
from typing import Any, Protocol

from graphql import FragmentDefinitionNode, GraphQLError, GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import VariableValues
from graphql.pyutils import Path as CorePath
from graphql.pyutils import gather_with_cancel
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry import Info
from strawberry.execution import optimized_is_awaitable as is_awaitable
from strawberry.schema.schema import _OperationContextAwareGraphQLResolveInfo as ResolveInfo

from schema.execution.compiled.shared import KeptAnswers

# The path of a value: (path of the parent, key, name of the parent's type or None); None for the root.
Path = tuple[Any, str | int, str | None]


class Resolved(Protocol):
    """The attributes of a field that a run reads."""

    name: str
    nodes: list[Any]
    definition: Any
    parent: Any
    strawberry: Any
    kept: Any


class Run:
    """One execution. It is made for each request, and not shared.

    `answers`: for kept JSON, which takes the place of values in the result; None for values only.
    """

    __slots__ = (
        "answers",
        "arguments",
        "context",
        "errors",
        "extensions",
        "fragments",
        "helpers_made",
        "nulled",
        "operation",
        "root",
        "schema",
        "unawaited",
        "variables",
    )

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: dict[str, FragmentDefinitionNode],
        variables: VariableValues,
        context: Any,
        root: Any = None,
        extensions: dict[str, Any] | None = None,
        answers: KeptAnswers | None = None,
    ) -> None:
        self.schema, self.operation, self.fragments = schema, operation, fragments
        self.variables, self.context, self.root, self.extensions = variables, context, root, extensions
        self.answers = answers
        self.errors: list[GraphQLError] = []
        self.nulled: set[Path | None] = set()  # where errors made a value null
        self.arguments: dict[Resolved, dict[str, Any]] = {}  # of fields whose arguments can be shared
        self.unawaited: set[asyncio.Future[Any]] = set()
        self.helpers_made: GraphQLResolveInfoHelpers | None = None

    def add(self, error: GraphQLError, path: Path | None) -> None:
        """Keep an error, unless an earlier one made its place null."""
        above = path
        while above is not None:
            if above in self.nulled:
                return
            above = above[0]
        if None in self.nulled:
            return
        self.nulled.add(path)
        self.errors.append(error)

    @property
    def helpers(self) -> GraphQLResolveInfoHelpers:
        if self.helpers_made is None:
            self.helpers_made = GraphQLResolveInfoHelpers(gather=together, track=self.track)
        return self.helpers_made

    def track(self, values: Sequence[Any]) -> None:
        self.settle(value for value in values if is_awaitable(value))

    def settle(self, values: Iterable[Any]) -> None:
        """Let the values of siblings end in the background after an error took their place."""
        awaitables = list(values)
        if awaitables:
            future = asyncio.gather(*awaitables, return_exceptions=True)
            self.unawaited.add(future)
            future.add_done_callback(self.unawaited.discard)


def together(values: Sequence[Awaitable[Any]]) -> Awaitable[list[Any]]:
    return gather_with_cancel(*values)


async def awaited_fields(out: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
    """The object with the values of these fields, which are awaited at the same time."""
    if len(waiting) == 1:
        out[waiting[0]] = await out[waiting[0]]
    else:
        values = await gather_with_cancel(*(out[key] for key in waiting))
        out.update(zip(waiting, values, strict=True))
    return out


async def awaited_items(out: list[Any], waiting: list[int]) -> list[Any]:
    """The list with the values at these places, which are awaited at the same time."""
    if len(waiting) == 1:
        out[waiting[0]] = await out[waiting[0]]
    else:
        values = await gather_with_cancel(*(out[place] for place in waiting))
        for place, value in zip(waiting, values, strict=True):
            out[place] = value
    return out


def listed(path: Path | None) -> list[str | int]:
    """The path in the form of a response."""
    keys: list[str | int] = []
    while path is not None:
        keys.append(path[1])
        path = path[0]
    return keys[::-1]


def core_path(path: Path) -> CorePath:
    """The path in the form that resolvers see."""
    above = None if path[0] is None else core_path(path[0])
    return CorePath(above, path[1], path[2])


def resolve_info(run: Run, field: Resolved, path: Path) -> Any:
    """Make the `info` that graphql-core gives to a resolver."""
    return ResolveInfo(
        field.name,
        field.nodes,
        field.definition.type,
        field.parent,
        core_path(path),
        run.schema,
        run.fragments,
        run.root,
        run.operation,
        run.variables.coerced,
        run.context,
        is_awaitable,
        None,
        run.helpers,
        run.extensions or {},
    )


class LazyInfo(Info[Any, Any]):
    """Strawberry's `info`, whose rarely used parts are made when they are read.

    `kept`: for what a resolver makes of the arguments, where they are the same in each request; else None.
    """

    def __init__(self, run: Run, field: Resolved, path: Path) -> None:
        self._run, self._of, self._path = run, field, path
        self._field = field.strawberry
        self.kept = field.kept

    @cached_property
    def _raw_info(self) -> Any:  # type: ignore[override] # made late
        return resolve_info(self._run, self._of, self._path)

    @property
    def context(self) -> Any:
        return self._run.context
