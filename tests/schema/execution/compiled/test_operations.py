"""graphql-core's own cases of whole operations: variables, serial mutations, siblings at the same time."""

import asyncio
from typing import Any

import pytest
from graphql import build_schema

from schema.execution.compiled.compiler import Compiler
from tests.schema.execution.compiled.both import by_compiled, same
from tests.schema.execution.compiled.faults import Slow

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


ARGUMENTS = build_schema("""
    enum Color { RED BLUE }
    input Point { x: Int! y: Int = 5 tags: [String!] }
    type Query {
        field(
            n: Int = 3, s: String, f: Float, id: ID, c: Color, p: Point, ps: [Point], must: Int! = 1
        ): String
    }
""")


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"n": 1, "s": "t", "f": 1, "id": 7, "c": "RED", "p": {"x": 1}, "ps": {"x": 2}, "must": 4},
        {"n": None, "p": None, "ps": [None, {"x": 1, "tags": "one"}]},
        {"n": "text"},
        {"c": "GREEN", "p": {}},
        {"must": None},
        {"p": {"x": 1, "z": 2}},
        {"n": 2**40, "f": "nan"},
    ],
)
async def test_variables_are_coerced(variables: dict[str, Any]) -> None:
    text = """query ($n: Int, $s: String = "d", $f: Float, $id: ID, $c: Color = BLUE,
            $p: Point, $ps: [Point], $must: Int = 9) {
        a: field(n: $n, s: $s, f: $f, id: $id, c: $c, p: $p, ps: $ps, must: $must)
        b: field c: field(p: {x: 1, y: $n}) }"""
    await same(ARGUMENTS, text, lambda: {"field": lambda _info, **given: repr(given)}, variables)


SERIAL = build_schema("""
    type Out { n: Int! a: Int! }
    type Query { a: Int } type Mutation { add(n: Int!): Out addNonNull(n: Int!): Out! }
""")


async def test_mutations_are_serial_and_run_once() -> None:
    text = """mutation { first: add(n: 1) { n a } second: add(n: 2) { n } third: add(n: 3) { n }
        fourth: add(n: 4) { n } fifth: add(n: 5) { n } }"""
    strict = text.replace("third: add", "third: addNonNull")
    order: list[tuple[str, int]] = []

    def root() -> Any:
        async def add(_info: Any, n: int) -> Any:
            order.append(("begins", n))
            await asyncio.sleep(0.001 * (5 - n))
            order.append(("ends", n))
            if n == 3:
                raise ValueError("three")
            return {"n": n, "a": Slow(n)}

        def add_some(info: Any, n: int) -> Any:
            if n == 4:
                order.extend([("begins", n), ("ends", n)])
                return {"n": None}
            return add(info, n)

        return {"add": add_some, "addNonNull": add_some}

    for mutation, ran in ((text, 5), (strict, 3)):
        order.clear()
        await by_compiled(Compiler(SERIAL, at_once=True), mutation, None, {}, root())
        assert order == [(what, n) for n in range(1, ran + 1) for what in ("begins", "ends")]
        await same(SERIAL, mutation, root)


async def test_siblings_are_concurrent() -> None:
    schema = build_schema("type Query { a: Int b: Int c: [Query] }")
    running, most = 0, 0

    async def wait(_info: Any) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return 1

    leaf = {"a": wait, "b": wait}
    await by_compiled(
        Compiler(schema, at_once=True), "{ a b c { a b } }", None, {}, {**leaf, "c": [leaf, leaf]}
    )
    assert most == 6, "all fields wait at the same time"
