"""Static analysis of documents: public caching, and delivery without @defer."""

import pytest
from graphql import parse, print_ast
from strawberry.types.graphql import OperationType

from app.settings import Settings
from schema import schema
from schema.execution.documents import Document, DocumentCache
from schema.execution.operation import is_public_field

CHAIN = "".join(f"fragment F{place} on Query {{ ...F{place + 1} }} " for place in range(40))


def read(query: str) -> Document:
    return DocumentCache(schema._schema, Settings()).read(query)


@pytest.mark.parametrize(
    ("query", "public"),
    [
        ("{ genres { name } movies: movies(first: 1) { edges { node { id } } } __typename }", True),
        ("{ ... { ... on Query { genres { name } } } }", True),
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { genres { name } }", True),
        (f"{{ ...F0 }} {CHAIN} fragment F40 on Query {{ genres {{ name }} }}", True),
        (f"{{ ...F0 }} {CHAIN} fragment F40 on Query {{ viewer {{ id }} }}", False),
        ("{ genres: viewer { id } }", False),
        ("{ genres { name } ...A } fragment A on Query { recommendations(first: 1) { requestId } }", False),
        ('mutation { deleteAccount(input: {password: "x"}) { __typename } }', False),
    ],
)
def test_public_is_what_asks_for_the_catalogue_alone(query: str, public: bool) -> None:
    operation = read(query).operation(None)
    assert operation is not None
    assert operation.public is public


def test_each_root_field_that_is_declared_public_makes_a_public_query() -> None:
    assert schema._schema.query_type is not None
    names = {name for name in schema._schema.query_type.fields if is_public_field(schema._schema, name)}
    assert names == {"movie", "movieBy", "movies", "search", "searchPeople", "genres", "node", "nodes"}


def test_an_operation_is_found_by_its_name() -> None:
    document = read("query A { genres { name } } subscription B { recommendationsChanged { changedAt } }")
    assert document.kind("B") is OperationType.SUBSCRIPTION
    assert document.operation(None) is None
    assert document.operation("C") is None


def test_a_document_that_defers_nothing_is_whole() -> None:
    document = read("{ genres { name } } # defer")
    assert document.whole is document.ast


def test_nothing_is_deferred_in_one_piece_nor_its_variables_left_unused() -> None:
    query = """
        query Q($later: Boolean = true, $both: Boolean!, $n: Int) {
            genres { name }
            ... @ defer(if: $later) { movies(first: $n) { ...F @defer(if: $both) @include(if: $both) } }
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
    assert print_ast(read(query).whole) == print_ast(parse(expected))
