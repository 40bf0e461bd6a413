"""Random operations and variables cause no internal errors.

FUZZ_EXAMPLES is the total number of operations; `make bench-fuzz` sends 5,000.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import schemathesis
from graphql import GraphQLInputObjectType, OperationDefinitionNode, introspection_from_schema, parse
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from schema import schema
from tests.conftest import cloned
from tests.schema.conftest import OPERATIONS
from tests.schema.http.conftest import Member, sign_up
from tests.services import running

pytestmark = pytest.mark.long

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
# Codes of invalid requests.
EXPECTED = {"BAD_USER_INPUT", "UNAUTHENTICATED", "FORBIDDEN", "QUERY_TOO_COMPLEX"}
UNLIMITED = dict.fromkeys(("REQUESTS_PER_MINUTE", "OPERATIONS_PER_MINUTE", "COST_PER_MINUTE"), "0")
# Field names of inputs.
NAMES = sorted(
    {
        name
        for kind in schema._schema.type_map.values()
        if isinstance(kind, GraphQLInputObjectType)
        for name in kind.fields
    }
)
NUMBERS = st.integers() | st.integers(-5, 120) | st.floats(allow_nan=False, allow_infinity=False)
IDS = st.builds(
    lambda kind, key: b64encode(f"{kind}:{key}".encode()).decode(),
    st.sampled_from(["Movie", "Genre", "Person", "User", "Shelf", "Session", "Rating", "Movie"]),
    st.integers(-2, 200) | st.integers() | st.text(max_size=5),
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | IDS
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)
API = schemathesis.graphql.from_dict({"data": introspection_from_schema(schema._schema)})
FIELDS = [found.ok() for found in API.get_all_operations() if isinstance(found, Ok)]


Bodies = st.SearchStrategy[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A service without rate limits."""

    url: str
    database_url: str
    client: httpx.Client
    operators: list[Member] = field(default_factory=list)

    def operator(self) -> Member:
        """An administrator: the last one, unless an example has signed them out or taken their role."""
        if not self.operators or not self.is_operator(self.operators[-1]):
            self.operators.append(self.new_operator())
        return self.operators[-1]

    def is_operator(self, member: Member) -> bool:
        query = {"query": "{ auditLog(first: 1) { edges { cursor } } }"}
        return "errors" not in self.client.post(self.url, json=query, headers=member.headers).json()

    def new_operator(self) -> Member:
        member = sign_up(self.url)
        with psycopg.connect(self.database_url) as connection:
            promote = "UPDATE users SET role = 'ADMIN' WHERE id = %s"
            connection.execute(promote, (b64decode(member.id).decode().partition(":")[2],))
        return member

    def ask_each(self, bodies: Bodies, n_examples: int) -> None:
        """Send each operation as an administrator, whose session the operation may end."""
        operator = self.operator()

        @quietly(n_examples)
        @given(body=bodies)
        def ask(body: dict[str, Any]) -> None:
            self.ask(operator, body)

        ask()

    def ask(self, member: Member, body: dict[str, Any]) -> None:
        answer = self.client.post(self.url, json=body, headers=member.headers)
        assert answer.status_code == 200, (body, answer.text)
        for error in answer.json().get("errors", ()):
            assert error["extensions"]["code"] in EXPECTED, (body, error)


@pytest.fixture(scope="module")
def fuzzed(postgres_url: str, seeded_template: str, model_dir: Path, run_folder: Path) -> Iterator[Fuzzed]:
    with (
        cloned(postgres_url, seeded_template) as url,
        running(url, model_dir, run_folder, **UNLIMITED) as service,
        httpx.Client(timeout=60) as client,
    ):
        yield Fuzzed(f"{service.url}/graphql", url, client)
        assert "Traceback" not in service.log.read_text()


def quietly(examples: int) -> settings:
    """Run with the same examples each time."""
    return settings(
        max_examples=max(1, examples),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.timeout(3600)
def test_random_operations_cause_no_internal_error(fuzzed: Fuzzed) -> None:
    for each in FIELDS:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            bodies = each.as_strategy(mode).map(lambda case: {"query": case.body})
            fuzzed.ask_each(bodies, EXAMPLES // (2 * len(FIELDS)))


@pytest.mark.timeout(3600)
def test_random_variables_cause_no_internal_error(fuzzed: Fuzzed) -> None:
    operations = list(contract())
    for bodies in operations:
        fuzzed.ask_each(bodies, EXAMPLES // len(operations))


def contract() -> Iterator[Bodies]:
    """The operations that clients send, with variables of any type."""
    for path in sorted(OPERATIONS.glob("*.graphql")):
        text = path.read_text()
        for node in parse(text).definitions:
            if isinstance(node, OperationDefinitionNode) and node.operation.value != "subscription":
                assert node.name is not None
                variables = {each.variable.name.value: VALUES for each in node.variable_definitions or ()}
                yield st.fixed_dictionaries(
                    {
                        "query": st.just(text),
                        "operationName": st.just(node.name.value),
                        "variables": st.fixed_dictionaries({}, optional=variables),
                    }
                )
