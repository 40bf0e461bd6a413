"""Operations are compiled when they are asked for again, once for each form; some are not covered."""

import asyncio

import pytest
from graphql import parse

from app.telemetry import metrics
from schema import schema
from schema.execution.compiled.compiler import Compiler, explained
from schema.execution.compiled.operation import Compiled
from schema.execution.compiled.prepared import Prepared

pytestmark = pytest.mark.anyio
CORE = schema._schema
SWITCHED = "query ($x: Boolean!) { genres { name @include(if: $x) id } }"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def asked(compiler: Compiler, prepared: Prepared, *, x: bool) -> Compiled | None:
    variables = compiler.variables(prepared, {"x": x})
    assert not isinstance(variables, list)
    return compiler.form(SWITCHED, None, prepared, variables, whole=False)


async def test_an_operation_is_compiled_at_its_second_use() -> None:
    compiler, prepared = Compiler(CORE), Prepared(parse(SWITCHED), None)
    new = metrics.executions.labels("graphql-core", "new")
    before = new._value.get()
    assert asked(compiler, prepared, x=True) is None
    assert not compiler.compiling
    assert asked(compiler, prepared, x=True) is None
    assert new._value.get() == before + 2
    while compiler.compiling:  # noqa: ASYNC110 - the thread sets no event
        await asyncio.sleep(0.001)
    form = asked(compiler, prepared, x=True)
    assert form is not None
    assert "Genre.name" in form.source
    assert asked(compiler, prepared, x=True) is form, "it is compiled once"


def test_each_value_of_a_switch_has_its_form() -> None:
    compiler, prepared = Compiler(CORE, at_once=True), Prepared(parse(SWITCHED), None)
    with_name, without = asked(compiler, prepared, x=True), asked(compiler, prepared, x=False)
    assert with_name is not None
    assert without is not None
    assert "Genre.name" in with_name.source
    assert "Genre.name" not in without.source


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{ __schema { queryType { name } } }", "introspection"),
        ("{ genres { ... @defer { name } } }", "directive"),
        ("subscription { modelActivated { version } }", "subscription"),
    ],
)
def test_what_is_not_covered_is_executed_by_core(text: str, reason: str) -> None:
    assert explained(CORE, parse(text), None, []) == f"graphql-core executes it: {reason}."


def test_the_least_used_forms_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schema.execution.compiled.compiler.KEPT_CHARACTERS", 2_600)
    compiler, prepared = Compiler(CORE, at_once=True), Prepared(parse(SWITCHED), None)
    asked(compiler, prepared, x=True)
    asked(compiler, prepared, x=False)
    assert len(compiler.kept) == 1
    assert compiler.kept_characters <= 2_600
