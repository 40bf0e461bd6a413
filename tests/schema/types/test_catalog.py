"""The catalog over HTTP, open to signed-out clients."""

import re
from base64 import b64encode
from typing import Any

import httpx
import pytest

from tests.schema.conftest import Ask, Member, code


def global_id(name: str) -> str:
    return b64encode(name.encode()).decode()


def movies(ask: Ask, first: int = 24, **variables: Any) -> list[dict[str, Any]]:
    edges = ask("Movies", first=first, **variables)["data"]["movies"]["edges"]
    return [edge["node"] for edge in edges]


def test_a_movie_has_the_fields_of_a_movie_page(ask: Ask) -> None:
    card = movies(ask, first=1)[0]
    movie = ask("Movie", id=card["id"])["data"]["movie"]
    assert {name: movie[name] for name in card} == card
    assert movie["overview"]
    assert movie["runtimeMinutes"] > 0
    assert 1 <= len(movie["cast"]) <= 5
    assert movie["cast"][0]["person"]["name"]
    assert movie["viewerRating"] is None
    assert movie["viewerMatch"] is None
    near = movie["similar"]["edges"]
    assert len(near) == 12
    assert card["id"] not in [edge["node"]["id"] for edge in near]
    similarities = [edge["similarity"] for edge in near]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1 <= similarity <= 1 for similarity in similarities)
    assert set(near[0]["node"]) == set(card)


def test_similar_movies_are_paginated(ask: Ask) -> None:
    query = """query ($id: ID!, $first: Int!, $after: String) { movie(id: $id) {
        similar(first: $first, after: $after) {
            edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }"""
    movie_id = movies(ask, first=1)[0]["id"]
    whole = ask(query, id=movie_id, first=20)["data"]["movie"]["similar"]
    first = ask(query, id=movie_id, first=8)["data"]["movie"]["similar"]
    then = ask(query, id=movie_id, first=12, after=first["pageInfo"]["endCursor"])["data"]["movie"]["similar"]
    ids = [edge["node"]["id"] for edge in first["edges"] + then["edges"]]
    assert ids == [edge["node"]["id"] for edge in whole["edges"]]
    assert (first["pageInfo"]["hasNextPage"], then["pageInfo"]["hasPreviousPage"]) == (True, True)


def test_a_rating_shows_at_once_on_the_movie(ask: Ask, member: Member) -> None:
    movie_id = movies(ask, first=100)[-1]["id"]
    before = ask("Movie", token=member.token, id=movie_id)["data"]["movie"]
    assert before["viewerRating"] is None
    assert before["viewerMatch"] is not None
    ask("RateMovie", token=member.token, movie=movie_id, stars=4.5)
    after = ask("Movie", token=member.token, id=movie_id)["data"]["movie"]
    assert after["viewerRating"]["stars"] == 4.5
    assert after["ratingCount"] == before["ratingCount"] + 1
    ask("RemoveRating", token=member.token, movie=movie_id)
    again = ask("Movie", token=member.token, id=movie_id)["data"]["movie"]
    assert (again["viewerRating"], again["ratingCount"]) == (None, before["ratingCount"])


def test_pages_follow_each_other_in_both_directions(ask: Ask) -> None:
    first = ask("Movies", first=24)["data"]["movies"]
    page = first["pageInfo"]
    assert (page["hasPreviousPage"], page["hasNextPage"]) == (False, True)
    assert (page["startCursor"], page["endCursor"]) == (
        first["edges"][0]["cursor"],
        first["edges"][-1]["cursor"],
    )
    assert first["totalCount"] >= 600
    counts = [edge["node"]["ratingCount"] for edge in first["edges"]]
    assert counts == sorted(counts, reverse=True)
    second = ask("Movies", first=24, after=page["endCursor"])["data"]["movies"]
    assert second["pageInfo"]["hasPreviousPage"]
    backward = """query ($last: Int!, $before: String) { movies(last: $last, before: $before) {
        edges { node { id } } pageInfo { hasNextPage hasPreviousPage } } }"""
    back = ask(backward, last=24, before=second["pageInfo"]["startCursor"])["data"]["movies"]
    assert [edge["node"]["id"] for edge in back["edges"]] == [edge["node"]["id"] for edge in first["edges"]]
    assert back["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize(
    ("field", "shown"),
    [("POPULARITY", "ratingCount"), ("AVERAGE_RATING", "averageRating"), ("RELEASE_DATE", "year")],
)
def test_an_order_sorts_by_the_shown_values(ask: Ask, field: str, direction: str, shown: str) -> None:
    wanted = {"minRatingCount": 1, "yearFrom": 1900}
    order = {"field": field, "direction": direction}
    values = [movie[shown] for movie in movies(ask, first=100, filter=wanted, orderBy=order)]
    assert values == sorted(values, reverse=direction == "DESC")
    assert len(set(values)) > 1


def test_titles_ascend_by_default(ask: Ask) -> None:
    titles = [
        movie["title"].lower()
        for movie in movies(ask, orderBy={"field": "TITLE"}, filter={"languages": ["en"]})
    ]
    assert titles == sorted(titles)
    last = movies(ask, first=1, orderBy={"field": "TITLE", "direction": "DESC"})
    assert last[0]["title"].lower() > titles[-1]


def test_a_filter_applies_to_every_movie_and_pages_are_full(ask: Ask) -> None:
    wanted = {
        "genres": ["comedy"],
        "excludeGenres": ["Horror"],
        "yearFrom": 1990,
        "yearTo": 1999,
        "languages": ["en"],
    }
    page = ask("Movies", first=10, filter={**wanted, "minRating": 2.5, "minRatingCount": 5})["data"]["movies"]
    assert len(page["edges"]) == min(10, page["totalCount"])
    assert page["edges"]
    for edge in page["edges"]:
        movie = edge["node"]
        genres = {genre["name"] for genre in movie["genres"]}
        assert "Comedy" in genres
        assert "Horror" not in genres
        assert 1990 <= movie["year"] <= 1999
        assert movie["averageRating"] >= 2.5
        assert movie["ratingCount"] >= 5


def test_people_are_found_in_any_case(ask: Ask) -> None:
    (director, *_) = movies(ask, first=1)[0]["directors"]
    found = movies(ask, filter={"people": [director["name"].upper()]})
    assert movies(ask, first=1)[0]["id"] in [movie["id"] for movie in found]
    assert movies(ask, filter={"people": [director["name"], "Nobody At All"]}) == []


def test_search_finds_a_movie_by_its_misspelled_title(ask: Ask) -> None:
    for movie in movies(ask, first=12):
        title = movie["title"]
        word = max(re.findall(r"\w+", title), key=len)
        misspelt = [title.replace(word, word[:2] + word[3] + word[2] + word[4:])] if len(word) > 4 else []
        for words in [title, title.lower(), *misspelt]:
            hits = ask("Search", query=words, first=5)["data"]["search"]["edges"]
            assert movie["id"] in [hit["node"]["id"] for hit in hits], words
            scores = [hit["score"] for hit in hits]
            assert scores == sorted(scores, reverse=True)


def test_search_is_paginated(ask: Ask) -> None:
    query = """query ($after: String, $first: Int!) { search(query: "the", first: $first, after: $after) {
        edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }"""
    whole = ask(query, first=30)["data"]["search"]["edges"]
    first = ask(query, first=10)["data"]["search"]
    then = ask(query, first=20, after=first["pageInfo"]["endCursor"])["data"]["search"]
    assert first["edges"] + then["edges"] == whole
    assert len(whole) == 30


@pytest.mark.parametrize("words", ["", "\\u0000", "a\\u0000b", "&|!()':*", "%", "x" * 200])
def test_any_text_may_be_searched_for(server: str, http: httpx.Client, words: str) -> None:
    query = "query ($words: String!) { search(query: $words, first: 5) { edges { score } } }"
    content = (
        f'{{"query": "{query}", "variables": {{"words": "{words}"}}}}'  # escaped unlike any JSON library
    )
    response = http.post(f"{server}/graphql", content=content, headers={"Content-Type": "application/json"})
    assert "errors" not in response.json()


def test_an_unpaired_surrogate_is_refused(server: str, http: httpx.Client) -> None:
    content = '{"query": "{ search(query: \\"\\ud800\\", first: 5) { edges { score } } }"}'
    response = http.post(f"{server}/graphql", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert code(response.json()) == "BAD_USER_INPUT"


def test_genres_are_counted(ask: Ask) -> None:
    genres = ask("Genres")["data"]["genres"]
    assert [genre["name"] for genre in genres] == sorted(genre["name"] for genre in genres)
    for genre in genres[:3]:
        page = ask("Movies", first=1, filter={"genres": [genre["name"]]})["data"]["movies"]
        assert page["totalCount"] == genre["movieCount"] > 0


def test_nodes_are_found_by_their_ids(ask: Ask) -> None:
    movie = movies(ask, first=1)[0]
    found = ask("Node", id=movie["id"])["data"]["node"]
    assert found == {"__typename": "Movie", "id": movie["id"], "title": movie["title"]}
    genre, person = movie["genres"][0], movie["directors"][0]
    assert ask("Node", id=genre["id"])["data"]["node"] == {"__typename": "Genre", **genre}
    assert ask("Node", id=person["id"])["data"]["node"] == {"__typename": "Person", "id": person["id"]}
    ids = [person["id"], global_id("Movie:999999999"), movie["id"], genre["id"], movie["id"]]
    nodes = ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)["data"]["nodes"]
    assert [node and node["id"] for node in nodes] == [ids[0], None, *ids[2:]]


@pytest.mark.parametrize(
    "id_", ["Movie:999999999", "Genre:999999999", "Person:999999999", "User:1", "Rating:1.1"]
)
def test_missing_and_private_nodes_are_null(ask: Ask, id_: str) -> None:
    body = ask("Node", id=global_id(id_))
    assert body == {"data": {"node": None}}


def test_a_missing_movie_is_null(ask: Ask) -> None:
    assert ask("Movie", id=global_id("Movie:999999999")) == {"data": {"movie": None}}


KEYS = ["Movie", "Movie:", "Movie:x", "Movie:-1", "Movie:1.5", "Movie:9223372036854775808", "Movie:²"]
TYPES = ["Nothing:1", "Query:1", "Node:1", "MovieFilter:1"]
MALFORMED = ["", "1", "Movie:1", "!!!", "é", "x" * 5000, *map(global_id, KEYS + TYPES)]


@pytest.mark.parametrize("id_", MALFORMED)
def test_an_invalid_id_is_bad_input(ask: Ask, id_: str) -> None:
    for operation in ("Movie", "Node"):
        assert code(ask(operation, id=id_)) == "BAD_USER_INPUT"


def test_an_id_of_another_type_is_named(ask: Ask) -> None:
    body = ask("Movie", id=global_id("Genre:1"))
    assert code(body) == "BAD_USER_INPUT"
    assert "Movie" in body["errors"][0]["message"]
    assert "Genre" in body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"first": 0}, "movies.first"),
        ({"first": 101}, "100"),
        ({"first": -1}, "movies.first"),
        ({"first": 5, "after": "x"}, "cursor"),
        ({"first": 5, "after": b64encode(b'["search",1.0,1]').decode()}, "cursor"),
        ({"first": 5, "after": b64encode(b'["movies","TITLE",false,"a",1]').decode()}, "cursor"),
        ({"first": 5, "after": b64encode(b'["movies","POPULARITY",true,"a",1]').decode()}, "cursor"),
        ({"first": 5, "after": b64encode(b'["movies","POPULARITY",true,1,1e30]').decode()}, "cursor"),
        ({"first": 5, "after": b64encode(b'["movies","POPULARITY",true,{},1]').decode()}, "cursor"),
        ({"first": 5, "after": b64encode(b'["movies",[]]').decode()}, "cursor"),
        ({"first": 5, "filter": {"genres": ["Comdy"]}}, "Comdy"),
        ({"first": 5, "filter": {"excludeGenres": ["Comdy"]}}, "excludeGenres"),
        ({"first": 5, "filter": {"yearFrom": 2000, "yearTo": 1990}}, "yearFrom"),
        ({"first": 5, "filter": {"minRating": 5.5}}, "minRating"),
        ({"first": 5, "filter": {"minRatingCount": -1}}, "minRatingCount"),
        ({"first": 5, "filter": {"people": [str(number) for number in range(51)]}}, "people"),
        ({"first": 5, "filter": {"colour": "red"}}, "colour"),
        ({"first": 5, "orderBy": {"field": "BOX_OFFICE"}}, "BOX_OFFICE"),
    ],
)
def test_bad_input_is_named(ask: Ask, variables: dict[str, Any], named: str) -> None:
    body = ask("Movies", **variables)
    assert code(body) == "BAD_USER_INPUT"
    assert named in body["errors"][0]["message"]


@pytest.mark.parametrize(
    "arguments", ["", "first: 5, last: 5", 'first: 5, before: "x"', 'last: 5, after: "x"', "last: 101"]
)
def test_a_page_has_one_direction(ask: Ask, arguments: str) -> None:
    given = f"({arguments})" if arguments else ""
    assert code(ask(f"{{ movies{given} {{ totalCount }} }}")) == "BAD_USER_INPUT"


def test_a_search_has_limits(ask: Ask) -> None:
    assert code(ask("Search", query="x" * 201, first=5)) == "BAD_USER_INPUT"
    assert code(ask("Search", query="x", first=101)) == "BAD_USER_INPUT"
    assert code(ask('{ search(query: "x", first: 5, after: "x") { edges { score } } }')) == "BAD_USER_INPUT"
