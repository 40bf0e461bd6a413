"""Limits of names and tokens of a request."""

import httpx
import pytest

from tests.schema.conftest import code

QUERY = "query Q { genres { name } }"
LONG = "x" * 3_000_000


@pytest.fixture(scope="module")
def http() -> httpx.Client:
    return httpx.Client(timeout=60)


@pytest.mark.parametrize(
    "parameters",
    [
        {"query": QUERY, "operationName": LONG},
        {"documentId": LONG},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": LONG}}},
        {"query": LONG, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "x"}}},
        {"query": QUERY, "operationName": {"a": LONG}},
    ],
)
def test_a_long_name_is_refused_and_not_quoted(
    server: str, http: httpx.Client, parameters: dict[str, object]
) -> None:
    response = http.post(f"{server}/graphql", json=parameters)
    assert response.status_code in (200, 400)
    assert code(response.json()) in ("BAD_USER_INPUT", "QUERY_TOO_COMPLEX")
    assert len(response.content) < 500


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query ($m: RateMovieInput!) { __typename }", {"m": {LONG: 1}}),
        ("query ($o: MovieOrder) { movies(first: 1, orderBy: $o) { totalCount } }", {"o": {"field": LONG}}),
        ("query ($n: Int!) { movies(first: $n) { totalCount } }", {"n": LONG}),
        ("query ($f: MovieFilter) { movies(first: 1, filter: $f) { totalCount } }", {"f": LONG}),
        ("query ($q: String!) { search(first: 1, query: $q) { edges { score } } }", {"q": [LONG]}),
        ("query ($b: Boolean!) { genres @include(if: $b) { name } }", {"b": LONG}),
        ('{ movies(first: 1, filter: {genres: "' + "x" * 19_000 + '"}) { totalCount } }', {}),
        ("{ movies(first: 1) { " + "x" * 19_000 + " } }", {}),
    ],
)
def test_no_error_quotes_a_long_value_whole(
    server: str, http: httpx.Client, query: str, variables: dict[str, object]
) -> None:
    response = http.post(f"{server}/graphql", json={"query": query, "variables": variables})
    for error in response.json()["errors"]:
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert len(error["message"]) < 1_100


def test_a_long_token_is_invalid(server: str, http: httpx.Client) -> None:
    headers = {"Authorization": f"Bearer {'x' * 60_000}"}
    response = http.post(f"{server}/graphql", json={"query": "{ viewer { id } }"}, headers=headers)
    assert code(response.json()) == "UNAUTHENTICATED"
