"""Faults in the objects that resolvers return: errors, nulls, values of a wrong type, and slow values."""

import asyncio
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter

MARKS = ("id", "cursor", "name", "rank", "title", "text", "stars", "key")


class Fault(Exception):
    pass


class Slow:
    """A value after some turns of the event loop. An error may leave it behind, unlike a coroutine."""

    def __init__(self, value: Any, turns: int = 2) -> None:
        self.value, self.turns = value, turns

    def __await__(self) -> Generator[Any, None, Any]:
        for _ in range(self.turns):
            yield from asyncio.sleep(0).__await__()
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


async def slow_items(items: list[Any]) -> Any:
    for item in items:
        await asyncio.sleep(0)
        yield item


@contextmanager
def faults(schema: GraphQLSchema, seed: int, rate: float) -> Iterator[None]:
    """Let attributes fail, the same ones in each execution under this seed."""
    replaced = []
    for cls, names in classes(schema).items():
        replaced.append((cls, cls.__dict__.get("__getattribute__")))
        setattr(cls, "__getattribute__", faulty(names, seed, rate, cls))  # noqa: B010 - mypy refuses an assignment
    yield
    for cls, before in replaced:
        if before is None:
            del cls.__getattribute__
        else:
            setattr(cls, "__getattribute__", before)  # noqa: B010 - as above


def classes(schema: GraphQLSchema) -> dict[type, set[str]]:
    """The classes of objects, and their attributes that are fields without a resolver."""
    found: dict[type, set[str]] = {}
    for type_ in schema.type_map.values():
        definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        if isinstance(type_, GraphQLObjectType) and definition is not None:
            fields = [field for field in definition.fields if field.is_basic_field]
            found.setdefault(definition.origin, set()).update(field.python_name for field in fields)
    return found


def faulty(names: set[str], seed: int, rate: float, cls: type) -> Any:
    plain: Any = cls.__getattribute__

    def read(self: Any, name: str) -> Any:
        value = plain(self, name)
        if name not in names:
            return value
        values = plain(self, "__dict__")
        mark = next((str(values[key]) for key in MARKS if key in values), "")
        random = Random(f"{seed} {cls.__name__} {name} {mark}")  # noqa: S311 - of a test
        return value if random.random() > rate else spoiled(value, random)

    return read


def spoiled(value: Any, random: Random) -> Any:  # noqa: PLR0911 - one for each kind
    kind = random.randint(0, 8)
    if kind == 0:
        raise Fault("raised")
    if kind == 1:
        return Fault("returned")
    if kind == 2:
        return None
    if kind == 3:
        return random.choice([object, [1], {}, "text", 1.5, float("nan"), 2**40, True])
    if kind == 4:
        return Slow(Fault("late"), random.randint(0, 4))
    if isinstance(value, list) and value:
        if kind == 5:
            spots = [random.random() for _ in value]
            return [
                Slow(item, int(spot * 20)) if spot < 0.3 else item
                for item, spot in zip(value, spots, strict=True)
            ]
        if kind == 6:
            return [random.choice([item, item, item, None, Fault("item")]) for item in value]
        if kind == 7:
            return slow_items(value)
    return Slow(value, random.randint(0, 4))
