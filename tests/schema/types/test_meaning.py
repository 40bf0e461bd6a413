"""Semantic search: movies by the meaning of the query, after those matched by name."""

import pytest

from tests.schema.conftest import Ask

# Queries and the intended movie; their words are in few titles and few overviews.
MEANT = {
    "monster hunting the crew of a spaceship": "Alien",
    "android hunter in a rainy future city": "Blade Runner",
    "toys that come alive": "Toy Story",
    "shark attacks a beach town": "Jaws",
    "dinosaurs in a theme park": "Jurassic Park",
    "dream heist": "Inception",
    "boxer gets a title shot": "Rocky",
    "hacker learns that reality is a simulation": "The Matrix",
    "sinking ship romance": "Titanic",
    "samurai defend a village": "Seven Samurai",
    "man relives the same day": "Groundhog Day",
    "mafia family succession": "The Godfather",
    "time travel in a car": "Back to the Future",
    "robot left alone on earth": "WALL·E",
    "french cook rat": "Ratatouille",
    "killer in a shower motel": "Psycho",
    "courtroom jury drama": "12 Angry Men",
    "holocaust industrialist saves workers": "Schindler's List",
}
FLOOR = 12  # of 18 among the first ten; keyword search finds 1
FOUND = "query ($words: String!) { search(query: $words, first: 10) { edges { node { title } } } }"


def titles(ask: Ask, words: str) -> list[str]:
    return [edge["node"]["title"] for edge in ask(FOUND, words=words)["data"]["search"]["edges"]]


def test_the_intended_movie_is_among_the_first_ten(ask: Ask) -> None:
    found = [words for words, title in MEANT.items() if title in titles(ask, words)]
    assert len(found) >= FLOOR, sorted(set(MEANT) - set(found))


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("alien", "Alien"),
        ("the godf", "The Godfather"),
        ("jurasic park", "Jurassic Park"),
        ("psyc", "Psycho"),
    ],
)
def test_a_movie_matched_by_title_is_first(ask: Ask, words: str, title: str) -> None:
    assert titles(ask, words)[0] == title


def test_the_documented_example_finds_its_movie_first(ask: Ask) -> None:
    assert titles(ask, "samurai defend a village")[0] == "Seven Samurai"


@pytest.mark.parametrize(
    "words", ["matrix 1999", "pulp fiction tarantino 1994", "casablanca bogart", "alien"]
)
def test_semantic_search_is_not_used_if_a_title_matches(ask: Ask, words: str) -> None:
    query = """query ($words: String!) {
        search(query: $words, first: 100) { edges { score matchedBy node { title } } } }"""
    edges = ask(query, words=words)["data"]["search"]["edges"]
    assert edges[0]["matchedBy"] == "TITLE"
    assert edges[0]["score"] > 0.6
    assert "MEANING" not in {edge["matchedBy"] for edge in edges}


def test_semantic_matches_rank_below_keyword_matches(ask: Ask) -> None:
    query = '{ search(query: "space monster", first: 100) { edges { score matchedBy } } }'
    edges = ask(query)["data"]["search"]["edges"]
    scores = [edge["score"] for edge in edges]
    assert scores == sorted(scores, reverse=True)
    by_meaning = [edge["score"] for edge in edges if edge["matchedBy"] == "MEANING"]
    assert by_meaning
    assert max(by_meaning) < 0.3


@pytest.mark.parametrize("words", ["qxzv", "", "-alien", '"toys that come alive"'])
def test_nonsense_and_exact_queries_have_no_semantic_matches(ask: Ask, words: str) -> None:
    assert len(titles(ask, words)) < 2


def test_semantic_results_are_paginated(ask: Ask) -> None:
    query = """query ($after: String) { search(query: "space monster", first: 7, after: $after) {
        edges { node { id } } pageInfo { endCursor hasNextPage } } }"""
    whole = ask(query.replace("first: 7", "first: 100"))["data"]["search"]["edges"]
    assert 7 < len(whole) <= 100
    paged: list[object] = []
    after = None
    while len(paged) < len(whole):
        page = ask(query, after=after)["data"]["search"]
        paged += page["edges"]
        after = page["pageInfo"]["endCursor"]
    assert paged[: len(whole)] == whole
