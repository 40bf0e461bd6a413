"""Batches of movies over the API: outcomes by row, effective at once; look-up by other systems' ids."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.schema.conftest import Ask, Member, code, outcome, promoted, sign_up

UPSERT = """
mutation ($input: UpsertMoviesInput!) { upsertMovies(input: $input) {
    __typename
    ... on UpsertMoviesPayload {
        added updated unchanged refused
        rows { position externalId status movie { id title } error { __typename code message } }
    }
    ... on Error { message }
} }
"""
DELETE = """
mutation ($movies: [MovieKeyInput!]!) { deleteMovies(input: { movies: $movies }) {
    __typename
    ... on DeleteMoviesPayload { deleted rows { position deletedMovieId error { code } } }
    ... on Error { message }
} }
"""
BY = """
query ($key: MovieKeyInput!) { movieBy(key: $key) {
    id title tmdbId externalIds { source value } externalId(source: "shop") attributes
    similar(first: 3) { edges { node { title } } }
} }
"""
FOUND = "query ($words: String!) { search(query: $words, first: 1) { edges { node { title } } } }"


@pytest.fixture
def curator(ask: Ask, server_database_url: str) -> Member:
    return promoted(sign_up(ask), server_database_url, "CURATOR")


def upserted(ask: Ask, curator: Member, *movies: dict[str, Any], source: str = "shop") -> dict[str, Any]:
    given = {"source": source, "movies": list(movies)}
    return outcome(ask(UPSERT, curator.token, input=given), "upsertMovies")


def test_a_batch_is_served_with_the_answer(ask: Ask, curator: Member) -> None:
    word = f"zq{uuid4().hex[:8]}"
    movies = [
        {
            "externalId": f"{word}-{n}",
            "title": f"The {word} of {n}",
            "genres": ["Horror", "Sci-Fi"],
            "attributes": {"label": word, "sizes": [1, 2.5]},
            "tagline": f"Beware of {word}.",
            "certification": "R",
            "localizedTitles": [{"language": "cs", "title": f"{n}. {word} v kostce"}],
            "trailerUrl": "https://example.org/trailer",
            "backdropPath": "/wide.jpg",
            **({"tmdbId": str(900_000_000 + int(word[2:7], 16))} if n == 0 else {}),
        }
        for n in range(3)
    ]
    first = upserted(ask, curator, *movies, {"externalId": f"{word}-bad", "title": "x", "year": 1})
    assert (first["added"], first["refused"]) == (3, 1)
    assert [row["status"] for row in first["rows"]] == ["ADDED", "ADDED", "ADDED", "REFUSED"]
    refused = first["rows"][3]
    assert (refused["position"], refused["movie"]) == (3, None)
    assert refused["error"]["__typename"] == "InvalidMovie"
    assert refused["error"]["message"].startswith("year: it must be a year from 1870 to")
    found = ask(FOUND, words=f"the {word} of 1")["data"]["search"]["edges"]
    assert [edge["node"]["title"] for edge in found] == [f"The {word} of 1"]
    found = ask(FOUND, words=f"2. {word} v kostce")["data"]["search"]["edges"]
    assert found[0]["node"]["title"] == f"The {word} of 2"
    again = upserted(ask, curator, *movies)
    assert (again["unchanged"], again["added"], again["updated"]) == (3, 0, 0)

    keys: list[dict[str, Any]] = [
        {"externalId": {"source": "shop", "value": f"{word}-0"}},
        {"tmdbId": movies[0]["tmdbId"]},
        {"movieId": first["rows"][0]["movie"]["id"]},
    ]
    for key in keys:
        movie = ask(BY, key=key)["data"]["movieBy"]
        assert movie["title"] == f"The {word} of 0", key
        assert movie["externalIds"] == [{"source": "shop", "value": f"{word}-0"}]
        assert movie["externalId"] == f"{word}-0"
        assert movie["attributes"] == {"label": word, "sizes": [1, 2.5]}
        assert len(movie["similar"]["edges"]) == 3  # it has a vector

    ids = [row["movie"]["id"] for row in first["rows"][:3]]
    unknown = {"externalId": {"source": "shop", "value": "never"}}
    gone = outcome(
        ask(DELETE, curator.token, movies=[*keys[:1], unknown, {"movieId": ids[1]}]), "deleteMovies"
    )
    assert gone["deleted"] == 2
    assert [row["deletedMovieId"] for row in gone["rows"]] == [ids[0], None, ids[1]]
    assert [row["error"] for row in gone["rows"]] == [None, {"code": "MOVIE_NOT_FOUND"}, None]
    assert ask(BY, key=keys[0])["data"]["movieBy"] is None


def test_the_audit_log_notes_the_first_rows_of_a_long_batch(
    ask: Ask, curator: Member, server_database_url: str
) -> None:
    many = [{"externalId": f"audit-{n}", "title": "x", "year": 1} for n in range(101)]
    assert upserted(ask, curator, *many)["refused"] == 101
    with psycopg.connect(server_database_url) as connection:
        ((noted,),) = connection.execute(
            "SELECT arguments FROM audit_log WHERE arguments::text LIKE '%audit-0%'"
        ).fetchall()
    rows = noted["input"]["movies"]
    assert rows[0] == {"externalId": "audit-0", "title": "x", "year": 1}
    assert rows[10:] == ["and 91 more"]


def test_rules_on_the_whole_batch(ask: Ask, curator: Member) -> None:
    empty = ask(UPSERT, curator.token, input={"source": "shop", "movies": []})
    assert outcome(empty, "upsertMovies")["message"] == "a batch must have 1 to 1,000 movies, not 0."
    strange = upserted(ask, curator, {"externalId": "1", "title": "x"}, source="My Shop")
    assert strange["__typename"] == "InvalidMovieBatch"
    assert strange["message"].startswith("source: it must have 1 to 64 lower-case letters")
    many = [{"externalId": str(n), "title": "x"} for n in range(1001)]
    assert code(ask(UPSERT, curator.token, input={"source": "shop", "movies": many})) == "BAD_USER_INPUT"


@pytest.mark.parametrize("key", [{}, {"tmdbId": "1", "imdbId": "tt0133093"}])
def test_a_movie_has_exactly_one_key(ask: Ask, key: dict[str, str]) -> None:
    assert code(ask(BY, key=key)) == "BAD_USER_INPUT"


def test_keys_that_no_movie_can_have(ask: Ask) -> None:
    keys: list[dict[str, Any]] = [
        {"tmdbId": "not a number"},
        {"movielensId": "9" * 40},
        {"imdbId": "nul\0"},
        {"externalId": {"source": "", "value": ""}},
    ]
    for key in keys:
        assert ask(BY, key=key)["data"]["movieBy"] is None, key
