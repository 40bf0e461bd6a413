"""What is told of an operation by its text."""

import pytest
from graphql import parse, print_ast
from strawberry.types.graphql import OperationType

from schema.http.operation import described, in_one_piece

CHAIN = "".join(f"fragment F{place} on Query {{ ...F{place + 1} }} " for place in range(3000))


@pytest.mark.parametrize(
    ("query", "public"),
    [
        ("{ genres { name } movies: movies(first: 1) { edges { node { id } } } __typename }", True),
        ("{ ... { ... on Query { genres { name } } } }", True),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A genres { name } }", True),
        (f"{{ ...F0 }} {CHAIN} fragment F3000 on Query {{ genres {{ name }} }}", True),
        (f"{{ ...F0 }} {CHAIN} fragment F3000 on Query {{ viewer {{ id }} }}", False),
        ("{ genres: viewer { id } }", False),
        ("{ genres { name } ...A } fragment A on Query { recommendations(first: 1) { requestId } }", False),
        ("mutation { genres }", False),
    ],
)
def test_public_is_what_asks_for_the_catalogue_alone(query: str, public: bool) -> None:
    operation = described(query, None)
    assert operation is not None
    assert operation.public is public


def test_an_operation_is_found_by_its_name() -> None:
    query = "query A { genres { name } } subscription B { recommendationsChanged { changedAt } }"
    found = described(query, "B")
    assert found is not None
    assert found.kind is OperationType.SUBSCRIPTION
    assert described(query, None) is None
    assert described(query, "C") is None


@pytest.mark.parametrize("query", ["", "{", "{ a" * 20_000, "query query query"])
def test_what_is_no_document_is_left_to_execution(query: str) -> None:
    assert described(query, None) is None
    assert in_one_piece(f"{query} @defer") == f"{query} @defer"


def test_nothing_is_deferred_in_one_piece_nor_its_variables_left_unused() -> None:
    query = """
        query Q($later: Boolean = true, $both: Boolean!, $n: Int) {
            genres { name }
            ... @defer(if: $later) { movies(first: $n) { ...F @defer(if: $both) @include(if: $both) } }
        }
        fragment F on MovieConnection { edges @stream(initialCount: 1) { cursor } }
    """
    expected = """
        query Q($both: Boolean!, $n: Int) {
            genres { name }
            ... { movies(first: $n) { ...F @include(if: $both) } }
        }
        fragment F on MovieConnection { edges { cursor } }
    """
    assert print_ast(parse(in_one_piece(query))) == print_ast(parse(expected))
