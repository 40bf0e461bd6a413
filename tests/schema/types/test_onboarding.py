"""Onboarding movies: well known, informative, of many genres; pagination and refusals."""

from collections import Counter
from typing import Any

import pytest

from tests.schema.conftest import Ask, Member, code


@pytest.fixture
def genres(ask: Ask) -> dict[str, str]:
    return {genre["name"]: genre["id"] for genre in ask("Genres")["data"]["genres"]}


def nodes(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in body["data"]["onboarding"]["edges"]]


def ids(body: dict[str, Any]) -> list[str]:
    return [node["id"] for node in nodes(body)]


def test_the_movies_are_well_known_and_of_many_genres(ask: Ask, genres: dict[str, str]) -> None:
    asked = nodes(ask("Onboarding", first=24))
    assert len({movie["id"] for movie in asked}) == 24
    counts = sorted(
        (edge["node"]["ratingCount"] for page in walk(ask, "Movies", "movies") for edge in page["edges"]),
        reverse=True,
    )
    assert min(movie["ratingCount"] for movie in asked) >= counts[len(counts) // 2]
    covered = Counter(genre["name"] for movie in asked for genre in movie["genres"])
    assert len(covered) >= len(genres) * 0.8
    assert covered.most_common(1)[0][1] <= 14


def test_the_movies_have_divided_ratings(ask: Ask) -> None:
    """Movies that all members like are popular but not informative."""
    asked = nodes(ask("Onboarding", first=50))
    popular = ask("Movies", first=50, orderBy={"field": "POPULARITY", "direction": "DESC"})
    loved = [edge["node"]["averageRating"] for edge in popular["data"]["movies"]["edges"]]
    middle = 3.75  # a rating of 4 or more is a like
    apart = [abs(movie["averageRating"] - middle) for movie in asked]
    assert sum(apart) / len(apart) < sum(abs(mean - middle) for mean in loved) / len(loved)


def walk(ask: Ask, operation: str, field: str, **variables: Any) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    info: dict[str, Any] = {"hasNextPage": True, "endCursor": None}
    while info["hasNextPage"]:
        body = ask(operation, first=100, after=info["endCursor"], **variables)
        pages.append(body["data"][field])
        info = pages[-1]["pageInfo"]
    return pages


def test_pages_follow_each_other_while_the_member_rates(ask: Ask, member: Member) -> None:
    whole = ids(ask("Onboarding", member.token, first=40))
    assert ids(ask("Onboarding", member.token, first=10)) == whole[:10]
    seen: list[str] = []
    after = None
    for page in range(4):
        body = ask("Onboarding", member.token, first=10, after=after)
        assert body["data"]["onboarding"]["pageInfo"]["hasNextPage"]
        seen += ids(body)
        ask("RateMovie", member.token, movie=seen[page * 3], stars=2.5)
        after = body["data"]["onboarding"]["pageInfo"]["endCursor"]
    assert seen == whole
    rated = {whole[page * 3] for page in range(4)}
    assert not rated & set(ids(ask("Onboarding", member.token, first=100)))


def test_only_movies_of_the_chosen_genres(ask: Ask, genres: dict[str, str]) -> None:
    chosen = [genres["Western"], genres["Musical"]]
    pages = walk(ask, "Onboarding", "onboarding", genres=chosen)
    movies = [edge["node"] for page in pages for edge in page["edges"]]
    names = [{genre["name"] for genre in movie["genres"]} & {"Western", "Musical"} for movie in movies]
    assert all(names)
    assert {name for found in names[:4] for name in found} == {"Western", "Musical"}
    either = {
        edge["node"]["id"]
        for name in ("Western", "Musical")
        for page in walk(ask, "Movies", "movies", filter={"genres": [name]})
        for edge in page["edges"]
    }
    assert {movie["id"] for movie in movies} == either


def test_five_ratings_make_the_next_list_personal(ask: Ask, member: Member) -> None:
    for movie in ids(ask("Onboarding", member.token, first=5)):
        ask("RateMovie", member.token, movie=movie, stars=4.5)
    body = ask("Recommendations", member.token, first=10)
    assert body["data"]["recommendations"]["strategy"] == "PERSONALIZED"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"first": 0}, "onboarding.first"),
        ({"first": 101}, "onboarding.first"),
        ({"first": 5, "genres": ["R2VucmU6OTk5OTk5"]}, "genres[0]"),
        ({"first": 5, "genres": ["TW92aWU6MQ=="]}, "Genre"),
        ({"first": 5, "genres": ["R2VucmU6MQ=="] * 51}, "at most 50"),
        ({"first": 5, "after": "bm8"}, "cursor"),
    ],
)
def test_bad_input_names_field_and_rule(ask: Ask, variables: dict[str, Any], message: str) -> None:
    body = ask("Onboarding", **variables)
    assert code(body) == "BAD_USER_INPUT"
    assert message in body["errors"][0]["message"]


def test_a_cursor_is_refused_with_other_genres(ask: Ask, genres: dict[str, str]) -> None:
    cursor = ask("Onboarding", first=5)["data"]["onboarding"]["pageInfo"]["endCursor"]
    assert code(ask("Onboarding", first=5, after=cursor, genres=[genres["Drama"]])) == "BAD_USER_INPUT"
