"""graphql-core's own cases of execution, against small schemas: both executors give the same answer."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from graphql import GraphQLObjectType, build_schema

from tests.schema.execution.compiled.both import same
from tests.schema.execution.compiled.faults import Slow

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def raising(message: str) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError(message)

    return fail


def late(value: Any, turns: int = 2) -> Callable[..., Any]:
    """A resolver that is a coroutine function."""

    async def resolve(*_: Any, **__: Any) -> Any:
        return await Slow(value, turns)

    return resolve


async def many(*values: Any) -> AsyncGenerator[Any]:
    for value in values:
        await asyncio.sleep(0)
        if isinstance(value, Exception):
            raise value
        yield value


NULLS = build_schema("""
    type Data {
        a: String b: String! inner: Data innerNonNull: Data! list: [Data] strict: [Data!]! n: [[Int!]]!
    }
    type Query {
        a: String b: String! inner: Data innerNonNull: Data! list: [Data] strict: [Data!]! n: [[Int!]]!
    }
""")
VALUES: dict[str, Any] = {
    "a value": "text",
    "null": None,
    "an error": raising("raised"),
    "an error that is returned": ValueError("returned"),
    "a late value": late("text"),
    "a late null": late(None),
    "a late error": late(ValueError("late"), 1),
    "a value that is no text": object,
    "a list in place of text": [1],
}


@pytest.mark.parametrize("a", VALUES)
@pytest.mark.parametrize("b", VALUES)
async def test_nulls_propagate(a: str, b: str) -> None:
    def data(depth: int = 2) -> dict[str, Any]:
        leaf = {"a": VALUES[a], "b": VALUES[b], "n": [[1, 2], None, [3, None]]}
        if not depth:
            return leaf
        below = data(depth - 1)
        good: dict[str, Any] = {
            "a": "1",
            "b": "2",
            "inner": None,
            "innerNonNull": leaf,
            "list": [],
            "strict": [],
        }
        lists = {"list": [below, None, good], "strict": [good, below]}
        return {**good, "inner": below, "innerNonNull": below, **lists}

    for text in (
        "{ a inner { a b } list { b inner { b } } }",
        "{ a innerNonNull { b a } inner { b } }",
        "{ inner { a innerNonNull { b a } } x: inner { strict { b a } } list { a strict { b } } }",
        "{ list { strict { a innerNonNull { b } } list { b } } inner { inner { b n } } }",
    ):
        await same(NULLS, text, data)


LISTS = build_schema("""
    type Item { name: String! late: String }
    type Query { plain: [Int] strict: [Int!]! nested: [[Int]!] items: [Item] strictItems: [Item!]! }
""")
LISTED: dict[str, Callable[[], Any]] = {
    "values": lambda: [1, 2],
    "a null among them": lambda: [1, None, 2],
    "a tuple": lambda: (1, 2),
    "a generator": lambda: (each for each in (1, 2)),
    "a set": lambda: {1},
    "an async generator": lambda: many(1, 2),
    "an async generator that fails": lambda: many(1, ValueError("half")),
    "late values": lambda: [Slow(1), 2, Slow(3, 5)],
    "late errors": lambda: [Slow(ValueError("first"), 4), Slow(ValueError("second"), 1), 3],
    "an error among them": lambda: [1, ValueError("bad"), 2],
    "a late list": lambda: Slow([1, 2]),
    "no list": lambda: 7,
    "text": lambda: "text",
    "nothing": lambda: None,
    "values of another type": lambda: [1, "x", 2.5, 2**40],
    "many values": lambda: list(range(40)),
}


@pytest.mark.parametrize("listed", LISTED)
async def test_lists(listed: str) -> None:
    make = LISTED[listed]
    for name in ("plain", "strict"):
        await same(LISTS, f"{{ {name} other: {name} }}", lambda: Root(make))
    await same(LISTS, "{ nested }", lambda: {"nested": [make(), [None]]})


class Root:
    """Each read of an attribute makes a new value."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self.make()


async def test_lists_of_objects() -> None:
    def items() -> list[Any]:
        good = {"name": "a", "late": Slow("x", 3)}
        return [
            good,
            None,
            {"name": None},
            {"name": Slow("b")},
            ValueError("c"),
            Slow({"name": "d"}),
            {"name": Slow(None)},
        ]

    def only_good() -> list[Any]:
        return [{"name": str(place), "late": Slow("x", place % 3)} for place in range(30)]

    for make in (items, only_good):
        await same(LISTS, "{ items { name late } }", lambda: {"items": make()})  # noqa: B023 - used at once
        await same(LISTS, "{ items { name } strictItems { late name } }", lambda: Root(make))  # noqa: B023


STOPS: dict[str, Callable[[], Any]] = {
    "null": lambda: None,
    "an error": lambda: ValueError("bad"),
    "a late item": lambda: Slow({"name": "late"}),
    "a late field": lambda: {"name": "b", "late": Slow("y")},
    "a field that fails": lambda: {"name": ValueError("worse")},
    "a null field": lambda: {"name": None},
    "another class": lambda: SimpleNamespace(name="c", late=None),
}


@pytest.mark.parametrize("stop", STOPS)
async def test_a_short_list_goes_on_after_an_item_that_stops_it(stop: str) -> None:
    def items() -> list[Any]:
        first: list[Any] = [{"name": "a", "late": "x"}, {"name": "b", "late": None}]
        return [*first, STOPS[stop](), {"name": "c", "late": Slow("z")}, None, {"name": "d", "late": "w"}]

    for make in (items, lambda: items()[:3], lambda: items()[2:4]):
        await same(LISTS, "{ items { name late } strictItems { late name } }", lambda: Root(make))  # noqa: B023 - used at once


PETS = build_schema("""
    interface Pet { name: String friend: Pet }
    type Dog implements Pet { name: String barks: Boolean friend: Pet }
    type Cat implements Pet { name: String meows: Boolean friend: Pet }
    type Ghost { name: String }
    union DogOrCat = Dog | Cat
    type Query { pets: [Pet] either: [DogOrCat!] one: Pet! }
""")
PET = "__typename ... on Dog { barks name } ...C ... on Pet { name friend { name ...C __typename } }"
PET_QUERY = (
    f"{{ pets {{ {PET} }} either {{ {PET} }} one {{ ...C name }} }} fragment C on Cat {{ meows n: name }}"
)


def pets(*kinds: Any) -> dict[str, Any]:
    friend = {"__typename": "Cat", "name": "f", "meows": True}
    made = [
        {"__typename": kind, "name": f"{kind}", "barks": True, "meows": False, "friend": friend}
        for kind in kinds
    ]
    return {"pets": made, "either": made, "one": made[0]}


@pytest.mark.parametrize(
    "kinds", [("Dog", "Cat"), ("Ghost", "Dog"), ("Nothing", "Dog"), ("Cat", None), ("Cat", "Pet"), (7, "Dog")]
)
async def test_abstract_types(kinds: tuple[Any, ...]) -> None:
    await same(PETS, PET_QUERY, lambda: pets(*kinds))


@pytest.mark.parametrize("is_late", [False, True])
async def test_abstract_types_by_is_type_of(*, is_late: bool) -> None:
    schema = build_schema(
        "interface Pet { name: String } type Dog implements Pet { name: String } "
        "type Cat implements Pet { name: String } type Query { pets: [Pet] dog: Dog }"
    )
    for name in ("Dog", "Cat"):
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)

        def is_type_of(value: Any, _info: Any, name: str = name) -> Any:
            if value["kind"] == "error":
                raise ValueError("which?")
            return Slow(value["kind"] == name) if is_late else value["kind"] == name

        type_.is_type_of = is_type_of
    for kinds in (("Dog", "Cat"), ("Cat", "Ghost"), ("error", "Dog")):
        made = [{"kind": kind, "name": kind} for kind in kinds]
        await same(
            schema,
            "{ pets { name __typename } dog { name } }",
            partial(dict, pets=made, dog=made[0]),
        )


async def test_fields_merge() -> None:
    text = """query ($yes: Boolean!, $no: Boolean = false) {
        inner { a } inner @include(if: $yes) { b ...F } x: inner @skip(if: $yes) { a }
        ... @include(if: $no) { list { a } } ... on Query @skip(if: $no) { inner { inner { a } } }
        ...F @skip(if: $yes) b @include(if: $yes) b @skip(if: $yes) }
        fragment F on Data { inner { b } b } """
    text = text.replace("...F @skip", "... on Query @skip(if: $yes) { a } ... @skip")
    text = text.replace("... @skip(if: $yes) b @include", "b @include")

    def data() -> Any:
        return {
            "a": "a",
            "b": None,
            "inner": {"a": None, "b": "b", "inner": {"a": Slow("a"), "b": None}},
            "list": [{}],
        }

    for yes in (True, False):
        for no in ({}, {"no": True}, {"no": False}):
            await same(NULLS, text, data, {"yes": yes, **no})
