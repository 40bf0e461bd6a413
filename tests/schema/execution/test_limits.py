"""Documents beyond the limits and operations of too high a cost are refused."""

from contextlib import suppress
from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query

from app.settings import Settings
from schema import schema
from schema.core.errors import CallerError
from schema.execution.documents import CostedOperation, DocumentCache, InvalidDocument
from tests.schema.conftest import OPERATIONS


def reader(**settings: Any) -> DocumentCache:
    return DocumentCache(schema._schema, Settings.model_validate(settings))


def nested(times: int) -> str:
    inner = "{ similar(first: 1) { edges { node " * times
    return "{ movies(first: 1) { edges { node " + inner + "{ title } " + "} } } " * (times + 1)


def refused(query: str, **settings: Any) -> dict[str, Any]:
    with pytest.raises(CallerError) as error:
        reader(**settings).read(query)
    assert error.value.extensions is not None
    return error.value.extensions


def bomb(generations: int) -> str:
    """Each fragment spreads the next one twice: fields double with each."""
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(generations)]
    return "{ ...F0 }" + " ".join(fragments) + f" fragment F{generations} on Query {{ __typename }}"


BEYOND = {
    "MAX_DEPTH": (nested(9), 31, 15),
    "MAX_ALIASES": ("{" + " ".join(f"a{n}: __typename" for n in range(101)) + "}", 101, 100),
    "MAX_TOKENS": (
        "{" + " ".join(f"a{n}: nodes(ids: [{'1 ' * 100}]) {{ id }}" for n in range(10)) + "}",
        1_001,
        1_000,
    ),
    "MAX_DOCUMENT_CHARACTERS": ("{ __typename }" + " " * 30_000, 30_014, 20_000),
    "MAX_FRAGMENTS": (
        "{ __typename } " + " ".join(f"fragment F{n} on Query {{ __typename }}" for n in range(61)),
        61,
        60,
    ),
    "MAX_REPEATED_FIELDS": ("{" + "__typename " * 46 + "}", 1_035, 1_000),
}


@pytest.mark.parametrize("setting", BEYOND)
def test_a_document_beyond_a_limit_is_refused_with_limit_and_request(setting: str) -> None:
    query, asked, limit = BEYOND[setting]
    expected = {"code": "QUERY_TOO_COMPLEX", "setting": setting, "limit": limit, "asked": asked}
    assert refused(query) == expected
    others = {"max_tokens": 5_000, "max_repeated_fields": 1_000_000}
    raised = {setting.lower(): asked if setting != "MAX_TOKENS" else 5_000}
    with suppress(InvalidDocument):  # as validation then says, within the limits
        assert reader(**others | raised).read(query)


def test_a_document_at_the_limit_is_read() -> None:
    assert reader(max_depth=16).read(nested(4))
    assert refused(nested(4), max_depth=15)["asked"] == 16


@pytest.mark.parametrize("generations", [11, 50])
def test_exponential_fragments_are_counted_without_expansion(generations: int) -> None:
    details = refused(bomb(generations))
    assert details["setting"] == "MAX_TOKENS"
    assert details["asked"] > 2**generations


@pytest.mark.parametrize(
    "query",
    [
        "fragment A on Genre { id } { genres { ...A } nodes(ids: []) { ... on Movie { genres { ...A } } } }",
        "{ a: genres { name } b: genres { name } c: genres { name } }",
        "query Q { genres { id } } query R { genres { id } } query S { genres { id } }",
    ],
)
def test_the_same_name_at_another_place_is_no_repetition(query: str) -> None:
    assert reader(max_repeated_fields=1).read(query)


def test_repetition_is_counted_where_validation_compares() -> None:
    def asked(query: str) -> int:
        return int(refused(query, max_repeated_fields=1)["asked"])

    assert asked("{ genres { id id } genres { id } }") == 1 + 3
    assert asked("{ ...A genres { id } ...A } fragment A on Query { genres { id } }") == 1 + 3 + 3
    assert asked("{ genres { id } ... { genres { id } } ... on Query { genres { id } } }") == 3 + 3
    assert asked("{ __typename __typename __typename } fragment A on Genre { id id id }") == 3 + 3


@pytest.mark.parametrize(
    "query",
    [
        "{ ...A } fragment A on Query { ...A }",
        "{ ...A } fragment A on Query { ...B } fragment B on Query { genres { name } ...A }",
        "{ __typename } fragment A on Query { ... on Query { ...B } } fragment B on Query { ...A }",
    ],
)
def test_circular_fragments_are_refused(query: str) -> None:
    assert refused(query) == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize(
    "query", ["{" * 5_000, "{a" * 900, "{ a(b: " + "[" * 900, "query ($a: " + "[" * 900, "\ud800", ""]
)
def test_a_text_that_is_no_document_is_refused(query: str) -> None:
    with pytest.raises(GraphQLError):
        reader().read(query)


def errors(reads: DocumentCache, query: str) -> list[str]:
    """The messages of the errors of an invalid document."""
    with pytest.raises(InvalidDocument) as invalid:
        reads.read(query)
    return [error.message for error in invalid.value.errors]


def test_a_document_with_many_errors_shows_a_few() -> None:
    query = "{" + " ".join(f"movie{n}" for n in range(500)) + "}"
    assert 1 < len(errors(reader(), query)) <= 11


def test_introspection_and_suggestions_are_off_in_production() -> None:
    introspection = get_introspection_query()
    assert reader().read(introspection)
    assert errors(reader(production=True), introspection)
    assert reader(production=True, introspection=True).read(introspection)
    assert reader(production=True).read("{ __typename }")
    (message,) = errors(reader(), "{ movie(id: 1) { titel } }")
    assert "title" in message
    (message,) = errors(reader(production=True), "{ movie(id: 1) { titel } }")
    assert "title" not in message


def test_documents_are_cached_up_to_a_limit() -> None:
    reads = reader()
    assert reads.read("{ __typename }") is reads.read("{ __typename }")
    assert errors(reads, "{ nothing }") == errors(reads, "{ nothing }")
    assert reads.reading_cost("{ nothing }") == 1
    assert reads.reading_cost("{ __typename }") == reads.reading_cost("x" * 100_000) == 0
    for number in range(120):
        reads.read(f"{{ a{number}: __typename }} # {'x' * 19_000}")
    assert sum(map(len, reads.kept)) == reads.kept_characters <= 1_000_000


def cost(query: str, operation: str | None = None, most: int = 10**9, **variables: Any) -> int:
    document = reader(max_depth=100).read(query)
    return CostedOperation.of(document, document.operation(operation), variables, most).requested


def test_an_operation_of_too_high_a_cost_is_refused_with_limit_and_cost() -> None:
    with pytest.raises(CallerError) as error:
        cost("{ movies(first: 10000) { edges { node { title } } } }", most=1_000)
    details = error.value.extensions or {}
    assert (details["code"], details["setting"], details["limit"]) == ("QUERY_TOO_COMPLEX", "MAX_COST", 1_000)
    assert details["asked"] == cost("{ movies(first: 10000) { edges { node { title } } } }") > 1_000


def test_operations_that_clients_send_are_within_the_limits() -> None:
    reads, most = reader(), Settings().max_cost
    variables = {"first": 100, "shelves": 8, "perShelf": 24}
    for path in sorted(OPERATIONS.glob("*.graphql")):
        document = reads.read(path.read_text())
        for name in document.operations:
            assert CostedOperation.of(document, document.operation(name), variables, most).requested <= most
    introspection = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    document = reads.read(introspection)
    assert CostedOperation.of(document, document.operation(None), {}, most).requested > 1_000
